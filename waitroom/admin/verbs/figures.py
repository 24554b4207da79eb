"""What is shown of a room at a glance: the answers to the questions of a tired operator. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from waitroom.admin.report.moments import wait_words
from waitroom.domain.admission import Limit, limiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .call import RoomState

STALE_MS: Final = 5_000
"""Figures older than that are shown as old."""

_NOT_QUEUEING: Final = {
    "on": "Nobody waits", "paused": "Paused", "closed": "Closed", "off": "Off: everybody passes",
}  # fmt: skip
_LIMITS: Final = {
    Limit.NOBODY_WAITS: "", Limit.RATE: "the rate decides", Limit.CAPACITY: "the capacity decides",
    Limit.RECOVERY: "places are being put back", Limit.PAUSED: "", Limit.CLOSED: "", Limit.OFF: "",
}  # fmt: skip


def figures(
    state: RoomState,
    wait: tuple[int, int | None] | None,
    entered: int | None,
    point: Mapping[str, Any] | None,
    *,
    now_ms: int,
) -> dict[str, Any]:
    """Return what is shown, in words and numbers that JSON can hold.

    `wait` is the range in minutes of who comes now, `entered` how many entered in the last minute, `point` the newest
    of the room's history in which the shop was asked for anything.
    """
    census, room = state.census, state.room
    facts: dict[str, Any] = {
        "name": state.name,
        "mode": room.mode.value,
        "version": state.version,
        "store": state.store_available,
        "at_ms": 0 if census is None else census.now_ms,
        "queueing": "Nothing is known yet",
        "limiting": "",
        "waiting": None, "called": None, "active": None, "entries": None, "missed_share": None,
        "rate": room.rate_at(now_ms),
        "capacity": room.capacity,
        "wait": wait_words(wait),
        "shop_p50_ms": None, "shop_p95_ms": None, "shop_error_share": None,
        "recovering": False,
        "pending": "" if state.uptake is None else state.uptake.words,
    }  # fmt: skip
    if census is not None:
        facts |= {
            "waiting": census.waiting,
            "called": census.called,
            "active": census.active,
            "entries": entered,
            "missed_share": round(census.missed_share, 3),
            "recovering": census.recovering_ms > 0,
            "limiting": _LIMITS[limiting(room, census)],
            "queueing": "Queueing" if census.waiting and room.mode.value == "on" else _NOT_QUEUEING[room.mode.value],
        }
    if point is not None:
        facts |= {name: _whole(point[name]) for name in ("shop_p50_ms", "shop_p95_ms")}
        facts["shop_error_share"] = point["shop_error_share"]
    return facts


def _whole(milliseconds: float | None) -> float | None:
    """Return what is read at a glance: no decimals from 10 ms on."""
    return milliseconds if milliseconds is None or milliseconds < 10 else round(milliseconds)
