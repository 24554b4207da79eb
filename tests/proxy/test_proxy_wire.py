"""What the backend sees and what the visitor sees, byte by byte, over real sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.proxy.rig import PATIENCE_SECONDS, Script, Wire, answer, body_of, call, fields, proxied, request

if TYPE_CHECKING:
    from waitroom.proxy import Proxy

pytestmark = pytest.mark.anyio


def echoing(reply: bytes) -> tuple[list[bytes], Script]:
    seen: list[bytes] = []

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            seen.append(head)
            await wire.send(reply)

    return seen, script


async def through(raw: bytes, reply: bytes = answer(b"hello"), **options: Any) -> tuple[bytes, bytes]:
    """(what the backend saw of the head, what the client got)"""
    seen, script = echoing(reply)
    async with proxied(script, **options) as rig:
        got = await rig.ask(raw)
    return (seen[0] if seen else b""), got


async def test_a_get_goes_there_and_its_answer_comes_back() -> None:
    seen, got = await through(
        request(b"/a?b=c", b"accept: */*", b"connection: close"), answer(b"hello", b"server: Shop", b"x-y: 1")
    )
    assert seen == (
        b"GET /a?b=c HTTP/1.1\r\nhost: shop.test\r\naccept: */*\r\n"
        b"x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: shop.test\r\n"
        b'forwarded: for=127.0.0.1;host="shop.test";proto=http\r\nvia: 1.1 waitroom\r\n\r\n'
    )
    assert got == (b"HTTP/1.1 200 OK\r\nserver: Shop\r\nx-y: 1\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")


async def test_repeated_headers_stay_apart_and_in_order_both_ways() -> None:
    seen, got = await through(
        request(b"/", b"x-a: 1", b"cookie: a=1", b"x-a: 2", b"cookie: b=2", b"connection: close"),
        answer(b"", b"set-cookie: a=1; Expires=Thu, 01 Jan 2026", b"x-b: 1", b"set-cookie: b=2", b"x-b: 2"),
    )
    assert [pair for pair in fields(seen) if pair[0] in {b"x-a", b"cookie"}] == [
        (b"x-a", b"1"),
        (b"cookie", b"a=1"),
        (b"x-a", b"2"),
        (b"cookie", b"b=2"),
    ]
    assert fields(got)[:4] == [
        (b"set-cookie", b"a=1; Expires=Thu, 01 Jan 2026"),
        (b"x-b", b"1"),
        (b"set-cookie", b"b=2"),
        (b"x-b", b"2"),
    ]


@pytest.mark.parametrize("target", [b"/%2e%2e/a//b/./c;x=%2F?q=%00&&=+'\"<>|", b"/a?", b"/?a?b", b"//evil.test/x"])
async def test_the_target_reaches_the_backend_byte_for_byte(target: bytes) -> None:
    """With the target as our server protocol hands it over, past uvicorn's own URL parsing."""
    seen, script = echoing(answer())

    def with_target(proxy: Proxy) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await proxy({**scope, "extensions": {"waitroom.target": target}}, receive, send)

        return app

    async with proxied(script, app=with_target) as rig:
        await rig.get(b"/")
    assert seen[0].split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"


