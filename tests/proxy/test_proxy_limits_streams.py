"""What comes in parts goes on in parts, at once; and bodies over the limit stop at it. Through the whole gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.proxy.messages import requests_in
from tests.proxy.rig import PATIENCE_SECONDS, answer, request
from tests.proxy.stack import site

if TYPE_CHECKING:
    from tests.proxy.rig import Wire

pytestmark = pytest.mark.anyio

LIMIT_BYTES = 10_000
STEPS = 20


@pytest.mark.parametrize("framing", [b"transfer-encoding: chunked", b"content-length: 200", b"x-until: close"])
async def test_a_part_of_an_answer_arrives_before_the_next_is_sent(framing: bytes) -> None:
    """Server-sent events, long polling, progress: the backend goes on only when the visitor has got what it said."""
    arrived = asyncio.Semaphore(0)

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + framing + b"\r\n\r\n")
        await arrived.acquire()  # the head alone comes through
        for number in range(STEPS):
            event = b"data: %02d\n\n" % number
            await wire.send(b"a\r\n" + event + b"\r\n" if framing.endswith(b"chunked") else event)
            await arrived.acquire()
        if framing.endswith(b"chunked"):
            await wire.send(b"0\r\n\r\n")

    async with site(script) as (stack, _):
        client = await stack.client()
        client.write(request(b"/events", b"accept: text/event-stream"))
        assert b"content-type: text/event-stream\r\n" in await client.head()
        arrived.release()
        for number in range(STEPS):
            assert (await client.until(b"\n\n")).endswith(b"data: %02d\n\n" % number)
            arrived.release()
        if framing != b"content-length: 200":
            assert await client.until(b"0\r\n\r\n")


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_part_of_an_upload_arrives_before_the_next_is_sent(*, chunked: bool) -> None:
    arrived = asyncio.Semaphore(0)
    size = 100_000 if chunked else 10 * STEPS + 100_000  # large enough that it is not awaited as a whole

    async def script(wire: Wire) -> None:
        await wire.head()
        for number in range(STEPS):
            assert (await wire.until(b"part %02d \n\n" % number)).endswith(b"part %02d \n\n" % number)
            arrived.release()
        await wire.send(answer(b"thanks"))
        await wire.rest()

    async with site(script) as (stack, _):
        client = await stack.client()
        framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % size
        client.write(request(b"/", framing, method=b"POST"))
        for number in range(STEPS):
            part = b"part %02d \n\n" % number
            client.write(b"a\r\n" + part + b"\r\n" if chunked else part)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await arrived.acquire()
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
        assert await client.exactly(6) == b"thanks"


async def test_a_body_that_says_it_is_too_large_never_reaches_the_backend() -> None:
    asked = []

    async def script(wire: Wire) -> None:
        asked.append(await wire.head())

    for more in ((), (b"expect: 100-continue",)):
        async with site(script, body_limit_bytes=LIMIT_BYTES) as (stack, _):
            client = await stack.client()
            client.write(request(b"/", b"content-length: %d" % (LIMIT_BYTES + 1), *more, method=b"POST"))
            if not more:
                client.write(b"x" * (LIMIT_BYTES + 1))
            assert (await client.rest()).startswith(b"HTTP/1.1 413 ")
            assert stack.proxy.pool.slots == 0
    assert asked == []


async def test_a_chunked_body_is_cut_at_the_limit_and_its_visitor_told() -> None:
    """The backend never gets more than the limit, nor an end that it could take for the end."""
    seen = []

    async def script(wire: Wire) -> None:
        seen.append(await wire.rest())

    async with site(script, body_limit_bytes=LIMIT_BYTES) as (stack, _):
        client = await stack.client()
        client.write(request(b"/", b"transfer-encoding: chunked", method=b"POST"))
        for _ in range(LIMIT_BYTES // 1_000 + 5):
            client.write(b"3e8\r\n" + b"x" * 1_000 + b"\r\n")
            await asyncio.sleep(0.002)
        assert (await client.rest()).startswith(b"HTTP/1.1 413 ")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while stack.proxy.pool.slots or not seen:
                await asyncio.sleep(0.005)
    (message,) = requests_in(seen[0])
    assert len(message.body) <= LIMIT_BYTES
    assert not message.whole


async def test_a_chunked_body_of_exactly_the_limit_passes() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.until(b"0\r\n\r\n")
        await wire.send(answer(b"ok"))

    async with site(script, body_limit_bytes=LIMIT_BYTES) as (stack, _):
        client = await stack.client()
        client.write(request(b"/", b"transfer-encoding: chunked", method=b"POST"))
        client.write(b"2710\r\n" + b"x" * LIMIT_BYTES + b"\r\n0\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("more", [b"expect: 100-continue", b"x-a: b"])
async def test_an_answer_before_the_body_ends_the_connections_on_both_sides(more: bytes) -> None:
    """The rest of the body would otherwise be taken for the next request, by us or by the backend."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"no", status=b"403 Forbidden"))
        await wire.rest()

    async with site(script) as (stack, _):
        client = await stack.client()
        client.write(request(b"/", more, b"content-length: 100000", method=b"POST"))
        got = await client.rest()
        assert got.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"\r\nconnection: close\r\n" in got
        async with asyncio.timeout(PATIENCE_SECONDS):
            while stack.proxy.pool.slots:
                await asyncio.sleep(0.005)
