"""WebSockets of a library that nobody here wrote, through the gateway as without it."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.typing import Subprotocol

from tests.journeys.stage import serving, write_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from websockets.typing import Data

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

MESSAGES = 10_000
LARGEST_BYTES = 2 * 1024 * 1024
UNDER_WAY = 200
"""How many messages may be out and not yet back: fewer than all buffers on the way hold."""


@dataclass
class Echo:
    """A site that sends back what it gets, but for the few words that ask for more."""

    port: int = 0
    handshakes: int = 0
    """How many reached it at all."""
    pongs: int = 0
    closes: list[tuple[int | None, str | None]] = field(default_factory=list)
    """How visitors closed: code and reason."""
    compressed: list[bool] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def handshake(self, connection: ServerConnection, request: Any) -> None:
        self.handshakes += 1

    def choose(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return Subprotocol("shop.v1") if "shop.v1" in offered else None

    async def serve(self, connection: ServerConnection) -> None:
        self.compressed.append(_is_compressed(connection))
        try:
            async for message in connection:
                if message == "ping me":
                    await (await connection.ping(b"from the site"))
                    self.pongs += 1
                    await connection.send("ponged")
                elif message == "close me":
                    await connection.close(4002, "by the site")
                elif message == "drop me":
                    connection.transport.abort()
                else:
                    await connection.send(message)
        finally:
            self.closes.append((connection.close_code, connection.close_reason))
            self.closed.set()


def _is_compressed(connection: ServerConnection | ClientConnection) -> bool:
    return any(isinstance(extension, PerMessageDeflate) for extension in connection.protocol.extensions)


@asynccontextmanager
async def echo_site() -> AsyncIterator[Echo]:
    """Run an `Echo`."""
    echo = Echo()
    async with serve(
        echo.serve,
        "127.0.0.1",
        0,
        select_subprotocol=echo.choose,
        process_request=echo.handshake,
        max_size=2 * LARGEST_BYTES,
    ) as server:
        echo.port = next(iter(server.sockets)).getsockname()[1]
        yield echo


def through(port: int, cookie: str = "", **options: Any) -> connect:
    """A client of the gateway."""
    headers = {"Cookie": cookie} if cookie else {}
    return connect(
        f"ws://127.0.0.1:{port}/socket?a=%20b",
        additional_headers=headers,
        proxy=None,
        max_size=2 * LARGEST_BYTES,
        **options,
    )


def pass_of(connection: ClientConnection) -> str:
    """Return the pass that the handshake set, as a Cookie header has it."""
    assert connection.response is not None
    (cookie,) = connection.response.headers.get_all("set-cookie")
    assert cookie.startswith("waitroom-pass-sale=")
    return cookie.split(";")[0]


def messages() -> list[Data]:
    """Text and bytes of 0 to 5,000 letters or bytes, and one large one in the middle."""
    chance = random.Random(7)
    words = "what the shop says, with ümläuts ☃ " * 200
    noise = chance.randbytes(LARGEST_BYTES)
    some: list[Data] = [
        words[: chance.randint(0, 5_000)] if chance.random() < 0.5 else noise[: chance.randint(0, 5_000)]
        for _ in range(MESSAGES - 1)
    ]
    some.insert(MESSAGES // 2, noise)
    return some


async def test_10_000_messages_come_back_whole_and_in_order(tmp_path: Path) -> None:
    async with echo_site() as site:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site.port}")
        with serving(config, tmp_path) as running:
            async with (
                asyncio.timeout(180),
                through(running.port, subprotocols=[Subprotocol("other"), Subprotocol("shop.v1")]) as socket,
            ):
                assert socket.subprotocol == "shop.v1"
                assert _is_compressed(socket)
                sent = messages()
                room = asyncio.Semaphore(UNDER_WAY)

                async def send() -> None:
                    for message in sent:
                        await room.acquire()
                        await socket.send(message)

                async with asyncio.TaskGroup() as group:
                    group.create_task(send())
                    for message in sent:
                        assert await socket.recv() == message
                        room.release()
            assert site.compressed == [True]
            assert site.handshakes == 1


async def test_pings_and_closes_reach_the_other_end(tmp_path: Path) -> None:
    async with echo_site() as site:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site.port}")
        with serving(config, tmp_path) as running:
            async with asyncio.timeout(60):
                async with through(running.port, compression=None) as socket:
                    cookie = pass_of(socket)
                    assert not _is_compressed(socket)
                    assert socket.subprotocol is None
                    await (await socket.ping(b"from the visitor"))
                    await socket.send("ping me")
                    assert await socket.recv() == "ponged"
                    assert site.pongs == 1
                    await socket.close(4001, "by the visitor, ä")
                await site.closed.wait()
                assert site.closes == [(4001, "by the visitor, ä")]

                for ask, code, reason in (("close me", 4002, "by the site"), ("drop me", 1006, "")):
                    async with through(running.port, cookie) as socket:
                        assert socket.response is not None
                        assert "set-cookie" not in socket.response.headers
                        await socket.send(ask)
                        with pytest.raises(ConnectionClosed):
                            await socket.recv()
                        assert (socket.close_code, socket.close_reason) == (code, reason)

                site.closed.clear()
                async with through(running.port, cookie) as socket:
                    await socket.send("hello")
                    assert await socket.recv() == "hello"
                    socket.transport.abort()
                await site.closed.wait()
                assert site.closes[-1] == (1006, "")


async def test_without_a_pass_a_full_room_lets_no_socket_through(tmp_path: Path) -> None:
    async with echo_site() as site:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site.port}", capacity=1)
        with serving(config, tmp_path) as running:
            async with asyncio.timeout(60):
                async with through(running.port) as admitted:
                    cookie = pass_of(admitted)
                    for _ in range(3):
                        with pytest.raises(InvalidStatus) as refused:
                            await through(running.port)
                        assert refused.value.response.status_code == 429
                        assert "retry-after" in refused.value.response.headers
                    assert site.handshakes == 1
                    async with through(running.port, cookie) as again:
                        await again.send("still in")
                        assert await again.recv() == "still in"
                    assert site.handshakes == 2
