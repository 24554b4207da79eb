"""Rooms as a whole: listed, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .call import Call, RoomState
    from .changes import Nothing
    from .desk import Verbs


async def listed(desk: Verbs, call: Call[Nothing]) -> dict[str, Any]:
    """Return `{"rooms": [room, …]}` in the configuration's order."""
    return {"rooms": [state.as_json() for state in await desk.rooms()]}


async def show(desk: Verbs, call: Call[Nothing]) -> RoomState:
    """Return one room."""
    return await desk.show(call.room)
