"""Position → range of waiting time, and how soon to ask again. Ranges are coarse on purpose: no false precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .room import Mode

if TYPE_CHECKING:
    from .room import Room
    from .visit import Census

BUCKETS: Final[tuple[tuple[int, int | None], ...]] = (
    (0, 1), (1, 2), (2, 5), (5, 10), (10, 15), (15, 30), (30, 60), (60, None),
)  # fmt: skip
"""Ranges of minutes that a page may show; the last is open."""

SOONEST_SECONDS: Final = 2
LATEST_SECONDS: Final = 20
NEAR_POSITION, NEAR_SECONDS = 10, 4
"""The first few ask often whatever the speed: a turn may come of an unexpectedly freed place."""
STANDING_STILL_SECONDS: Final = 15
"""How soon to ask again where nothing moves: paused or closed."""
_POLLS_A_WAIT: Final = 12


def speed_per_minute(room: Room, census: Census | None) -> float | None:
    """Return how many visitors enter each minute from now on; None when nobody can say.

    Where only the rate limits, it will be the rate. Where the capacity limits, visitors enter as others end, and the
    last minute tells how fast that goes.
    """
    if room.mode is not Mode.ON or room.rate == 0 or room.capacity == 0:
        return None
    full = (
        room.capacity is not None
        and census is not None
        and census.active + census.called + census.reserved >= room.capacity
    )
    if full or room.rate is None:
        measured = census.entries if census is not None else 0
        if room.rate is not None:
            measured = min(measured, room.rate)
        return float(measured) or None
    return float(room.rate)


def wait_range(position: int, speed: float | None) -> tuple[int, int | None] | None:
    """Return the bucket of minutes in which the turn of `position` comes, or None when it is not known.

    A turn on the edge of two buckets is told as the longer.
    """
    if position <= 0 or not speed:
        return None
    minutes = position / speed
    return next((low, high) for low, high in BUCKETS if high is None or minutes < high)


def poll_after_seconds(position: int, speed: float | None, mode: Mode) -> int:
    """Return when a visitor at `position` should ask again: soon near the front, rarely far back."""
    if mode in {Mode.PAUSED, Mode.CLOSED}:
        return STANDING_STILL_SECONDS
    if position <= 0:
        return SOONEST_SECONDS
    if not speed:
        return SOONEST_SECONDS if position <= 10 else LATEST_SECONDS // 2
    latest = NEAR_SECONDS if position <= NEAR_POSITION else LATEST_SECONDS
    return int(max(SOONEST_SECONDS, min(latest, position / speed * 60 / _POLLS_A_WAIT)))
