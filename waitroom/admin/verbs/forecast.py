"""Before something is done: how many people it touches, and what it does to the wait of those who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from waitroom.domain.estimate import estimate, wait_range
from waitroom.domain.room import known_settings
from waitroom.errors import Mistake

from . import changes, presets
from .call import Arguments, Mistaken, read_arguments
from .visitors import Admitting

if TYPE_CHECKING:
    from waitroom.domain.room import Room
    from waitroom.domain.visit import Census
    from waitroom.store.base import RoomRecord

    from .call import Call
    from .desk import Verbs

OF_SETTINGS: Final = frozenset({"change", "ramp", "use-preset", *changes.MODE_VERBS})
"""Verbs after which the room has other settings."""
KNOWN: Final = OF_SETTINGS | {"admit", "reset", "remove"}


class Forecasting(Arguments):
    verb: str = Field(description="Which verb is meant.")
    arguments: dict[str, Any] = Field(default={}, description="What it would be told.")


async def forecast(desk: Verbs, call: Call[Forecasting]) -> dict[str, Any]:
    """Return what would be, and change nothing.

    `{"verb", "people", "wait_now", "wait_then"}`: how many visitors it touches; the range of minutes (`[low, high]`,
    high null for open; null for not known) of whoever is last in the queue, as things stand and after.
    """
    verb, given = call.arguments.verb, call.arguments.arguments
    if verb not in KNOWN:
        raise Mistaken([Mistake("verb", "cannot be forecast", f"one of {', '.join(sorted(KNOWN))}")])
    snapshot = await desk.store.snapshot(call.room)
    census, record = snapshot.census, desk.store.record(call.room)
    last = census.waiting

    def wait(room: Room, position: int) -> tuple[int, int | None] | None:
        return wait_range(position, estimate(room, snapshot).waits)

    after, count = record.room, 0
    if verb in OF_SETTINGS:
        after = _room_after(record, verb, given)
    elif verb == "admit":
        count = read_arguments(Admitting, given).count
    stops = after.mode != record.room.mode
    gone = verb in {"reset", "remove"}
    return {
        "verb": verb,
        "people": _people(verb, census, count),
        "wait_now": wait(record.room, last),
        "wait_then": None if stops or gone else wait(after, max(0, last - min(count, last))),
    }


def _room_after(record: RoomRecord, verb: str, given: dict[str, Any]) -> Room:
    """Return the room as it would be; raises `Mistaken`."""
    if verb in changes.MODE_VERBS:
        live = dict(record.live) | {"mode": changes.MODE_VERBS[verb][0].value}
    elif verb == "change":
        live = changes.checked(record, read_arguments(changes.Changes, given).changes)
    elif verb == "use-preset":
        live = changes.checked(record, presets.known(record, read_arguments(presets.Preset, given).preset))
    else:  # a ramp: what it will be at its end
        live = changes.checked(record, {"rate": read_arguments(changes.Ramping, given).to})
    return record.room.changed(known_settings(live))


def _people(verb: str, census: Census, count: int) -> int:
    """Return how many visitors `verb` touches: who waits or comes in, or loses the place."""
    if verb == "admit":
        return min(count, census.waiting)
    in_queue = census.waiting + census.called
    return in_queue + census.missed if verb in {"reset", "remove", "close"} else in_queue
