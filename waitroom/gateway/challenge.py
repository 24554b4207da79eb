"""What a newcomer must pass before joining: which kind of challenge, and when.

Each kind is a row: what it is called, and the setting of the room that says when it is wanted. The strictest one that
is wanted now is asked for, alone; what was passed counts for its kind and for every one below it. So whoever passed
the CAPTCHA owes no work, and work that was done before the CAPTCHA was wanted does not replace it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from waitroom.domain.room import Room
    from waitroom.domain.visit import Census


class Kind(IntEnum):
    """A kind of challenge; a higher one is stricter."""

    WORK = 1
    """A number that the browser looks for (`puzzle.py`)."""
    CAPTCHA = 2
    """A response that a service elsewhere confirms (`captcha.py`)."""

    @property
    def word(self) -> str:
        """What it is called in signed text and in answers."""
        return self.name.lower()


SETTING: Final = {Kind.CAPTCHA: "captcha", Kind.WORK: "challenge"}
"""Kind → the room's setting that says when it is wanted; the strictest first."""


class Passed(NamedTuple):
    """What somebody has passed: the visitor whom it makes, and what it is worth."""

    visitor: str
    kind: Kind


class Attempt(NamedTuple):
    """What came of the response or solution that a newcomer brought."""

    passed: Passed | None = None
    solution: str = ""
    """Signed proof of it, to be shown again if there is no place at once; "" when what they brought is that."""
    service_away: bool = False
    """It could not be judged."""
    retry_seconds: int = 0
    """When to bring the same again; 0: never, it is used up."""


class Demand(NamedTuple):
    """What is asked of a newcomer now."""

    worth: Kind
    """What proof of it must be worth at least."""
    share: float
    """Joins for each that the rate lets in."""


class Challenge(NamedTuple):
    """A challenge as it is put to one newcomer."""

    data: dict[str, Any]
    """What page and programs are told."""
    script: str
    """Name of the page's script that deals with it."""
    sources: Mapping[str, str] = {}
    """Directive of the page's policy → origins of others that it must allow besides."""


class JoinRate:
    """How many join a room in a minute, from the totals that this process hears of."""

    def __init__(self) -> None:
        self._heard: list[tuple[int, int]] = []
        """Moments in ms and how many had joined, oldest first: of the last minute, a second apart."""

    def a_minute(self, census: Census | None) -> float:
        """Return the rate as of `census`; 0 until there are two."""
        if census is not None:
            heard = self._heard
            if heard and (census.joined_total < heard[-1][1] or census.now_ms < heard[-1][0]):
                heard.clear()  # another memory, or another time
            if not heard or census.now_ms >= heard[-1][0] + 1_000:
                heard.append((census.now_ms, census.joined_total))
            while heard[0][0] < census.now_ms - 60_000:
                heard.pop(0)
        if len(self._heard) < 2:
            return 0.0
        (since_ms, before), (until_ms, after) = self._heard[0], self._heard[-1]
        return (after - before) * 60_000 / max(until_ms - since_ms, 10_000)


def demand(room: Room, joins_a_minute: float, rate: int | None) -> Demand | None:
    """Return what a newcomer to `room` must pass now; None for nothing. `rate`: the one in force, a minute."""
    share = joins_a_minute / max(rate or 0, 60)
    for kind, setting in SETTING.items():
        when = getattr(room, setting)
        if when == "always" or (when == "over_rate" and share > 1):
            return Demand(kind, share)
    return None
