"""A site that writes down all it is asked and whose door can be shut, and the ways to ask that no browser has."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.journeys.stage import ADMIN_TOKEN
from waitroom.demo.browser import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.journeys.stage import Serving

PERSON = ("accept: text/html", "sec-fetch-mode: navigate", "sec-fetch-site: same-origin")
SCRIPT = ("accept: application/json", "sec-fetch-mode: cors", "sec-fetch-site: same-origin")
PAGE = b"<!doctype html><title>shop</title><h1>The shop</h1>"


class Witness:
    """Answers at once when a request is whole. `/done` ends a session, as a confirmed order does."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[tuple[str, str]] = []
        """Method and target of each request of which the head came, less what browsers ask for by themselves."""
        self.open_connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Take visitors, on the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self.open_connections):
            transport.abort()


class _Conversation(asyncio.Protocol):
    def __init__(self, site: Witness) -> None:
        self.site = site
        self.buffer = b""
        self.body_left = 0
        self.target = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.site.open_connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.site.open_connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            if not self.target:
                end = self.buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                head, self.buffer = self.buffer[:end].decode("latin-1"), self.buffer[end + 4 :]
                method, self.target, _ = head.partition("\r\n")[0].split(" ")
                size = re.search(r"(?im)^content-length: (\d+)", head)
                self.body_left = int(size[1]) if size else 0
                if self.target != "/favicon.ico":
                    self.site.asked.append((method, self.target))
            self.body_left, self.buffer = max(0, self.body_left - len(self.buffer)), self.buffer[self.body_left :]
            if self.body_left:
                return
            release = "waitroom-release: 1\r\n" if self.target.endswith("/done") else ""
            self.target = ""
            head = f"HTTP/1.1 200 OK\r\nsite: yes\r\n{release}content-type: text/html\r\ncontent-length: {len(PAGE)}\r\n\r\n"
            self.transport.write(head.encode() + PAGE)


@asynccontextmanager
async def witness() -> AsyncIterator[Witness]:
    """Run a `Witness` on a free port."""
    site = Witness()
    await site.open()
    try:
        yield site
    finally:
        site.shut()


async def send(port: int, request: bytes, *, seconds: float = 10) -> bytes:
    """Send bytes, and return all that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.transport.abort()


async def ask(port: int, path: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> Answer:
    """Ask on a connection of its own, with exactly these header lines beside Host and what the body needs."""
    lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{port}", "connection: close", *fields]
    if body or method != "GET":
        lines.append(f"content-length: {len(body)}")
    return parsed(await send(port, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body))


def parsed(response: bytes) -> Answer:
    """Return a response that the end of the connection ends."""
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return Answer(int(first.split(" ")[1]), tuple((name.lower(), value.strip()) for name, _, value in fields), body)


async def counted(running: Serving, series: str, label: str) -> dict[str, int]:
    """Return the value of each series of that name, by one of its labels."""
    text = (await ask(urlsplit(running.admin_url).port or 0, "/metrics")).body.decode()
    pattern = rf'^{series}{{[^}}]*\b{label}="([^"]*)"[^}}]*}} (\S+)$'
    return {value: int(float(count)) for value, count in re.findall(pattern, text, re.MULTILINE)}


async def told_api(running: Serving, method: str, path: str, document: Any = None) -> Any:
    """Ask the admin API as the holder of the house's token does; `path` stands after /api/v1."""
    answer = await ask(
        urlsplit(running.admin_url).port or 0,
        f"/api/v1{path}",
        f"authorization: Bearer {ADMIN_TOKEN}",
        "content-type: application/json",
        method=method,
        body=b"" if document is None else json.dumps(document).encode(),
    )
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def operate(running: Serving, method: str, path: str, document: Any = None, *, room: str = "sale") -> Any:
    """Ask the admin API of one room; `path` stands after its name."""
    return await told_api(running, method, f"/rooms/{room}{path}", document)
