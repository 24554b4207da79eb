"""Recording: once a second each process tells the store what it measured, and the first writes the rooms' history."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from .errors import WaitroomError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from .meter import Meter

PERIOD_SECONDS: Final = 1.0


class Recorder(Protocol):
    """What keeps the history of rooms."""

    async def sample(self, room: str, counts: Mapping[str, int]) -> None:
        """Add what was measured, and write this second's sample unless somebody did."""
        ...


async def record(
    store: Recorder,
    rooms: Callable[[], Iterable[str]],
    meter: Meter,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Record until cancelled. What a store that is away did not hear is told when it is back."""
    while True:
        there = tuple(rooms())
        meter.keep(there)
        for room in there:
            counts = meter.since(room)
            with suppress(WaitroomError):
                await store.sample(room, counts)
                meter.delivered(room, counts)
        await sleep(PERIOD_SECONDS)
