"""What a gateway remembers of visitors is bounded, however many come and however much they send."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
import weakref

import pytest

from tests.gateway.edge import BOTH_LOOPS, CLOSE, GET, HOST, WITHIN_SECONDS, Receive, Scope, Send, Serve, echo, until
from tests.gateway.front import Front
from waitroom.settings import GatewaySettings

pytestmark = pytest.mark.anyio
FILLING, MORE = 4_200, 1_000
"""Visitors after whom all that is remembered is full, and as many as come then."""
REQUESTS, LONG = 800, 8_000


async def come(front: Front, first: int, visitors: int) -> int:
    """Let visitors wait and come back with a stale pass, once each; how many blocks of memory are in use then."""
    for number in range(first, first + visitors):
        visitor = f"{number:022}"
        front.store.position = 1 + number % 500
        reply = await front.ask(f"/waits/{number}", cookie=f"waitroom-queue-default={front.place(visitor=visitor)}")
        assert reply.status == 200
        passed = front.pass_(visitor=visitor, age_ms=31_000)
        reply = await front.ask(f"/shops/{number}", cookie=f"waitroom-pass-default={passed}")
        assert reply.body == b"the shop"
        front.store.calls.clear()
        front.site.asked.clear()
    gc.collect()
    return sys.getallocatedblocks()


async def test_once_all_that_is_remembered_is_full_more_visitors_leave_nothing_behind() -> None:
    front = Front()
    before = await come(front, 0, FILLING)
    after = await come(front, FILLING, MORE)
    assert after - before < MORE / 2


async def test_nothing_long_that_visitors_send_is_remembered() -> None:
    front = Front(gateway=GatewaySettings(trusted_proxies=["10.0.0.0/8"]))
    await front.ask()
    tracemalloc.start()
    for number in range(REQUESTS):
        long = f"{number:0{LONG}}"
        more = ((f"x-{long}", "1"), ("x-forwarded-for", long), ("user-agent", long), ("accept-language", long))
        await front.ask(f"/{long}?lang={long}", cookie=f"waitroom-lang={long}; a={long}", more=more, peer="10.0.0.1")
        front.store.calls.clear()
        front.site.asked.clear()
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < REQUESTS * LONG / 2


async def echo_or_switch(scope: Scope, receive: Receive, send: Send) -> None:
    tunnel = scope["extensions"].get("waitroom.tunnel")
    if tunnel is None:
        await echo(scope, receive, send)
        return
    over = asyncio.Event()
    await tunnel.open(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", lambda data: None, over.set, over.set)
    await over.wait()


@BOTH_LOOPS
@pytest.mark.parametrize(
    "request_",
    [
        GET + b"\r\n",
        GET + CLOSE + b"\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nbody",
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["kept", "closed", "with a body", "switched"],
)
async def test_a_connection_that_is_over_leaves_no_circle_for_the_collector(serve: Serve, request_: bytes) -> None:
    edge = await serve(echo_or_switch)
    gc.disable()
    try:
        reader, writer = await edge.connect()
        writer.write(request_[:10])
        async with asyncio.timeout(WITHIN_SECONDS):
            while not edge.server.server_state.connections:
                await asyncio.sleep(0.001)
            connection = weakref.ref(next(iter(edge.server.server_state.connections)))
            writer.write(request_[10:])
            await until(reader, b"\r\n\r\n")
            writer.close()
            while connection() is not None:
                await asyncio.sleep(0.001)
    finally:
        gc.enable()
