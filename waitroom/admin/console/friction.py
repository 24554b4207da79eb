"""How much is asked before something is done: nothing for what calms, a question for what touches many. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from waitroom.admin.report.lines import visitors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from waitroom.admin.verbs import RoomState

FAR: Final = 2
"""A limit raised more than so many times is raised far."""
MANY: Final = 50
"""Visitors admitted at once who are many."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `typed`: the room's name must be typed, too."""

    words: str
    typed: bool = False


def question(verb: str, given: Mapping[str, Any], state: RoomState, people: int) -> Question | None:
    """Return what to ask before `verb` is done with `given`; None to do it at once.

    `people` is how many visitors it touches. Pausing, resuming and lowering ask nothing: they must be quick.
    """
    touched = visitors(people)
    match verb:
        case "close":
            return Question(f"Closing sends {touched} away: nobody joins or enters until the room is opened.")
        case "reset":
            return Question(f"Resetting takes the place of {touched}. It cannot be taken back.", typed=True)
        case "remove":
            return Question(f"Removing the room takes the place of {touched}. It cannot be taken back.", typed=True)
        case "admit" if given.get("count", 0) >= MANY:
            return Question(f"This calls {touched} at once, beyond the rate.")
        case "change":
            changes: Mapping[str, Any] = given.get("changes", {})
            if changes.get("mode") == "off":
                return Question(f"Off lets everybody pass, {touched} at once, with no limit at all.", typed=True)
            return next(
                (asked for name in ("rate", "capacity") if (asked := _raised_far(name, changes, state, touched))), None
            )
        case _:
            return None


def _raised_far(name: str, changes: Mapping[str, Any], state: RoomState, touched: str) -> Question | None:
    before, after = getattr(state.room, name), changes.get(name, "same")
    if after == "same" or before is None:
        return None
    if after is None:
        return Question(f"No {name} at all: {touched} may come at once, as far as other limits leave room.")
    if not isinstance(after, int) or after <= FAR * before:
        return None
    times = f"{after / before:.1f} times" if before else "more than none"
    return Question(f"From {before:,} to {after:,}: {times} the {name}, for {touched}.")
