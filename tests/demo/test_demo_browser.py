"""The crowd's HTTP client, against raw answers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.demo.browser import Browser, Unanswered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


class RawSite:
    """Gives one raw answer after the other, on whatever connection they are asked for."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.heads: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                writer.write(answer)
                if b"connection: close" in answer or b"HTTP" not in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def visiting(site: Any, **options: Any) -> AsyncIterator[Browser]:
    server = await asyncio.start_server(site, "127.0.0.1", 0)
    async with server, Browser("127.0.0.1", server.sockets[0].getsockname()[1], **options) as browser:
        yield browser


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_pages_of_one_site_share_a_connection() -> None:
    site = RawSite(OK, OK, OK)
    async with visiting(site) as browser:
        for _ in range(3):
            assert (await browser.navigate("/")).body == b"ok"
    assert site.connections == 1


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: 1\r\n\r\n", 200, b"abcde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nconnection: close\r\n\r\nbye", 200, b"bye"),
    ],
)  # fmt: skip
async def test_every_framing_is_read_and_the_next_answer_is_found(raw: bytes, status: int, body: bytes) -> None:
    async with visiting(RawSite(raw, OK)) as browser:
        answer = await browser.navigate("/")
        assert (answer.status, answer.body) == (status, body)
        assert (await browser.navigate("/")).body == b"ok"


async def test_the_answer_to_head_has_no_body() -> None:
    async with visiting(RawSite(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", OK)) as browser:
        assert (await browser.navigate("/", method="HEAD")).header("content-length") == "99"
        assert (await browser.navigate("/")).body == b"ok"


async def test_cookies_are_kept_sent_and_taken_off() -> None:
    site = RawSite(
        b"HTTP/1.1 200 OK\r\nset-cookie: a=1; Path=/\r\nset-cookie: b=2; Path=/; HttpOnly\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nset-cookie: a=; Path=/; Max-Age=0\r\ncontent-length: 0\r\n\r\n",
        OK,
    )
    async with visiting(site) as browser:
        for _ in range(3):
            await browser.navigate("/")
        assert browser.cookies == {"b": "2"}
    assert [b"cookie:" in head for head in site.heads] == [False, True, True]
    assert b"cookie: a=1; b=2\r\n" in site.heads[1]


async def test_a_click_and_a_script_say_what_they_are() -> None:
    site = RawSite(OK, OK)
    async with visiting(site) as browser:
        await browser.navigate("/x?y", method="POST")
        await browser.fetch("/z")
    post, fetch = site.heads
    assert post.startswith(b"POST /x?y HTTP/1.1\r\n")
    assert b"\r\nsec-fetch-mode: navigate\r\n" in post
    assert b"\r\naccept: text/html," in post
    assert b"\r\norigin: http://127.0.0.1:" in post
    assert fetch.startswith(b"GET /z HTTP/1.1\r\n")
    assert b"\r\nsec-fetch-mode: cors\r\n" in fetch


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4c4b40\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=["closed", "nonsense", "cut", "huge", "huge chunk", "huge head"],
)
async def test_what_is_no_whole_answer_is_told_and_the_next_page_can_be_opened(raw: bytes) -> None:
    async with visiting(RawSite(raw, OK)) as browser:
        with pytest.raises(Unanswered):
            await browser.navigate("/")
        assert (await browser.navigate("/")).body == b"ok"


async def test_a_site_that_says_nothing_is_given_up() -> None:
    release = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with visiting(silent, timeout_seconds=0.05) as browser:
        with pytest.raises(Unanswered):
            await browser.navigate("/")
        release.set()


async def test_a_site_that_is_not_there_is_told() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(Unanswered):
        await Browser("127.0.0.1", port).navigate("/")
