"""A backend that plays a script, the proxy on a real uvicorn in front of it, and clients that speak raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from waitroom.proxy import Proxy, ProxyOptions

if TYPE_CHECKING:
    from pathlib import Path

Script = Callable[["Wire"], Awaitable[None]]

PATIENCE_SECONDS = 30.0
"""A test that waits longer than this for bytes has failed."""


class Wire:
    """One end of a TCP connection, in raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int = 0) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        """Up to and with the next empty line; nothing if the other side has closed."""
        try:
            return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
        except asyncio.IncompleteReadError as cut:
            return cut.partial

    async def exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_SECONDS)

    async def until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), PATIENCE_SECONDS)

    async def rest(self) -> bytes:
        """All that comes until the other side closes or resets."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), PATIENCE_SECONDS)
        return b""

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Backend:
    """Plays `script` on each connection and closes it when the script ends."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self.wires: list[Wire] = []
        self.errors: list[BaseException] = []
        self.port = 0

    @property
    def open(self) -> int:
        return len(self._tasks)

    async def start(self, tls: ssl.SSLContext | None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, len(self.wires))
        self.wires.append(wire)
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            await self._script(wire)
        except (ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - shown by the test that waits for it
            self.errors.append(error)
        finally:
            writer.close()
            self._tasks.discard(task)


class Facts:
    """A ProxyObserver that remembers."""

    def __init__(self) -> None:
        self.finished: list[tuple[str, int]] = []
        self.repeated: list[str] = []
        self.failures: list[tuple[str, str]] = []
        self.connections: list[int] = []
        self.waits = 0
        self.tunnels: list[int] = []

    def request_finished(self, method: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.finished.append((method, status))

    def request_repeated(self, method: str) -> None:
        self.repeated.append(method)

    def backend_failed(self, kind: str, reason: str) -> None:
        self.failures.append((kind, reason))

    def connections_changed(self, count: int) -> None:
        self.connections.append(count)

    def connection_awaited(self, seconds: float) -> None:
        self.waits += 1

    def tunnels_changed(self, count: int) -> None:
        self.tunnels.append(count)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.failures]


class Rig:
    """The proxy between a scripted backend and raw clients."""

    def __init__(self, backend: Backend, proxy: Proxy, facts: Facts, port: int) -> None:
        self.backend = backend
        self.proxy = proxy
        self.facts = facts
        self.port = port
        self._clients: list[Wire] = []

    async def client(self) -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))
        self._clients.append(wire)
        return wire

    async def ask(self, request: bytes) -> bytes:
        """All that comes back until the connection ends."""
        client = await self.client()
        client.write(request)
        return await client.rest()

    async def get(self, path: bytes = b"/", *lines: bytes, method: bytes = b"GET") -> bytes:
        """The whole answer to one request on a connection of its own."""
        return await self.ask(request(path, *lines, b"connection: close", method=method))

    async def settled(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds; a test's end if it never does."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        for client in self._clients:
            client.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()


def request(path: bytes = b"/", *lines: bytes, method: bytes = b"GET") -> bytes:
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"host: shop.test", *lines, b"", b""])


def answer(body: bytes = b"", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"content-length: %d" % len(body), b"", body])


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """The header fields of a raw message, in order."""
    lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def body_of(message: bytes) -> bytes:
    """The body of a whole raw message, put together if it is chunked."""
    head, _, rest = message.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head:
        return rest
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body
        body, rest = body + rest[:length], rest[length + 2 :]


def scope(method: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """An ASGI scope as a server makes it."""
    return {
        "type": "http",
        "method": method,
        "raw_path": b"/",
        "query_string": b"q",
        "scheme": "http",
        "http_version": "1.1",
        "client": None,
        "headers": headers,
    }


async def nothing(*_: Any) -> Any:
    """Receive from a visitor who sends no more and stays."""
    await asyncio.Event().wait()


async def call(
    app: Any, method: str = "GET", headers: list[tuple[bytes, bytes]] | None = None, **more: Any
) -> list[dict[str, Any]]:
    """The messages that an ASGI app sends for a request without a body, with no server around it."""
    sent = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope(method, headers or [(b"host", b"shop.test")]) | more, nothing, send)
    return sent


def self_signed(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost and its key, in one file, and a server's context with it."""
    path, certificate = folder / "localhost.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + certificate.read_bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return path, context


@contextlib.asynccontextmanager
async def proxied(
    script: Script,
    *,
    app: Callable[[Proxy], Any] = lambda proxy: proxy,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[Rig]:
    """A rig for the time of the block; `app` may put an ASGI app around the proxy."""
    backend = Backend(script)
    await backend.start(tls)
    options.setdefault("backend", f"http://127.0.0.1:{backend.port}")
    facts = Facts()
    proxy = Proxy(ProxyOptions(**options), facts)
    config = uvicorn.Config(app(proxy), http="httptools", ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    # uvicorn's protocol without its Server, whose start and stop take a tenth of a second each.
    server = await loop.create_server(lambda: HttpToolsProtocol(config, state, {}), "127.0.0.1", 0)
    rig = Rig(backend, proxy, facts, server.sockets[0].getsockname()[1])
    try:
        yield rig
    finally:
        server.close()
        await rig.close()
        await proxy.aclose()
        for connection in tuple(state.connections):
            connection.shutdown()
        await rig.settled(lambda: not state.tasks)
        await backend.stop()
    assert not backend.errors, backend.errors
