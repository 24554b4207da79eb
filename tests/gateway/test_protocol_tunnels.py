"""Upgraded connections, under a real server on both of asyncio's loops."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.edge import (
    BOTH_LOOPS,
    GET,
    HASTY,
    HOST,
    WITHIN_SECONDS,
    Receive,
    Scope,
    Send,
    Serve,
    all_of,
    answer,
    echo,
    receive_disconnect,
    silence,
    until,
    until_true,
)

pytestmark = [pytest.mark.anyio, BOTH_LOOPS]

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
UPGRADE = GET + b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


@dataclass
class Tunnelled:
    """An application that opens the tunnel when told to and writes down what comes through."""

    ready: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    events: asyncio.Queue[bytes | str] = field(default_factory=asyncio.Queue)
    transport: asyncio.Transport | None = None
    tunnel: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.tunnel = scope["extensions"]["waitroom.tunnel"]
        assert scope["type"] == "http"
        await self.ready.wait()
        self.transport = await self.tunnel.open(
            SWITCH,
            self.events.put_nowait,
            lambda: self.events.put_nowait("eof"),
            lambda: self.events.put_nowait("lost"),
        )
        assert self.events.empty()
        await self.done.wait()

    async def next(self) -> bytes | str:
        return await asyncio.wait_for(self.events.get(), WITHIN_SECONDS)


async def test_a_tunnel_carries_bytes_both_ways_after_the_head_of_the_application(serve: Serve) -> None:
    app = Tunnelled()
    edge = await serve(app, HASTY, timeout_keep_alive=0)
    reader, writer = await edge.connect()
    writer.write(UPGRADE + b"early")
    assert await silence(reader, 0.25)  # nothing is due from the client
    writer.write(b" and later")
    app.ready.set()
    assert await until(reader, b"\r\n\r\n") == SWITCH
    received = b""
    while received != b"early and later":
        data = await app.next()
        assert isinstance(data, bytes)
        received += data
    writer.write(b"up")
    assert await app.next() == b"up"
    assert app.transport is not None
    app.transport.write(b"down")
    await app.tunnel.drain()
    assert await until(reader, b"down") == b"down"
    assert await silence(reader, 0.25)  # no deadline of a request applies
    writer.write_eof()
    assert await app.next() == "eof"
    app.transport.write(b"half open")
    assert await until(reader, b"open") == b"half open"
    app.transport.close()
    assert await all_of(reader) == b""
    assert await app.next() == "lost"
    app.done.set()
    assert (edge.refused, edge.server.server_state.total_requests) == ([], 1)


async def test_what_comes_before_the_tunnel_opens_waits_in_bounded_memory_and_in_order(serve: Serve) -> None:
    app = Tunnelled()
    edge = await serve(app)
    _, writer = await edge.connect()
    data = b"".join(b"%07d\n" % n for n in range(100_000))
    writer.write(UPGRADE)
    writer.write(data)
    await until_true(edge.reads_no_more)
    app.ready.set()
    received = bytearray()
    while len(received) < len(data):
        piece = await app.next()
        assert isinstance(piece, bytes)
        received += piece
    assert received == data
    app.done.set()


async def test_an_application_that_leaves_closes_its_tunnel(serve: Serve) -> None:
    app = Tunnelled()
    app.ready.set()
    app.done.set()
    edge = await serve(app)
    assert await edge.exchange(UPGRADE) == SWITCH
    assert app.events.empty()


async def test_a_client_gone_before_the_tunnel_opens_is_told_after_it(serve: Serve) -> None:
    app = Tunnelled()
    edge = await serve(app)
    _, writer = await edge.connect()
    writer.write(UPGRADE + b"last words")
    await until_true(edge.has_begun)
    writer.close()
    await until_true(lambda: not edge.server.server_state.connections)
    app.ready.set()
    assert [await app.next(), await app.next(), await app.next()] == [b"last words", "eof", "lost"]
    await asyncio.wait_for(app.tunnel.drain(), WITHIN_SECONDS)
    app.done.set()


async def test_shutdown_closes_a_tunnel(serve: Serve) -> None:
    app = Tunnelled()
    app.ready.set()
    edge = await serve(app)
    reader, writer = await edge.connect()
    writer.write(UPGRADE)
    await until(reader, b"\r\n\r\n")
    stopping = asyncio.ensure_future(edge.server.shutdown())
    assert await app.next() == "lost"
    app.done.set()
    await asyncio.wait_for(stopping, WITHIN_SECONDS)


async def test_a_tunnel_opened_during_shutdown_is_closed_at_once(serve: Serve) -> None:
    app = Tunnelled()
    edge = await serve(app)
    _, writer = await edge.connect()
    writer.write(UPGRADE)
    await until_true(edge.has_begun)
    stopping = asyncio.ensure_future(edge.server.shutdown())
    await asyncio.sleep(0)
    app.ready.set()
    assert await app.next() == "lost"
    app.done.set()
    await asyncio.wait_for(stopping, WITHIN_SECONDS)


async def test_an_upgrade_answered_normally_is_answered_and_closed(serve: Serve) -> None:
    edge = await serve(answer(b"wait", 429))
    response = await edge.exchange(UPGRADE + b"frames")
    assert response.startswith(b"HTTP/1.1 429 ")
    assert b"connection: close" in response
    assert response.endswith(b"wait")


async def test_a_tunnel_opens_once_and_only_before_a_response(serve: Serve) -> None:
    errors: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tunnel = scope["extensions"]["waitroom.tunnel"]
        nothing: Any = print
        if scope["path"] == "/":
            await tunnel.open(SWITCH, nothing, nothing, nothing)
            waiting = asyncio.ensure_future(receive_disconnect(receive))
            await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await tunnel.open(SWITCH, nothing, nothing, nothing)
        except RuntimeError as error:
            errors.append(str(error))
        if scope["path"] != "/":
            await send({"type": "http.response.body"})

    edge = await serve(app)
    await edge.exchange(UPGRADE)
    await edge.exchange(UPGRADE.replace(b"/ ", b"/x ", 1))
    assert errors == ["The tunnel is already open.", "A response has begun; the tunnel cannot be opened."]


async def test_a_client_that_does_not_read_its_tunnel_is_cut_off(serve: Serve) -> None:
    app = Tunnelled()
    app.ready.set()
    edge = await serve(app, HASTY)
    reader, writer = await edge.connect(limit=1024)
    writer.write(UPGRADE)
    await until(reader, b"\r\n\r\n")
    assert app.transport is not None
    app.transport.write(b"a" * 20_000_000)
    draining = asyncio.ensure_future(app.tunnel.drain())
    assert await app.next() == "lost"
    await asyncio.wait_for(draining, WITHIN_SECONDS)
    app.done.set()
    assert edge.refused == ["write_stall"]


async def test_a_tunnel_may_stand_behind_another_request(serve: Serve) -> None:
    tunnelled = Tunnelled()
    tunnelled.ready.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if "waitroom.tunnel" in scope["extensions"]:
            await tunnelled(scope, receive, send)
        else:
            await echo(scope, receive, send)

    edge = await serve(app)
    reader, writer = await edge.connect()
    writer.write(b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n" + UPGRADE + b"frames")
    assert (await until(reader, SWITCH)).endswith(b"GET /1 " + SWITCH)
    assert await tunnelled.next() == b"frames"
    tunnelled.done.set()
    assert await all_of(reader) == b""
