"""Every figure of every room as it is now, as the console shows it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.estimate import estimate, wait_range
from waitroom.domain.history import chart
from waitroom.errors import WaitroomError

from .figures import figures

if TYPE_CHECKING:
    from .call import Call, RoomState
    from .changes import Nothing
    from .desk import Verbs

_RECENT_MS: Final = 4_000


async def live(desk: Verbs, call: Call[Nothing]) -> dict[str, Any]:
    """Return `{"now_ms", "rooms": [figures, …]}` in the configuration's order."""
    rooms = [await room_live(desk, state) for state in await desk.rooms()]
    return {"now_ms": desk.store.now_ms(), "rooms": rooms}


async def room_live(desk: Verbs, state: RoomState) -> dict[str, Any]:
    """Return the figures of a room (module `figures`), and the newest `point` of its history."""
    now_ms = desk.store.now_ms()
    wait, entered, points = None, None, []
    with suppress(WaitroomError):
        snapshot = await desk.store.snapshot(state.name)
        wait = wait_range(snapshot.census.waiting + 1, estimate(state.room, snapshot).waits)
        entered = snapshot.entered_last_minute
        _, samples = await desk.store.history(state.name, since_ms=now_ms - _RECENT_MS, until_ms=now_ms)
        points = chart(samples)
    # A second in which nobody asked the shop for anything says nothing of it: the one before still does.
    health = next((point for point in reversed(points) if point["shop_p95_ms"] is not None), None)
    return figures(state, wait, entered, health, now_ms=now_ms) | {"point": points[-1] if points else None}
