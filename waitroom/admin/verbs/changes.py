"""What changes a room's live settings: single settings, the mode, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, ValidationError

from waitroom.domain.audit import FROM_FILE
from waitroom.domain.room import LIVE_FIELDS, Mode, Room
from waitroom.errors import Mistake, Refused
from waitroom.words.overrides import wrong_language

from .call import Arguments, Mistaken, mistakes_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from waitroom.store.base import RoomRecord

    from .call import Call, RoomState
    from .desk import Verbs

MODE_VERBS: Final[dict[str, tuple[Mode, frozenset[Mode]]]] = {
    "pause": (Mode.PAUSED, frozenset({Mode.ON, Mode.OFF})),
    "resume": (Mode.ON, frozenset({Mode.PAUSED})),
    "close": (Mode.CLOSED, frozenset({Mode.ON, Mode.PAUSED, Mode.OFF})),
    "open": (Mode.ON, frozenset({Mode.CLOSED, Mode.OFF})),
}
"""Verb → the mode it leads to, and the modes it leads from. Where it stands already, nothing is done."""

TO_VISITORS: Final = frozenset({"admit", "release", "revoke", "front"})
"""Done to visitors, not to the room; `undo` passes them over."""
_LINES_LOOKED_AT: Final = 200


class Changes(Arguments):
    changes: dict[str, Any] = Field(
        description='Live setting → value; null is no limit, `"file"` the value of the configuration file.'
    )


class Nothing(Arguments):
    pass


class Ramping(Arguments):
    to: int = Field(ge=0, le=10_000_000, description="The rate to be reached.")
    minutes: float = Field(gt=0, le=1_440, description="How long it takes.")
    start: int | None = Field(
        default=None, ge=0, le=10_000_000, description="The rate to begin from; by default the one in force."
    )


class Saying(Arguments):
    message: str | dict[str, str] = Field(
        description='A text for all, or language → text with `"*"` for all others; empty for nothing.'
    )
    until: str | None = Field(default=None, description="Until when it is shown: date and time with distance to UTC.")
    minutes: float | None = Field(
        default=None, gt=0, le=10_080, description="For how many minutes it is shown, in place of `until`."
    )


class Undoing(Arguments):
    version: int | None = Field(
        default=None, ge=1, description="The version that the change to be taken back made; by default the last change."
    )


async def change(desk: Verbs, call: Call[Changes]) -> RoomState:
    """Change live settings of a room, all or none."""
    return await desk.apply(call, "change", lambda record: checked(record, call.arguments.changes))


def turning(verb: str) -> Callable[[Verbs, Call[Nothing]], Awaitable[RoomState]]:
    """Return what `verb` does: `Refused` (409) from a mode that it does not lead from."""

    def live(record: RoomRecord) -> dict[str, Any]:
        goal, sources = MODE_VERBS[verb]
        mode = record.room.mode
        if mode is not goal and mode not in sources:
            raise Refused(f"the room is {mode.value}; {_way_out(mode, goal)}", status=409)
        return dict(record.live) if mode is goal else dict(record.live) | {"mode": goal.value}

    async def turn(desk: Verbs, call: Call[Nothing]) -> RoomState:
        return await desk.apply(call, verb, live)

    return turn


async def ramp(desk: Verbs, call: Call[Ramping]) -> RoomState:
    """Lead the rate evenly to another; it goes on by the store's time, whatever process ends."""
    asked = call.arguments

    def live(record: RoomRecord) -> dict[str, Any]:
        now_ms = desk.store.now_ms()
        start = asked.start if asked.start is not None else record.room.rate_at(now_ms)
        if start is None:
            raise Mistaken([Mistake("start", "is missing: the room has no rate to begin from", "a number")])
        begins = datetime.fromtimestamp(now_ms / 1000, UTC)
        ends = begins + timedelta(minutes=asked.minutes)
        ramp = {"start_rate": start, "starts_at": begins.isoformat(), "ends_at": ends.isoformat()}
        return checked(record, {"rate": asked.to, "ramp": ramp})

    return await desk.apply(call, "ramp", live)


async def message(desk: Verbs, call: Call[Saying]) -> RoomState:
    """Say something to those who wait, or nothing any more."""
    asked = call.arguments
    if asked.until is not None and asked.minutes is not None:
        raise Mistaken([Mistake("minutes", "is given beside until", "one of them")])
    until = asked.until
    if asked.minutes is not None:
        end_ms = desk.store.now_ms() + asked.minutes * 60_000
        until = datetime.fromtimestamp(end_ms // 1_000, UTC).isoformat()
    changes = {"message": asked.message, "message_until": until}
    return await desk.apply(call, "message", lambda record: checked(record, changes))


async def undo(desk: Verbs, call: Call[Undoing]) -> RoomState:
    """Take back the last change of a room, or the one that made a version; `Refused` (409) when nothing can."""
    lines = await desk.store.audit(call.room, limit=_LINES_LOOKED_AT)
    wanted = call.arguments.version
    done = (line for line in lines if line.action not in TO_VISITORS)
    line = next((line for line in done if wanted is None or line.version == wanted), None)
    if line is None:
        raise Refused("there is no such change in the log of the room", status=409)
    if not line.undo:
        raise Refused(f"the change {line.action!r} by {line.who} cannot be taken back", status=409)
    back = line.undo
    return await desk.apply(call, "undo", lambda record: checked(record, back))


def _way_out(mode: Mode, goal: Mode) -> str:
    if goal is Mode.ON:
        return "use `resume`" if mode is Mode.PAUSED else "use `open`"
    return "use `open` first"


def checked(record: RoomRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the live settings of `record` with `changes` on top; raises `Mistaken` with every mistake."""
    mistakes = [
        Mistake(key, "is not a setting that can be changed live", _meant(key))
        for key in changes
        if key not in LIVE_FIELDS
    ]
    if not changes:
        mistakes.append(Mistake("changes", "is empty", f"any of {', '.join(LIVE_FIELDS)}"))
    live = {key: value for key, value in record.live.items() if key in LIVE_FIELDS}
    for key, value in changes.items():
        if key not in LIVE_FIELDS:
            continue
        if value == FROM_FILE:
            live.pop(key, None)
        elif isinstance(value, list) or (isinstance(value, bool) and Room.model_fields[key].annotation is not bool):
            mistakes.append(Mistake(key, "must be a number, a word or null"))
        elif key == "language" and isinstance(value, str) and (instead := wrong_language(value)):
            mistakes.append(Mistake(key, f"the page does not speak {value!r}", instead))
        else:
            live[key] = value
    if record.room.ramp is not None and changes.get("rate", FROM_FILE) != FROM_FILE and "ramp" not in changes:
        live["ramp"] = None  # a rate set by hand ends the way to another
    if "message" in changes and "message_until" not in changes:
        live["message_until"] = None  # the moment of the message before says nothing about this one
    seed = record.seed or record.room.model_dump(mode="json")
    try:
        room = Room.model_validate(seed | live)
    except ValidationError as error:
        mistakes += mistakes_of(error, Room)
    if mistakes:
        raise Mistaken(mistakes)
    resolved = room.model_dump(mode="json")
    of_another_version = {key: value for key, value in record.live.items() if key not in LIVE_FIELDS}
    return of_another_version | {key: resolved[key] for key in live}


def _meant(key: str) -> str:
    close = get_close_matches(key, LIVE_FIELDS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(LIVE_FIELDS)}"
