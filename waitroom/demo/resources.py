"""What the toy shop has too little of: a few workers behind a short line, and memory for a few warm sessions.

Nothing here is scripted to fail. A page needs a worker for a while; when more pages come than workers can serve
they line up, the line has an end, and nobody stands in it for ever. A session that is not in memory is read from
disk, which keeps the worker several times as long. So a crowd beyond the limit makes every page dearer just when
there are too many: the shop gets slower, answers 503, and drops orders between two of their steps, until the crowd
has gone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict


class TooBusy(Exception):
    """No worker was free, and the line was full or too slow."""


class Workers:
    """`count` workers, at most `line_limit` requests waiting for one, each for at most `patience_seconds`."""

    def __init__(self, count: int, *, line_limit: int, patience_seconds: float) -> None:
        self._free = asyncio.Semaphore(count)
        self._line_limit = line_limit
        self._patience_seconds = patience_seconds
        self.in_line = 0

    async def work(self, seconds: float) -> None:
        """Keep one worker busy for `seconds`; raises `TooBusy` when none can be had."""
        await self._take()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._free.release()

    async def _take(self) -> None:
        if self._free.locked() and self.in_line >= self._line_limit:
            raise TooBusy
        self.in_line += 1
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise TooBusy from None
        finally:
            self.in_line -= 1


class WarmSessions:
    """The sessions that fit into memory; the one longest unused makes place for the next."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._warm: OrderedDict[str, None] = OrderedDict()

    def use(self, name: str, *, new: bool) -> bool:
        """Bring the session into memory. False when it has to be read from disk; a new one never has."""
        hit = new or name in self._warm
        self._warm[name] = None
        self._warm.move_to_end(name)
        if len(self._warm) > self._limit:
            self._warm.popitem(last=False)
        return hit

    def forget(self, name: str) -> None:
        """Free the place of a session that is over."""
        self._warm.pop(name, None)
