"""A server that hears what a client sends and says what the test tells it to, when it tells it to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from hiredis import Reader

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

GREETINGS = {b"AUTH", b"SELECT", b"CLIENT"}


class Connection(asyncio.Protocol):
    """One client's connection. Greetings are answered at once, by what `Scripted.refuses` says."""

    def __init__(self, server: Scripted) -> None:
        self.server = server
        self.heard: list[list[bytes]] = []
        self.chunks = 0
        self.closed = asyncio.get_running_loop().create_future()
        self._reader = Reader(notEnoughData=self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.server.connections.append(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        chunk = 0
        while (command := self._reader.gets()) is not self:
            if command[0] in GREETINGS:
                self.server.greeted.append(command)
                if not self.server.mute:
                    self.say(self.server.refuses.get(command[0], b"+OK\r\n"))
                continue
            if command[0] == b"ROLE" and self.server.role:
                self.say(self.server.role)
                continue
            chunk = 1
            self.heard.append(command)
            if self.server.answers is not None:
                self.say(self.server.answers(command))
        self.chunks += chunk
        self.server.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)

    def say(self, data: bytes) -> None:
        self._transport.write(data)

    def hang_up(self) -> None:
        self._transport.abort()


class Scripted:
    """`answers` makes an answer of a command at once; without it the test uses `connections[…].say`."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.greeted: list[list[bytes]] = []
        self.refuses: dict[bytes, bytes] = {}
        self.mute = False
        self.role = b""
        """The answer to every ROLE, which then is not noted down."""
        self.answers: Callable[[list[bytes]], bytes] | None = None
        self._news = asyncio.Event()

    @property
    def heard(self) -> list[list[bytes]]:
        """All commands but greetings, connection by connection."""
        return [command for connection in self.connections for command in connection.heard]

    def wake(self) -> None:
        self._news.set()

    async def until(self, happened: Callable[[], Any]) -> None:
        """Return when `happened()` after something was heard."""
        async with asyncio.timeout(30):
            while not happened():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def scripted(path: Path | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Scripted, int]]:
    """Serve on the socket `path`, or on a free port of 127.0.0.1, which is the second value."""
    server = Scripted()
    loop = asyncio.get_running_loop()

    def connection() -> Connection:
        return Connection(server)

    if path is not None:
        listening = await loop.create_unix_server(connection, str(path))
    else:
        listening = await loop.create_server(connection, "127.0.0.1", 0, ssl=tls)
    try:
        yield server, 0 if path is not None else listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()
        for open_one in server.connections:
            open_one.hang_up()
            await open_one.closed


def text(value: str | bytes) -> bytes:
    """`value` as the server writes it."""
    raw = value if isinstance(value, bytes) else value.encode()
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


def echo(command: list[bytes]) -> bytes:
    """Answer with the command's last word."""
    return text(command[-1])
