"""Visitors who leave in the middle: the backend hears of it at once, and nothing of them stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.proxy.rig import PATIENCE_SECONDS, answer, request
from tests.proxy.stack import site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.proxy.rig import Wire
    from tests.proxy.stack import Stack

pytestmark = pytest.mark.anyio

ABORTS = int(os.environ.get("WAITROOM_ABORTS", "1000"))
AT_ONCE = 50
POOL_SIZE = 20
"""Fewer than come at once: some leave while they wait for a connection."""

HANDSHAKE = request(
    b"/socket",
    b"connection: Upgrade",
    b"upgrade: websocket",
    b"sec-websocket-version: 13",
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"
WITHIN_HUNDREDTHS = 100
UPLOAD = request(b"/upload", b"transfer-encoding: chunked", method=b"POST") + b"5\r\nhello\r\n"
SIZED_UPLOAD = request(b"/sized-upload", b"content-length: 100000000", method=b"POST") + b"hello"


class SlowSite:
    """Answers in a way that depends on the path, never to the end but for `/ok`, and notes when each was left alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.asked: set[bytes] = set()
        self.left: dict[bytes, float] = {}

    async def __call__(self, wire: Wire) -> None:
        while head := await self._head(wire):
            path = head.split(b" ")[1]
            self.asked.add(path)
            if path == b"/ok":
                await wire.send(answer(b"ok"))
                continue
            with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop's word for writing to what is closed
                await self._stay(wire, path.split(b"?")[0])
            self.left[path] = self._clock()
            return

    async def _head(self, wire: Wire) -> bytes:
        try:
            return await wire.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""

    async def _stay(self, wire: Wire, path: bytes) -> None:
        if path == b"/events":
            wire.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        elif path == b"/until-close":
            wire.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        elif path == b"/socket":
            wire.write(SWITCH)
        if path != b"/events":
            while await wire.reader.read(65_536):
                pass
        while path == b"/events" and not wire.writer.is_closing() and not wire.reader.at_eof():
            await wire.send(b"5\r\ndata\n\r\n")
            await asyncio.sleep(0.01)


WAYS = {
    b"/get": (request(b"/get"), b""),
    b"/post": (request(b"/post", b"content-length: 2", method=b"POST") + b"ok", b""),
    b"/events": (request(b"/events"), b"data\n"),
    b"/until-close": (request(b"/until-close"), b"hello"),
    b"/upload": (UPLOAD, b""),
    b"/sized-upload": (SIZED_UPLOAD, b""),
    b"/socket": (HANDSHAKE, b"101"),
}
"""What a visitor asks for, and how much of the answer there is before they leave."""


@contextlib.asynccontextmanager
async def hundredths() -> AsyncIterator[Callable[[], int]]:
    """A clock of those hundredths of a second in which this process could run: it stands still with the machine."""
    passed = 0

    async def tick() -> None:
        nonlocal passed
        while True:
            await asyncio.sleep(0.01)
            passed += 1

    ticking = asyncio.create_task(tick())
    try:
        yield lambda: passed
    finally:
        ticking.cancel()


async def test_the_backend_hears_within_a_second_that_a_visitor_has_left() -> None:
    async with hundredths() as clock, site(slow := SlowSite(clock)) as (stack, backend):
        left = {}
        for how in (b"?closes", b"?resets"):
            clients = {}
            for path, (asks, waits_for) in WAYS.items():
                client = clients[path + how] = await stack.client()
                client.write(asks.replace(path, path + how, 1))
                if waits_for:
                    await client.until(waits_for)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not slow.asked >= clients.keys():
                    await asyncio.sleep(0.005)
            for path, client in clients.items():
                left[path] = clock()
                client.close() if how == b"?closes" else client.reset()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not slow.left.keys() >= clients.keys():
                    await asyncio.sleep(0.005)
        late = {path: slow.left[path] - left[path] for path in left if slow.left[path] - left[path] > WITHIN_HUNDREDTHS}
        assert late == {}
        assert len(left) == 2 * len(WAYS)
        await stack.idle()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while stack.proxy.pool.slots or backend.open:
                await asyncio.sleep(0.005)


async def leave_in_the_middle(stack: Stack, number: int, turns: asyncio.Semaphore) -> None:
    """One visitor, who leaves at a point that depends on the number."""
    async with turns:
        client = await stack.client()
        kind, way = number % 7, number % 3
        client.write(
            (
                request(b"/get"),
                request(b"/events"),
                UPLOAD,
                SIZED_UPLOAD,
                HANDSHAKE,
                request(b"/until-close"),
                request(b"/get")[:20],
            )[kind]
        )
        if way == 1:
            for _ in range(number % 11):
                await asyncio.sleep(0)
        elif way == 2 and kind in {1, 4, 5}:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await client.reader.readexactly(12)
        if number % 2:
            client.reset()
        else:
            client.close()


@pytest.mark.scaled
async def test_visitors_who_leave_at_any_moment_leave_no_connection_behind(
    record_property: Callable[[str, object], None],
) -> None:
    """Those that are left were opened for somebody who was gone before using them, and serve the next."""
    record_property("aborted requests", ABORTS)
    async with site(SlowSite(), pool_size=POOL_SIZE) as (stack, backend):
        pool = stack.proxy.pool
        turns = asyncio.Semaphore(AT_ONCE)
        async with asyncio.timeout(max(30, ABORTS / 50)):
            await asyncio.gather(*(leave_in_the_middle(stack, number, turns) for number in range(ABORTS)))
            await stack.idle()
            while not pool.slots == pool.idle == backend.open:
                await asyncio.sleep(0.005)
        assert pool.waiting == 0
        assert all(connection.uses == 0 for connection in pool._idle)
        client = await stack.client()
        for _ in range(100):
            client.write(request(b"/ok"))
            assert (await client.head()).startswith(b"HTTP/1.1 200")
            assert await client.exactly(2) == b"ok"
        client.close()
