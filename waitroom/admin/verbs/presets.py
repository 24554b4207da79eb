"""Presets: named sets of live settings, kept, put in force, dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from waitroom.errors import Refused

from .call import Arguments
from .changes import checked

if TYPE_CHECKING:
    from waitroom.store.base import RoomRecord

    from .call import Call, RoomState
    from .desk import Verbs


class Preset(Arguments):
    preset: str = Field(description="The preset's name.")


class Saving(Preset):
    changes: dict[str, Any] = Field(description="Live setting → value.")


async def save(desk: Verbs, call: Call[Saving]) -> RoomState:
    """Keep a preset under its name, in place of the one that had it."""
    asked = call.arguments
    return await desk.apply(
        call, "save-preset", lambda record: _with(record, record.room.presets | {asked.preset: asked.changes})
    )


async def use(desk: Verbs, call: Call[Preset]) -> RoomState:
    """Put what a preset says in force; `Refused` (404) when there is none of that name."""
    return await desk.apply(call, "use-preset", lambda record: checked(record, known(record, call.arguments.preset)))


async def drop(desk: Verbs, call: Call[Preset]) -> RoomState:
    """Forget a preset."""

    def live(record: RoomRecord) -> dict[str, Any]:
        name = call.arguments.preset
        known(record, name)
        return _with(record, {key: value for key, value in record.room.presets.items() if key != name})

    return await desk.apply(call, "drop-preset", live)


def _with(record: RoomRecord, presets: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return checked(record, {"presets": presets})


def known(record: RoomRecord, name: str) -> dict[str, Any]:
    """Return what the preset says; `Refused` (404) when there is none of that name."""
    try:
        return record.room.presets[name]
    except KeyError:
        known = ", ".join(record.room.presets) or "none"
        raise Refused(f"there is no preset {name!r}; known: {known}", status=404) from None
