"""Which page somebody sees: the state of the room comes before their own, since it decides what they can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .room import Mode

if TYPE_CHECKING:
    from .room import Room


def room_view(room: Room, now_ms: int, *, recovering: bool) -> str:
    """Return what those who wait in `room` see.

    `waiting`, or why nobody enters: `before` it opens, `paused`, `recovering`, `off`, or what `closed_as` says.
    """
    if room.mode is Mode.CLOSED:
        return room.closed_as
    if room.mode is Mode.OFF:
        return "off"
    if room.mode_at(now_ms) is Mode.PAUSED:
        return "paused" if room.mode is Mode.PAUSED else "before"
    return "recovering" if recovering else "waiting"


def own_view(state: str, room: Room, now_ms: int, *, recovering: bool, challenge: str = "") -> str:
    """Return what a visitor in `state` sees in `room`; `challenge`: what they have to pass (`Visit.challenge`)."""
    if state == "closed":
        return room.closed_as
    if state == "challenged":
        return "checking" if challenge == "captcha" else "joining"
    if state in {"waiting", "called"}:
        of_room = room_view(room, now_ms, recovering=recovering)
        return state if of_room == "waiting" else of_room
    return state


def opens_ms_of(room: Room, now_ms: int) -> int | None:
    """Return when the room opens, while that is still to come."""
    return room.opens_ms if room.opens_ms is not None and now_ms < room.opens_ms else None
