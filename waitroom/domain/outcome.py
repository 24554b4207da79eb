"""What became of a range of waiting time: did it hold, and by how much was it wrong?

What counts as true is the time from joining to being called: how long somebody then takes to come is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HELD: Final = "held"
SHORTER: Final = "shorter"
LONGER: Final = "longer"
UNTOLD: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kind`: held, shorter or longer than told, or unknown where no range was told."""

    kind: str
    error_seconds: float = 0.0
    """By how much the wait was outside the range."""


def outcome_of(told: tuple[int, int | None] | None, waited_seconds: float) -> Outcome:
    """Return what became of a range `told` in minutes."""
    if told is None:
        return Outcome(UNTOLD)
    low, high = told
    if waited_seconds < low * 60:
        return Outcome(SHORTER, low * 60 - waited_seconds)
    if high is not None and waited_seconds > high * 60:
        return Outcome(LONGER, waited_seconds - high * 60)
    return Outcome(HELD)
