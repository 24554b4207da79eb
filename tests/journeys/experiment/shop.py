"""The shop of the experiments: it writes down every request, and can be down, slow, resetting and cut off in the middle.

A target is `/KIND/STORY-NUMBER`: which visitor's story it belongs to, and a number that no other request has.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SLOW_SECONDS = 1.0


class Health(StrEnum):
    """What the shop does with a request it has received."""

    WELL = "well"
    SLOW = "slow"
    RESETTING = "resetting"
    CUTTING = "cutting"


def page(target: str) -> bytes:
    """Return the page at a target, whole."""
    return (target + " ").encode("ascii") * 60


class Shop:
    """What it has seen. Times are those of `time.monotonic`."""

    def __init__(self) -> None:
        self.port = 0
        self.health = Health.WELL
        self.asked: Counter[str] = Counter()
        """How often each target was asked for."""
        self.first_seen: dict[int, float] = {}
        """By story."""
        self.done: dict[int, float] = {}
        self.open_connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Take visitors, on the same port as before."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Talk(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self.open_connections):
            transport.abort()

    def seen(self, target: str) -> None:
        """Note a request."""
        self.asked[target] += 1
        _, kind, name = target.split("/")
        story = int(name.partition("-")[0])
        now = time.monotonic()
        self.first_seen.setdefault(story, now)
        if kind == "done":
            self.done.setdefault(story, now)


class _Talk(asyncio.Protocol):
    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.shop.open_connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.shop.open_connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
            target = head.split(b" ", 2)[1].decode("ascii")
            self.shop.seen(target)
            if self.shop.health is Health.SLOW:
                asyncio.get_running_loop().call_later(SLOW_SECONDS, self.answer, target)
            elif self.shop.health is Health.RESETTING:
                self.transport.abort()
                return
            else:
                self.answer(target)

    def answer(self, target: str) -> None:
        body = page(target)
        release = "waitroom-release: 1\r\n" if target.startswith("/done/") else ""
        head = (
            f"HTTP/1.1 200 OK\r\nsite: yes\r\n{release}content-type: text/html\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        if self.shop.health is Health.CUTTING:
            self.transport.write(head.encode() + body[: len(body) // 2])
            self.transport.close()
        else:
            self.transport.write(head.encode() + body)


@asynccontextmanager
async def a_shop() -> AsyncIterator[Shop]:
    """Run a `Shop` on a free port."""
    shop = Shop()
    await shop.open()
    try:
        yield shop
    finally:
        shop.shut()