async def test_connections_are_used_again() -> None:
    seen, script = echoing(answer(b"ok"))
    async with proxied(script) as rig:
        client = await rig.client()
        for _ in range(3):
            client.write(request())
            assert (await client.head()).startswith(b"HTTP/1.1 200")
            assert await client.exactly(2) == b"ok"
        assert len(rig.backend.wires) == 1
        assert (rig.proxy.pool.slots, rig.proxy.pool.idle) == (1, 1)
        assert rig.facts.finished == [("GET", 200)] * 3
        assert rig.facts.connections == [1]
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n",
            b"abcde",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: x\r\n\r\n0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nold", b"old"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + answer(b"final"), b"final"),
        (b"\r\n" + answer(b"after an empty line"), b"after an empty line"),
        (b"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nx", b"x"),
        (answer(b"\x1f\x8b\x08gz", b"content-encoding: gzip"), b"\x1f\x8b\x08gz"),
    ],
    ids=["chunked", "empty", "close", "1.0", "1.0-keep", "interim", "crlf", "no-reason", "gzip"],
)
async def test_every_framing_of_an_answer_arrives_whole(reply: bytes, expected: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(reply)

    async with proxied(script) as rig:
        got = await rig.get()
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not {b"trailer", b"x-trailer", b"link"} & dict(fields(got)).keys()
    assert body_of(got) == expected


async def test_an_answer_is_the_same_however_it_is_cut() -> None:
    reply = (
        b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    )

    async def script(wire: Wire) -> None:
        while await wire.head():
            for at in range(len(reply)):
                await wire.send(reply[at : at + 1])
                await asyncio.sleep(0)

    async with proxied(script) as rig:
        for _ in range(2):
            client = await rig.client()
            client.write(request())
            assert fields(await client.head())[:2] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
            body = await client.until(b"0\r\n\r\n")
            assert b"".join(body.split(b"\r\n")[1::2]) == b"hello world"
        assert len(rig.backend.wires) == 1


@pytest.mark.parametrize("gap", [b"", b"after"])
async def test_the_body_length_of_a_head_answer_passes_and_no_body_is_waited_for(gap: bytes) -> None:
    """A body sent to a HEAD all the same is dropped with its connection."""

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            await wire.send(answer(b"x" * 5)[:-5] + gap if head.startswith(b"HEAD") else answer(b"next"))

    async with proxied(script) as rig:
        client = await rig.client()
        for _ in range(2):
            client.write(request(method=b"HEAD"))
            assert (b"content-length", b"5") in fields(await client.head())
        client.write(request())
        await client.head()
        assert await client.exactly(4) == b"next"
        assert len(rig.backend.wires) == (3 if gap else 1)


@pytest.mark.parametrize("length", [b"content-length: 7\r\n", b""])
@pytest.mark.parametrize("status", [304, 204])
async def test_answers_without_a_body_keep_the_length_they_name(status: int, length: bytes) -> None:
    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(b"HTTP/1.1 %d X\r\netag: z\r\n%b\r\n" % (status, length))

    async with proxied(script) as rig:
        for _ in range(2):
            sent = await call(rig.proxy)
            assert sent[0]["status"] == status
            assert dict(sent[0]["headers"]).get(b"content-length") == (b"7" if length else None)
            assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
        assert len(rig.backend.wires) == 1


async def test_a_sized_body_stays_sized_and_a_chunked_one_chunked() -> None:
    seen = []

    async def script(wire: Wire) -> None:
        head = await wire.head()
        sized = b"content-length: 11" in head
        seen.append((head, await wire.exactly(11) if sized else await wire.until(b"0\r\n\r\n")))
        await wire.send(answer(b"got it"))

    async with proxied(script) as rig:
        await rig.ask(request(b"/", b"content-length: 11", b"connection: close", method=b"POST") + b"hello world")
        await rig.ask(
            request(b"/", b"transfer-encoding: chunked", b"connection: close", method=b"POST")
            + b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n"
        )
    assert (b"content-length", b"11") in fields(seen[0][0])
    assert seen[0][1] == b"hello world"
    assert (b"transfer-encoding", b"chunked") in fields(seen[1][0])
    assert b"".join(seen[1][1].split(b"\r\n")[1::2]) == b"hello world"


async def test_a_large_upload_arrives_whole_while_the_client_is_still_sending() -> None:
    size = 3_000_000

    async def script(wire: Wire) -> None:
        await wire.head()
        body = await wire.exactly(size)
        await wire.send(answer(b"%d" % sum(body)))

    body = bytes(range(250)) * (size // 250)
    async with proxied(script) as rig:
        got = await rig.ask(request(b"/", b"content-length: %d" % size, b"connection: close", method=b"PUT") + body)
        assert got.endswith(b"\r\n\r\n%d" % sum(body))
        await rig.settled(lambda: rig.proxy.pool.slots == 0)  # this script closes after one


async def test_a_request_body_in_pieces_is_passed_on_piece_by_piece() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        assert await wire.exactly(10) == b"5\r\nfirst\r\n"
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nseen\r\n")
        assert await wire.exactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"
        await wire.send(b"0\r\n\r\n")
        assert (await wire.head()).startswith(b"GET")
        await wire.send(answer(b"again"))

    async with proxied(script) as rig:
        client = await rig.client()
        client.write(request(b"/", b"transfer-encoding: chunked", method=b"POST") + b"5\r\nfirst\r\n")
        head = await client.head()
        assert (b"connection", b"close") in fields(head), "the answer overtook the upload: nothing may follow"
        assert await client.until(b"seen\r\n") == b"4\r\nseen\r\n"
        client.write(b"6\r\nsecond\r\n0\r\n\r\n")
        assert await client.rest() == b"0\r\n\r\n"
        assert (await rig.get()).endswith(b"again")
        assert len(rig.backend.wires) == 1, "all of both messages was exchanged: the connection lives on"


async def test_an_early_answer_is_passed_on_and_both_connections_are_closed() -> None:
    ended = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"no", status=b"401 Unauthorized"))
        assert await wire.rest() == b"part"
        ended.set()

    async with proxied(script) as rig:
        got = await rig.ask(request(b"/", b"content-length: 20000", method=b"POST") + b"part")
        assert got.startswith(b"HTTP/1.1 401")
        assert got.endswith(b"\r\nconnection: close\r\n\r\nno")
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)


