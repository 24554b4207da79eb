"""WebSockets: a handshake like any request, then bytes both ways until either side ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.proxy.rig import PATIENCE_SECONDS, Rig, Wire, answer, call, fields, proxied, request, self_signed
from waitroom.proxy.websocket import run_tunnel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

HANDSHAKE = [
    (b"host", b"shop.test"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-protocol", b"chat, soap"),
]
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)


class Client(asyncio.Transport):
    """A visitor's connection that remembers, and the Tunnel to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.buffered = 0
        self.paused = False
        self.closed = False
        self.drained = asyncio.Event()
        self.opened = asyncio.Event()
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.on_eof: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None
        self.early = b""

    async def open(
        self,
        head: bytes,
        on_data: Callable[[bytes], None],
        on_eof: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> asyncio.Transport:
        self.written += head
        self.on_data, self.on_eof, self.on_lost = on_data, on_eof, on_lost
        if self.early:
            on_data(self.early)
        self.opened.set()
        return self

    async def drain(self) -> None:
        await self.drained.wait()
        self.buffered = 0

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def open_tunnel(rig: Rig, client: Client) -> asyncio.Task[Any]:
    task = asyncio.create_task(call(rig.proxy, headers=HANDSHAKE, extensions={"waitroom.tunnel": client}))
    await asyncio.wait_for(client.opened.wait(), PATIENCE_SECONDS)
    return task


async def echo(wire: Wire) -> None:
    await wire.head()
    await wire.send(SWITCH)
    while data := await wire.reader.read(65536):
        await wire.send(data)


async def test_the_handshake_passes_with_its_fields_and_bytes_come_back() -> None:
    heads = []

    async def script(wire: Wire) -> None:
        heads.append(await wire.head())
        await wire.send(SWITCH + b"\x81\x05hello")  # the first frame on the heels of the head
        while data := await wire.reader.read(65536):
            await wire.send(data)

    async with proxied(script) as rig:
        client = Client()
        client.early = b"\x81\x85early"
        task = await open_tunnel(rig, client)
        frames = b"\x81\x05hello" + client.early
        for number in range(1000):
            client.on_data(b"\x89%04d" % number)
            frames += b"\x89%04d" % number
        await rig.settled(lambda: client.written.endswith(b"0999"))
        head, _, rest = client.written.partition(b"\r\n\r\n")
        assert rest == frames
        assert head.split(b"\r\n")[0] == b"HTTP/1.1 101 Switching Protocols"
        assert dict(fields(head + b"\r\n\r\n")) == {
            b"sec-websocket-accept": b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            b"sec-websocket-protocol": b"chat",
            b"connection": b"Upgrade",
            b"upgrade": b"websocket",
        }
        assert rig.facts.finished == [("GET", 101)]
        client.on_lost()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        assert rig.facts.tunnels == [1, 0]
        assert rig.facts.finished == [("GET", 101)]
        await rig.settled(lambda: rig.proxy.pool.slots == 0)
    sent = dict(fields(heads[0]))
    assert (sent[b"connection"], sent[b"upgrade"]) == (b"Upgrade", b"websocket")
    assert sent[b"sec-websocket-protocol"] == b"chat, soap"


async def test_a_refused_handshake_is_an_ordinary_answer() -> None:
    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(answer(b"log in first", status=b"403 Forbidden"))

    async with proxied(script) as rig:
        for _ in range(2):
            sent = await call(rig.proxy, headers=HANDSHAKE, extensions={"waitroom.tunnel": Client()})
            assert (sent[0]["status"], sent[1]["body"]) == (403, b"log in first")
        assert len(rig.backend.wires) == 1


async def test_the_end_of_the_backend_ends_the_visitors_side_after_its_last_bytes() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(SWITCH)
        await wire.send(b"\x88\x02\x03\xe8")

    async with proxied(script) as rig:
        client = Client()
        await asyncio.wait_for(await open_tunnel(rig, client), PATIENCE_SECONDS)
        assert client.written.endswith(b"\x88\x02\x03\xe8")
        assert client.closed


async def test_a_backend_that_ends_with_the_handshake_ends_the_tunnel() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(SWITCH)

    async with proxied(script) as rig:
        client = Client()

        async def late(head: bytes, *callbacks: Any) -> asyncio.Transport:
            await rig.settled(lambda: rig.backend.open == 0)
            await rig.settled(lambda: rig.proxy.pool.slots == 0)
            return client

        client.open = late  # type: ignore[method-assign, assignment]
        async with asyncio.timeout(PATIENCE_SECONDS):
            await call(rig.proxy, headers=HANDSHAKE, extensions={"waitroom.tunnel": client})
        assert client.closed


async def test_a_visitor_who_says_no_more_may_still_hear_the_backend_out() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(SWITCH)
        assert await wire.rest() == b"bye"
        await wire.send(b"goodbye")

    async with proxied(script) as rig:
        client = Client()
        task = await open_tunnel(rig, client)
        client.on_data(b"bye")
        client.on_eof()
        client.on_eof()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        assert client.written.endswith(b"goodbye")


async def test_a_half_open_tunnel_does_not_stay_for_ever() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(SWITCH)
        await wire.rest()
        await asyncio.Event().wait()

    async with proxied(script) as rig:
        connection = await rig.proxy.pool.acquire()
        connection.begin("GET", upgrading=True)
        connection.write(request())
        await connection.wait()
        client = Client()
        task = asyncio.create_task(run_tunnel(client, connection, half_open_seconds=0.05))
        await client.opened.wait()
        client.on_eof()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        assert client.closed


async def test_a_visitor_who_does_not_read_stops_the_backend() -> None:
    sent = 0

    async def script(wire: Wire) -> None:
        nonlocal sent
        await wire.head()
        await wire.send(SWITCH)
        for _ in range(200):
            await wire.send(b"x" * 100_000)
            sent += 100_000

    async with proxied(script) as rig:
        client = Client()
        client.buffered = 10**6
        task = await open_tunnel(rig, client)
        await asyncio.sleep(0.3)
        assert len(client.written) < 2**20
        assert sent < 10_000_000
        client.drained.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        assert len(client.written.partition(b"\r\n\r\n")[2]) == 20_000_000


@pytest.mark.parametrize("early", [b"", b"x" * 20_000_000])
async def test_a_backend_that_does_not_read_stops_the_visitor(early: bytes) -> None:
    go = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(SWITCH)
        await go.wait()
        await wire.exactly(20_000_000)
        await wire.send(b"all")

    async with proxied(script) as rig:
        client = Client()
        client.early = early
        task = await open_tunnel(rig, client)
        for _ in range(200 - len(early) // 100_000):
            client.on_data(b"x" * 100_000)
        await rig.settled(lambda: client.paused)
        go.set()
        await rig.settled(lambda: not client.paused)
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        assert client.written.endswith(b"all")


async def test_over_tls_there_is_no_half_close(tmp_path: Path) -> None:
    certificate, context = self_signed(tmp_path)
    async with proxied(echo, tls=context) as server:
        url = f"https://localhost:{server.backend.port}"
        async with proxied(echo, backend=url, ca_file=str(certificate)) as rig:
            client = Client()
            task = await open_tunnel(rig, client)
            client.on_data(b"over TLS")
            await rig.settled(lambda: client.written.endswith(b"over TLS"))
            client.on_eof()
            await asyncio.wait_for(task, PATIENCE_SECONDS)


async def test_a_stopping_server_ends_both_sides() -> None:
    async with proxied(echo) as rig:
        client = Client()
        task = await open_tunnel(rig, client)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.closed
        await rig.settled(lambda: rig.backend.open == 0)
        assert rig.facts.tunnels == [1, 0]


async def test_silence_does_not_end_a_tunnel_but_a_late_handshake_is_a_504() -> None:
    async with proxied(echo, read_timeout_seconds=0.5) as rig:
        client = Client()
        task = await open_tunnel(rig, client)
        await asyncio.sleep(0.7)
        client.on_data(b"still here")
        await rig.settled(lambda: client.written.endswith(b"still here"))
        client.on_lost()
        await task

    async def silent(wire: Wire) -> None:
        await wire.rest()

    async with proxied(silent, read_timeout_seconds=0.1) as rig:
        tunnel = cast("object", Client())
        sent = await call(rig.proxy, headers=HANDSHAKE, extensions={"waitroom.tunnel": tunnel})
        assert sent[0]["status"] == 504
