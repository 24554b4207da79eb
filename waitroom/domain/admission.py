"""How many may be called or entered now, and which limit decided.

The store's scripts decide at the moment of spending, since only there is the decision atomic (`store/lua/enter-9.lua`,
`store/lua/beat-9.lua`). Here is the same arithmetic on a census, for those who explain a room: console, metrics, page.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from .room import Mode

if TYPE_CHECKING:
    from .room import Room
    from .visit import Census


class Limit(StrEnum):
    """Why no more visitors enter at the moment."""

    NOBODY_WAITS = "nobody waits"
    RATE = "rate"
    CAPACITY = "capacity"
    RECOVERY = "recovery"
    PAUSED = "paused"
    CLOSED = "closed"
    OFF = "off"


def free_slots(capacity: int, census: Census) -> int:
    """Return how many more may be called before the room counts as full.

    Called visitors weigh less the more of them stay away, so that absent visitors do not leave slots idle.
    """
    free = max(0, capacity - census.active - census.reserved)
    return max(0, int(free / (1 - census.missed_share)) - census.called)


def limiting(room: Room, census: Census) -> Limit:
    """Return what keeps the next visitor out of `room`."""
    if census.mode is not Mode.ON:
        return Limit(census.mode.value)
    if census.recovering_ms > 0:
        return Limit.RECOVERY
    if room.capacity is not None and free_slots(room.capacity, census) == 0:
        return Limit.CAPACITY
    if room.rate is not None and (census.waiting > 0 or census.entries >= (room.rate_at(census.now_ms) or 0)):
        return Limit.RATE
    return Limit.NOBODY_WAITS
