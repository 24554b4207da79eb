"""What has begun goes on: a stream outlives its session, its revocation and the closing of its room; the next request does not."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.journeys.stage import HOUR, on_site, serving, visitors, write_config
from tests.journeys.witness import operate
from waitroom.domain.short_code import short_code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.journeys.stage import Visitor

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

STREAMS = 300
HEAD = b"HTTP/1.1 200 OK\r\nsite: yes\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PAGE = b"HTTP/1.1 200 OK\r\nsite: yes\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\npage"


class StreamingSite:
    """`/events` never ends: it says something whenever `tell` is called. All else is a page. It notes whom it serves."""

    def __init__(self) -> None:
        self.port = 0
        self.visitors: list[str] = []
        self._streams: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                if head.split(" ")[1] == "/events":
                    self.visitors.append(fields["waitroom-visitor"])
                    self._streams.append(writer)
                    writer.write(HEAD)
                    await reader.read()
                    return
                writer.write(PAGE)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def tell(self, word: bytes) -> None:
        """Say a word on all streams."""
        for writer in self._streams:
            writer.write(b"%x\r\n%s\r\n" % (len(word), word))


@asynccontextmanager
async def streaming_site() -> AsyncIterator[StreamingSite]:
    """Run a `StreamingSite` on a free port."""
    site = StreamingSite()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


class Listener:
    """A visitor's stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def hears(self, word: bytes) -> None:
        """Return when the site has said so; raises when the stream is over."""
        await self._reader.readuntil(word)


@asynccontextmanager
async def listening(visitor: Visitor, port: int) -> AsyncIterator[Listener]:
    """Open the stream with the pass that the visitor has."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(visitor._head("GET", "/events", {"accept": "text/event-stream", "sec-fetch-mode": "cors"}))
        assert b"site: yes" in await reader.readuntil(b"\r\n\r\n")
        yield Listener(reader)
    finally:
        writer.close()


async def test_a_stream_outlives_its_session_and_gives_no_entry_after_it(tmp_path: Path) -> None:
    async with streaming_site() as site:
        config = write_config(
            tmp_path, backend=f"http://127.0.0.1:{site.port}", capacity=1, session_seconds=1, refresh_seconds=1
        )
        with serving(config, tmp_path) as running:
            async with asyncio.timeout(120), visitors(running.port, 2) as (first, second):
                assert on_site(await first.navigate("/"))
                async with listening(first, running.port) as stream:
                    site.tell(b"hello")
                    await stream.hears(b"hello")
                    assert on_site(await second.enter(poll_seconds=0.1)), "the slot is free when the session has ended"
                    site.tell(b"still here")
                    await stream.hears(b"still here")
                    while on_site(await first.navigate("/")):  # unless the second one's session is over too
                        await second.enter(poll_seconds=0.1)
                    site.tell(b"and still")
                    await stream.hears(b"and still")


async def test_closing_a_room_and_revoking_sessions_ends_no_stream_of_hundreds_and_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    async with streaming_site() as site:
        config = write_config(
            tmp_path, backend=f"http://127.0.0.1:{site.port}", capacity=STREAMS, gateway="pool_size = 400",
            **HOUR | {"refresh_seconds": 1},
        )  # fmt: skip
        with serving(config, tmp_path) as running:
            async with (
                asyncio.timeout(120),
                visitors(running.port, STREAMS + 1) as (*crowd, waiting),
                AsyncExitStack() as at_the_end,
            ):
                for visitor in crowd:
                    assert on_site(await visitor.navigate("/"))
                    await visitor.close()
                streams = [await at_the_end.enter_async_context(listening(one, running.port)) for one in crowd]
                assert not on_site(await waiting.navigate("/"))

                await operate(running, "POST", "/close", {})
                revoked = short_code(site.visitors[0])
                await operate(running, "POST", f"/visitors/{revoked}/revoke", {"reason": "a reseller"})
                while (await waiting.me())["state"] != "closed":
                    await asyncio.sleep(0.1)
                site.tell(b"closed to others")
                await asyncio.gather(*(stream.hears(b"closed to others") for stream in streams))
                while on_site(await crowd[0].navigate("/")):  # while the pass is fresh
                    await asyncio.sleep(0.1)
                assert on_site(await crowd[1].navigate("/")), "who is inside shops on"
                site.tell(b"the end")
                await asyncio.gather(*(stream.hears(b"the end") for stream in streams))
