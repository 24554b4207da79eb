"""Snapshot: a room at one moment, in the numbers from which the shared document is made. The same for every gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sketch import Point
    from .visit import Census


@dataclass(frozen=True, slots=True)
class Pulse:
    """Totals since the generation began, at one moment: what happened between two of them tells a speed."""

    at_ms: int
    called: int
    left: int
    returned: int
    freed: int
    """Sessions that ended, of themselves or by the site."""
    admitted: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The room as the store counted it."""

    census: Census
    frontier_us: int
    """The score of the last one called."""
    points: tuple[Point, ...]
    """Scores and positions at certain ranks of the queue, and at its end."""
    pulses: tuple[Pulse, ...]
    """Of the last five minutes, oldest first, in the mode and under the capacity that hold now."""

    @property
    def entered_last_minute(self) -> int:
        """How many were admitted in the last minute, also when a new rate has begun to count anew meanwhile."""
        since_ms = self.census.now_ms - 60_000
        told = next((pulse.admitted for pulse in self.pulses if pulse.at_ms >= since_ms), self.census.admitted_total)
        return max(self.census.entries, self.census.admitted_total - told)

    @property
    def now(self) -> Pulse:
        """The totals at the moment of the snapshot."""
        census = self.census
        freed = census.released_total + census.ended_total
        return Pulse(
            census.now_ms, census.called_total, census.left_total, census.returned_total, freed, census.admitted_total
        )
