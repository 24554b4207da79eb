"""Beat: every 100 ms each room's time is moved on. Every gateway beats; the store sees to it that one does the work."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from .errors import WaitroomError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .domain.visit import Census
    from .logs import Log
    from .metrics import Metrics
    from .store.base import Store

PERIOD_SECONDS: Final = 0.1


class Beat:
    """Beats until cancelled, for the rooms that `rooms()` names at each beat.

    A failure is counted, told once per outage, and never stops it. After each beat of a room `then` hears its census,
    or None of a beat that failed.
    """

    def __init__(
        self,
        store: Store,
        rooms: Callable[[], Iterable[str]],
        metrics: Metrics,
        log: Log,
        *,
        then: Callable[[str, Census | None], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._metrics = metrics
        self._log = log
        self._then = then
        self._clock = clock
        self._sleep = sleep
        self._lost: set[str] = set()

    async def run(self) -> None:
        """Beat each `PERIOD_SECONDS` until cancelled; one that took longer is followed at once, none is made up for."""
        due = self._clock()
        await self.once()
        while True:
            now = self._clock()
            due = max(due + PERIOD_SECONDS, now)
            await self._sleep(due - now)
            await self.once()

    async def once(self) -> None:
        """Beat once for every room, all at the same time."""
        began = self._clock()
        rooms = tuple(self._rooms())
        if len(rooms) == 1:
            await self._room(rooms[0])
        else:
            await asyncio.gather(*map(self._room, rooms))
        self._lost.intersection_update(rooms)
        self._metrics.beat_seconds(self._clock() - began)
        self._metrics.flush()

    async def _room(self, room: str) -> None:
        census = None
        try:
            try:
                census = await self._store.beat(room)
            finally:
                if self._then is not None:
                    await self._then(room, census)
        except WaitroomError as error:
            self._failed(room, error.reason)
        except Exception as error:  # noqa: BLE001  # the queue must move on whatever one beat met
            if room not in self._lost:
                self._log.failure("beat_broke", error, room=room)
            self._failed(room, type(error).__name__)
        else:
            if room in self._lost:
                self._lost.discard(room)
                self._log.info("beat_back", room=room)

    def _failed(self, room: str, reason: str) -> None:
        self._metrics.beat_failures(room)
        if room not in self._lost:
            self._lost.add(room)
            self._log.warning("beat_lost", room=room, reason=reason)
