"""Rooms as a whole: listed, shown, made and removed at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, ValidationError

from waitroom.domain.audit import Deed
from waitroom.domain.room import Room
from waitroom.errors import Mistake, Refused, RoomUnknown

from .call import Arguments, Mistaken, Stale, mistakes_of

if TYPE_CHECKING:
    from .call import Call, RoomState
    from .changes import Nothing
    from .desk import Verbs


ONLY_IN_THE_FILE: Final = frozenset({"logo", "template"})
"""They name files of the gateways' machines, which is not for operators to do."""


class Making(Arguments):
    name: str = Field(description="The room's name.")
    settings: dict[str, Any] = Field(default={}, description="Setting → value; those of the configuration file.")


async def listed(desk: Verbs, call: Call[Nothing]) -> dict[str, Any]:
    """Return `{"rooms": [room, …]}` in the configuration's order."""
    return {"rooms": [state.as_json() for state in await desk.rooms()]}


async def show(desk: Verbs, call: Call[Nothing]) -> RoomState:
    """Return one room."""
    return await desk.show(call.room)


async def create(desk: Verbs, call: Call[Making]) -> RoomState:
    """Make a room that every gateway serves within a second; `Refused` (409) when there is one of that name."""
    asked = call.arguments
    mistakes = [
        Mistake(key, "cannot be set at run time", "set it in the configuration file")
        for key in sorted(ONLY_IN_THE_FILE & asked.settings.keys())
    ]
    if "name" in asked.settings:
        mistakes.append(Mistake("settings.name", "is given beside the settings"))
    try:
        room = Room.model_validate({**asked.settings, "name": asked.name})
    except ValidationError as error:
        mistakes += mistakes_of(error, Room)
    if mistakes:
        raise Mistaken(mistakes)
    given = room.model_dump(mode="json", exclude_defaults=True)
    deed = Deed(call.author, "create", {key: [None, value] for key, value in given.items()}, room=room.name)
    if not await desk.store.create(room, deed):
        raise Refused(f"there is a room {room.name!r} already", status=409)
    desk.tell(room.name, call.author, "create")
    return await desk.show(room.name)


async def remove(desk: Verbs, call: Call[Arguments]) -> dict[str, Any]:
    """Remove a room that was made at run time, with its queue; `Refused` (409) for one of the file."""
    made = {room.name: room for room in desk.store.made_rooms}
    if call.room not in made:
        raise Refused(
            f"the room {call.room!r} is in the configuration file; take it out there, or close it", status=409
        )
    census = await desk.store.census(call.room)
    if call.expected_version not in {None, census.version}:
        raise Stale(census.version, await desk.since(call.room, call.expected_version or 0))
    definition = made[call.room].model_dump(mode="json", exclude_defaults=True)
    deed = Deed(call.author, "remove", {"room": [definition, None]}, room=call.room)
    if not await desk.store.remove(call.room, deed):
        raise RoomUnknown(f"no room {call.room!r}")
    people = census.waiting + census.called + census.missed
    desk.tell(call.room, call.author, "remove", people=people)
    return {"removed": call.room, "people": people}
