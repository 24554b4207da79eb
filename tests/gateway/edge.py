"""What tests say to a server in raw bytes, and the small applications behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.gateway.protocol import GatewayProtocol, ProtocolLimits

if TYPE_CHECKING:
    import uvicorn

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATIENT = ProtocolLimits()
HASTY = ProtocolLimits(
    first_byte_seconds=0.1,
    header_seconds=0.1,
    body_grace_seconds=0.1,
    body_stall_seconds=0.2,
    write_stall_seconds=0.2,
    linger_seconds=0.1,
)
WITHIN_SECONDS = 30.0
"""How long a test waits for what must come; not a measure of anything."""

BOTH_LOOPS = pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
"""For what depends on how a loop keeps time, pauses, ends or aborts a connection."""

Log = Callable[[], list[dict[str, Any]]]


@dataclass
class Edge:
    """A server, what it refused, and what it was asked."""

    server: uvicorn.Server
    port: int
    refused: list[str] = field(default_factory=list)
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    def has_begun(self) -> bool:
        """Whether a request has come and is not yet answered."""
        return bool(self.server.server_state.tasks)

    def reads_no_more(self) -> bool:
        """Whether a client has sent more than is read for now."""
        open_now = self.server.server_state.connections
        return any(isinstance(one, GatewayProtocol) and one.flow.read_paused for one in open_now)

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        self.clients.append(writer)
        return reader, writer

    async def exchange(self, *parts: bytes) -> bytes:
        """Everything the server sends on one connection until it closes it."""
        reader, writer = await self.connect()
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await all_of(reader)


async def all_of(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.read(), WITHIN_SECONDS)


async def until(reader: asyncio.StreamReader, mark: bytes) -> bytes:
    return await asyncio.wait_for(reader.readuntil(mark), WITHIN_SECONDS)


async def until_true(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


async def silence(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether nothing comes for that long."""
    try:
        await asyncio.wait_for(reader.readexactly(1), seconds)
    except TimeoutError:
        return True
    return False


Serve = Callable[..., Awaitable[Edge]]


def answer(body: bytes = b"ok", status: int = 200, *headers: tuple[bytes, bytes]) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
        await send({"type": "http.response.body", "body": body})

    return app


async def read_body(receive: Receive) -> bytes | None:
    """The whole body; None if the client went away."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    if body is not None:
        await answer(scope["method"].encode() + b" " + scope["raw_path"] + b" " + body)(scope, receive, send)


async def receive_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


CLOSE = b"Connection: close\r\n"
HOST = b"Host: shop.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST + CLOSE
CHUNKED = b"Transfer-Encoding: chunked\r\n"
