"""Large bodies: whatever the speed of either side, little of them is held here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from tests.proxy.rig import Wire, call, nothing, proxied, request, scope
from tests.proxy.stack import site
from waitroom.read_buffer import READ_BYTES

if TYPE_CHECKING:
    from waitroom.proxy import Proxy

pytestmark = pytest.mark.anyio

SIZE_BYTES = 64 * 2**20
HELD_DOWN_BYTES = 2 * READ_BYTES
"""What may be held of one answer: a read that the visitor has not taken whole, and one that follows it."""
HELD_UP_BYTES = 2 * (HIGH_WATER_LIMIT + READ_BYTES)
"""And of one request: the same, where as much is read in a row as the high water allows."""
UNDERWAY_BYTES = 48 * 2**20
"""That, and the four socket buffers of the kernel, which grow to some 10 MB each."""


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_slow_reader_makes_the_backend_wait(*, chunked: bool) -> None:
    """64 MB, of which no more than a few are ever between backend and visitor."""
    sent = 0
    part = b"x" * 2**18
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % SIZE_BYTES

    async def script(wire: Wire) -> None:
        nonlocal sent
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        for _ in range(SIZE_BYTES // len(part)):
            await wire.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            sent += len(part)
        await wire.send(b"0\r\n\r\n" if chunked else b"")

    async with site(script) as (stack, _):
        client = await stack.client()
        client.write(request(b"/", b"connection: close"))
        await client.head()
        await stands_still(lambda: sent)
        assert 0 < sent < UNDERWAY_BYTES
        (exchange,) = stack.proxy._live
        assert exchange.connection is not None
        held_bytes = exchange.connection._buffered_bytes + stack.visitor.transport.get_write_buffer_size()
        assert 0 < held_bytes <= HELD_DOWN_BYTES
        got = 0
        most = 0
        while data := await client.reader.read(2**18):
            got += len(data)
            most = max(most, sent - got)
        assert got >= SIZE_BYTES
        assert most < UNDERWAY_BYTES


async def test_an_answer_that_is_there_is_one_message_where_the_server_takes_that() -> None:
    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole")

    async with proxied(script) as rig:
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
        together = await call(rig.proxy, extensions={"waitroom.body_in_start": True})
        assert together == [start | {"body": b"whole", "more_body": False}]
        assert await call(rig.proxy) == [start, {"type": "http.response.body", "body": b"whole", "more_body": False}]


@pytest.mark.parametrize("each", [1, 3])
async def test_parts_are_passed_on_by_calls_while_the_server_takes_them(each: int) -> None:
    """After a part with which it can take no more, `send` is asked when it can; the last part always comes by `send`."""
    go = asyncio.Event()
    steps: list[bytes] = []

    async def script(wire: Wire) -> None:
        while await wire.head():
            wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n")
            for number in range(10):
                await wire.send(b"%04d" % number)
                await go.wait()
                go.clear()

    def pass_on(body: bytes) -> bool:
        steps.append(body)
        go.set()
        return len(steps) % each > 0

    async with proxied(script) as rig:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)
            if message.get("body"):
                go.set()

        app = rig.proxy
        extensions = {"waitroom.body_in_start": True, "waitroom.pass_on": pass_on}
        await app(scope("GET", [(b"host", b"shop.test")]) | {"extensions": extensions}, nothing, send)
    first, *waits, last = messages
    parts = [first["body"], *steps, last["body"]]
    assert b"".join(parts) == b"".join(b"%04d" % number for number in range(10))
    assert not last["more_body"]
    assert waits == [{"type": "http.response.body", "body": b"", "more_body": True}] * (len(steps) // each)
    assert len(steps) >= 7


async def test_the_first_sweep_closes_no_connection_that_was_just_used() -> None:
    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with proxied(script) as rig:
        await call(rig.proxy)
        rig.proxy._sweep()
        assert (rig.proxy.pool.idle, rig.proxy.pool.slots) == (1, 1)


async def test_a_slow_backend_makes_the_visitor_wait() -> None:
    go = asyncio.Event()
    got = 0

    async def script(wire: Wire) -> None:
        nonlocal got
        await wire.head()
        await go.wait()
        while got < SIZE_BYTES:
            got += len(await wire.reader.read(2**18))
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with site(script) as (stack, _), asyncio.TaskGroup() as tasks:
        client = await stack.client()
        sent = 0

        async def upload() -> None:
            nonlocal sent
            await client.send(request(b"/", b"content-length: %d" % SIZE_BYTES, method=b"POST"))
            for _ in range(SIZE_BYTES // 2**18):
                await client.send(b"x" * 2**18)
                sent += 2**18

        uploading = tasks.create_task(upload())
        await stands_still(lambda: sent)
        assert 0 < sent < UNDERWAY_BYTES
        (exchange,) = stack.proxy._live
        assert exchange.connection is not None
        assert exchange.connection._transport is not None
        held_bytes = exchange.connection._transport.get_write_buffer_size() + stack.visitor.cycle._pieces_bytes
        assert 0 < held_bytes <= HELD_UP_BYTES
        go.set()
        await uploading
        assert (await client.head()).startswith(b"HTTP/1.1 200")
        assert got == SIZE_BYTES


async def stands_still(count: Any) -> None:
    """Until a count has not moved for a while."""
    before = -1
    while count() != before:
        before = count()
        await asyncio.sleep(0.2)


async def test_a_slow_visitor_holds_no_connection_once_the_answer_is_here() -> None:
    """And a slow reader's silence is not taken for the backend's."""
    size = 300_000

    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)

    def slow(proxy: Proxy) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def sleepy(message: Any) -> None:
                if message["type"] == "http.response.body":
                    await asyncio.sleep(0.3)
                await send(message)

            await proxy(scope, receive, sleepy)

        return app

    async with proxied(script, app=slow, read_timeout_seconds=0.1) as rig:
        client = await rig.client()
        client.write(request())
        await client.head()
        assert len(await client.exactly(size)) == size
        await rig.settled(lambda: rig.proxy.pool.idle == 1)
        assert rig.facts.failures == []