async def test_an_expectation_is_the_backends_to_answer() -> None:
    async def script(wire: Wire) -> None:
        head = await wire.head()
        assert (b"expect", b"100-continue") in fields(head)
        if b"/yes" in head:
            await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert await wire.exactly(4) == b"body"
            await wire.send(answer(b"thanks", b"connection: close"))
        elif b"/no" in head:
            await wire.send(answer(b"too big", b"connection: close", status=b"417 Expectation Failed"))
            assert await wire.rest() == b"", "no body after a refusal"
        else:  # one that knows nothing of Expect
            assert await wire.exactly(4) == b"body"
            await wire.send(answer(b"at last"))

    async def expecting(path: bytes) -> tuple[bytes, bytes]:
        client = await rig.client()
        lines = (b"expect: 100-continue", b"content-length: 4", b"connection: close")
        client.write(request(path, *lines, method=b"POST"))
        head = await client.head()
        if head.startswith(b"HTTP/1.1 100"):
            client.write(b"body")
        return head, await client.rest()

    async with proxied(script) as rig:
        head, rest = await expecting(b"/yes")
        assert (head, rest[-6:]) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"thanks")
        head, rest = await expecting(b"/no")
        assert (head.split(b"\r\n")[0], rest) == (b"HTTP/1.1 417 Expectation Failed", b"too big")
        head, rest = await expecting(b"/knows-none")
        assert (head, rest[-7:]) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"at last")


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def script(wire: Wire) -> None:
        while head := await wire.head():
            await wire.send(answer(head.split(b" ")[1]))

    async with proxied(script) as rig:
        got = await rig.ask(b"".join(request(b"/%d" % n) for n in range(4)) + request(b"/end", b"connection: close"))
    assert [part.partition(b"\r\n\r\n")[2] for part in got.split(b"HTTP/1.1 ")[1:]] == [
        b"/0",
        b"/1",
        b"/2",
        b"/3",
        b"/end",
    ]


async def test_events_arrive_as_they_are_sent() -> None:
    """Server-sent events and long polling: nothing waits for more to come."""
    arrived = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for number in range(3):
            await wire.send(b"data: %d\n\n" % number)
            await asyncio.wait_for(arrived.wait(), PATIENCE_SECONDS)
            arrived.clear()

    async with proxied(script) as rig:
        client = await rig.client()
        client.write(request())
        await client.head()
        for number in range(3):
            await client.until(b"data: %d\n\n\r\n" % number)
            arrived.set()


async def test_hop_by_hop_fields_end_here_in_both_directions() -> None:
    seen, got = await through(
        request(
            b"/",
            b"te: trailers",
            b"keep-alive: timeout=5",
            b"upgrade: h2c",
            b"http2-settings: x",
            b"x-mine: 1",
            b"cookie: a=1",
            b"connection: upgrade, HTTP2-Settings, close, x-mine, Cookie",
        ),
        answer(b"", b"keep-alive: timeout=9", b"x-internal: 1", b"Connection: X-Internal, close", b"upgrade: h2"),
    )
    assert (
        not {b"te", b"keep-alive", b"upgrade", b"http2-settings", b"connection", b"x-mine"} & dict(fields(seen)).keys()
    )
    assert dict(fields(seen))[b"cookie"] == b"a=1"
    assert fields(got) == [(b"content-length", b"0"), (b"connection", b"close")]


async def test_base_path_and_host_can_be_the_backends() -> None:
    seen, script = echoing(answer())
    async with proxied(script) as plain:
        origin = f"http://127.0.0.1:{plain.backend.port}/shop/"
        async with proxied(script, backend=origin, host_header="backend") as rig:
            await rig.get(b"/x?y")
            assert "/shop/" in repr(rig.proxy)
    assert seen[0].startswith(b"GET /shop/x?y HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % plain.backend.port)
