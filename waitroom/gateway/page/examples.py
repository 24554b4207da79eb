"""A visitor in each of the page's views, for those who look at the page before anybody waits: preview, check, tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.message import Message

from ..standing import Standing
from .views import VIEWS

if TYPE_CHECKING:
    from waitroom.domain.room import Room

_BY_THE_BROWSER: Final = {
    "joining": "waiting",
    "offline": "waiting",
    "blocked": "waiting",
    "cookies_off": "waiting",
    "near": "waiting",
    "admitted": "active",
}
"""Views that no answer of the server names → the one it gives then."""
_WITH_A_PLACE: Final = ("waiting", "paused", "recovering", "reconnecting", "before")
_MINUTES_MS: Final = 60_000


def example(view: str, room: Room, now_ms: int) -> Standing:
    """Return the standing of somebody who is shown `view`, one of VIEWS."""
    told = _BY_THE_BROWSER.get(view, view)
    shut = VIEWS[view].shut
    state = "closed" if shut else told if told in {"called", "missed", "active", "new"} else "waiting"
    placed = told in _WITH_A_PLACE
    position = 0 if not placed else 3 if view == "near" else 1_234
    known: dict[str, Any] = {
        "room": room.name,
        "state": state,
        "view": told,
        "mode": "closed" if shut else "paused" if view == "paused" else "on",
        "reason": "rate",
        "position": position,
        "ahead": max(0, position - 1),
        "behind": 5_678 if placed else None,
        "wait": _wait(view),
        "admitted_per_minute": 60,
        "poll_after_seconds": 5,
        "claim_seconds_left": 105 if view == "called" else 0,
        "called_ms": now_ms - 6 * _MINUTES_MS if view == "missed" else 0,
        "hold_seconds_left": 24 * 60 if view == "missed" else 0,
        "recovering": view == "recovering",
        "generation": "preview",
        "score_us": now_ms * 1000,
        "opens_ms": now_ms + 12 * _MINUTES_MS if view == "before" else None,
        "messages": tuple(Message(now_ms - _MINUTES_MS, text) for text in [room.message] if text),
        "short_code": "7F3K-92QD",
        "now_ms": now_ms,
    }
    return Standing(**known)


def _wait(view: str) -> tuple[int, int] | None:
    if view in {"recovering", "called", "admitted", "before"} or VIEWS[view].shut:
        return None
    return (0, 1) if view == "near" else (15, 30)
