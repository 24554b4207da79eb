"""What the open consoles see move: made once a second however many look, sent as server-sent events."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import StreamingResponse

from waitroom.domain.audit import Author

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from waitroom.admin.verbs import Verbs

PERIOD_SECONDS: Final = 1.0
LASTS_SECONDS: Final = 10.0
"""How long a stream lasts: browsers open the next by themselves, and have to be let in again."""
NOBODY: Final = Author("console", "")
"""Who looks changes nothing."""
_RETRY: Final = b"retry: 1000\n\n"


class Live:
    """The figures of all rooms, and who looks."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._looking = 0
        self._made: asyncio.Future[bytes] | None = None
        self._making: asyncio.Task[None] | None = None
        self._number = 0
        self._over = False

    async def document(self) -> dict[str, Any]:
        """Return the figures of every room as they are now."""
        said: dict[str, Any] = await self._verbs.perform("live", {}, NOBODY)
        return said

    async def stream(self, request: Request) -> StreamingResponse:
        """Answer with events for `LASTS_SECONDS`, or until the console closes."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no", "x-content-type-options": "nosniff"}
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=headers)

    async def _events(self) -> AsyncIterator[bytes]:
        self._looking += 1
        if self._making is None:
            self._made = asyncio.get_running_loop().create_future()
            self._making = asyncio.create_task(self._make())
        loop = asyncio.get_running_loop()
        end = loop.time() + LASTS_SECONDS
        try:
            yield _RETRY
            while self._made is not None and loop.time() < end and not self._over:
                yield await asyncio.shield(self._made)
        finally:
            self._looking -= 1

    async def _make(self) -> None:
        """Make an event each second while somebody looks."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while self._looking and not self._over:
                self._number += 1
                text = json.dumps(await self.document(), separators=(",", ":"))
                made, self._made = self._made, loop.create_future()
                assert made is not None
                if not made.done():
                    made.set_result(f"id: {self._number}\ndata: {text}\n\n".encode())
                due = max(due + PERIOD_SECONDS, loop.time())
                await asyncio.sleep(due - loop.time())
        finally:
            self._making = None
            if self._made is not None and not self._made.done():
                self._made.cancel()
            self._made = None

    def end(self) -> None:
        """End every stream now, and those to come as soon as they begin."""
        self._over = True
        if self._made is not None and not self._made.done():
            self._made.set_result(b"")

    async def aclose(self) -> None:
        """Make no more events."""
        if self._making is not None:
            self._making.cancel()
            with suppress(asyncio.CancelledError):
                await self._making
