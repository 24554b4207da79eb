"""What visitor and backend see when one of them misbehaves, is late, or goes."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from tests.proxy.rig import PATIENCE_SECONDS, Wire, answer, body_of, call, fields, nothing, proxied, request, scope
from waitroom.proxy import Proxy, ProxyOptions, ResponseBroken

pytestmark = pytest.mark.anyio

LONG = b"x" * 70_000


async def silent(wire: Wire) -> None:
    """Takes what comes and says nothing."""
    await wire.rest()


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x0bb\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\n folded\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nx y: 1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx : 1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 99 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + LONG + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 12_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + LONG,
        b"HTTP/1.1 103 Early Hints\r\nlink: " + LONG[:40_000] + b"\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nlink: " + LONG[:40_000] + b"\r\n\r\n",
    ],
)  # fmt: skip
async def test_an_answer_that_is_not_safe_to_pass_on_becomes_502(reply: bytes) -> None:
    """And the connection it came on is never used again."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(reply)
        await wire.rest()

    async with proxied(script) as rig:
        got = await rig.get()
        assert got.startswith(b"HTTP/1.1 502 Bad Gateway")
        assert json.loads(body_of(got))["status"] == 502
        assert (rig.facts.kinds, rig.facts.finished) == (["bad_answer"], [("GET", 502)])
        await rig.settled(lambda: rig.proxy.pool.slots == 0)


@pytest.mark.parametrize(
    "surplus",
    [b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nset-cookie: stolen=1\r\ncontent-length: 6\r\n\r\nSECOND", b"garbage\r\n\r\n"],
)
@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize(
    "first",
    [
        answer(b"first"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        answer(b"first", b"connection: close"),
    ],
)
async def test_what_follows_an_answer_is_never_anybodys_answer(first: bytes, surplus: bytes, *, cut: bool) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        if wire.number:
            await wire.send(answer(b"its own"))
        else:
            await wire.send(first if cut else first + surplus)
            if cut:  # it comes when the answer has been read and the connection waits for another request
                await rig.settled(lambda: rig.proxy.pool.idle == 1 or rig.proxy.pool.slots == 0)
                await wire.send(surplus)
        await wire.rest()

    async with proxied(script) as rig:
        got = await rig.get()
        assert b"SECOND" not in got
        assert b"stolen" not in got
        if surplus != b"\r\n" or cut:  # an empty line between answers is not worth a connection
            await rig.settled(lambda: rig.proxy.pool.slots == 0)
            assert (await rig.get()).endswith(b"its own")


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\nZ\r\n",
    ],
)
async def test_an_answer_broken_off_is_broken_off_for_the_visitor(part: bytes, *, reset: bool) -> None:
    """Never a clean end: a chunked answer has no last chunk, a sized one is too short."""
    seen = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(part)
        await asyncio.wait_for(seen.wait(), PATIENCE_SECONDS)
        if reset:
            wire.reset()

    async with proxied(script) as rig:
        client = await rig.client()
        client.write(request())
        await client.head()
        seen.set()
        rest = await client.rest()
        assert not rest.endswith(b"0\r\n\r\n")
        assert len(rest) < 15
        assert rig.facts.kinds == ["broken"]


async def test_a_reset_in_an_answer_without_a_length_is_no_end() -> None:
    seen = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await asyncio.wait_for(seen.wait(), PATIENCE_SECONDS)
        wire.reset()

    async with proxied(script) as rig:
        client = await rig.client()
        client.write(request())
        await client.until(b"some\r\n")
        seen.set()
        assert await client.rest() == b""
        assert rig.facts.kinds == ["broken"]


async def test_a_broken_answer_leaves_the_app_as_a_quiet_exception() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")

    async with proxied(script) as rig:
        with pytest.raises(ResponseBroken) as broken:
            await call(rig.proxy)
        assert broken.value.quiet


@pytest.mark.parametrize("method", [b"GET", b"DELETE"])
async def test_a_reused_connection_that_was_closed_costs_a_repeatable_request_nothing(method: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"ok"))
        if wire.number == 0:
            await wire.head()  # the next request arrives, and is not answered

    async with proxied(script) as rig:
        await rig.get()
        assert (await rig.get(method=method)).endswith(b"ok")
        assert rig.facts.repeated == [method.decode()]
        assert len(rig.backend.wires) == 2
        assert rig.facts.failures == []


@pytest.mark.parametrize(
    ("lines", "method", "body"),
    [((), b"POST", b""), ((b"content-length: 2",), b"PUT", b"ab"), ((b"content-length: 2",), b"POST", b"ab")],
)
async def test_a_request_that_may_have_arrived_is_not_sent_twice(
    lines: tuple[bytes, ...], method: bytes, body: bytes
) -> None:
    heads = []

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            heads.append(head)
            if head.startswith(method):
                return
            await wire.send(answer(b"ok"))

    async with proxied(script) as rig:
        await rig.get()
        got = await rig.ask(request(b"/", *lines, b"connection: close", method=method) + body)
        assert got.startswith(b"HTTP/1.1 502")
        assert b"We cannot tell whether" in got
        assert (len(heads), rig.facts.repeated) == (2, [])


async def test_a_closed_connection_is_noticed_before_a_post_is_sent_on_it() -> None:
    """The backend's FIN is in the kernel, but the loop has not seen it: the POST goes on a new connection."""
    closed = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"ok"))
        if wire.number == 0:
            await closed.wait()

    async with proxied(script) as rig:
        await rig.get()
        connection = rig.proxy.pool.take()
        assert connection is not None
        assert connection.nothing_to_read()
        assert connection._transport is not None
        connection._transport.pause_reading()  # as if the loop had not come round to it yet
        closed.set()
        await rig.settled(lambda: rig.backend.open == 0)
        await rig.settled(lambda: not connection.nothing_to_read())
        rig.proxy.pool.release(connection)
        assert (await rig.get(method=b"POST")).endswith(b"ok")
        assert rig.facts.failures == []


async def test_a_new_connection_that_fails_is_not_tried_again() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()

    async with proxied(script) as rig:
        got = await rig.get(b"/", b"accept: text/html")
        assert got.startswith(b"HTTP/1.1 502")
        assert b"<h1>The shop is catching up</h1><p>The shop ended the connection before it had answered.</p>" in got
        assert (rig.facts.kinds, len(rig.backend.wires)) == (["vanished"], 1)


async def test_a_repeat_that_fails_too_is_told() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        if wire.number == 0:
            await wire.send(answer(b"ok"))
            await wire.head()

    async with proxied(script) as rig:
        await rig.get()
        assert (await rig.get()).startswith(b"HTTP/1.1 502")
        assert len(rig.backend.wires) == 2


async def test_a_part_of_an_answer_is_never_asked_for_again() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"ok"))
        if wire.number == 0:
            await wire.head()
            await wire.send(b"HTTP/1.1 20")

    async with proxied(script) as rig:
        await rig.get()
        assert (await rig.get()).startswith(b"HTTP/1.1 502")
        assert len(rig.backend.wires) == 1


async def test_a_backend_that_is_not_there_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with proxied(silent, backend=f"http://127.0.0.1:{port}") as rig:
        got = await rig.get(method=b"POST")
        assert got.startswith(b"HTTP/1.1 502")
        assert b"has not reached the shop" in got
        assert rig.facts.kinds == ["unreachable"]
        assert str(port) in rig.facts.failures[0][1]
        assert rig.proxy.pool.slots == 0


async def test_a_backend_that_does_not_accept_is_a_504() -> None:
    """A listener whose queue is full drops what comes."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        options = ProxyOptions(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout_seconds=0.2)
        proxy = Proxy(options)
        sent = await call(proxy)
        assert sent[0]["status"] == 504
        assert proxy.pool.slots == 0
        await proxy.aclose()
        for filler in fillers:
            filler.close()


async def test_a_backend_that_says_nothing_is_a_504_and_its_connection_ends() -> None:
    async with proxied(silent, read_timeout_seconds=0.2) as rig:
        got = await rig.get()
        assert got.startswith(b"HTTP/1.1 504")
        assert rig.facts.kinds == ["timeout"]
        await rig.settled(lambda: rig.backend.open == 0)


async def test_a_backend_that_falls_silent_breaks_the_answer_off() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await wire.rest()

    async with proxied(script, read_timeout_seconds=0.2) as rig:
        client = await rig.client()
        client.write(request())
        await client.until(b"half")
        assert await client.rest() == b""
        assert rig.facts.kinds == ["broken"]


async def test_a_backend_that_takes_nothing_is_a_504() -> None:
    async def script(wire: Wire) -> None:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async with proxied(script, read_timeout_seconds=0.3) as rig:
        client = await rig.client()
        client.write(request(b"/", b"content-length: 90000000", method=b"POST") + b"x" * 20_000_000)
        assert (await client.head()).startswith(b"HTTP/1.1 504")
        assert "took no byte" in rig.facts.failures[0][1]


async def test_a_backend_that_keeps_talking_is_given_time() -> None:
    """The limit is on silence, not on the whole answer."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n")
        for _ in range(12):
            await asyncio.sleep(0.1)
            await wire.send(b".")

    async with proxied(script, read_timeout_seconds=1.0) as rig:
        assert (await rig.get()).endswith(b"." * 12)


async def test_a_visitor_who_is_slow_to_send_is_not_the_backends_fault() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer((await wire.exactly(20_000))[-2:]))

    async with proxied(script, read_timeout_seconds=0.1) as rig:
        client = await rig.client()
        body = b"x" * 19_998
        client.write(request(b"/", b"content-length: 20000", b"connection: close", method=b"POST") + body + b"a")
        await asyncio.sleep(0.3)
        client.write(b"b")
        assert (await client.rest()).endswith(b"ab")


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\n\r\n.."]
)
async def test_a_visitor_who_leaves_ends_the_backends_connection(start: bytes) -> None:
    ended = asyncio.Event()
    begun = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(start)
        begun.set()
        await wire.rest()
        ended.set()

    async with proxied(script) as rig:
        client = await rig.client()
        client.write(request())
        await begun.wait()
        client.close()
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)
        await rig.settled(lambda: rig.proxy.pool.slots == 0)
        assert rig.facts.finished == [("GET", 499)]
        assert rig.facts.failures == []


@pytest.mark.parametrize(
    "framing", [b"content-length: 20000", b"content-length: 1000000", b"transfer-encoding: chunked"]
)
async def test_a_visitor_who_leaves_while_sending_ends_the_backends_connection(framing: bytes) -> None:
    ended = asyncio.Event()
    begun = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        begun.set()
        await wire.rest()
        ended.set()

    async with proxied(script) as rig:
        client = await rig.client()
        client.write(request(b"/", framing, method=b"POST") + b"4\r\nsome\r\n")
        await begun.wait()
        client.close()
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)
        await rig.settled(lambda: rig.facts.finished == [("POST", 499)])


@pytest.mark.parametrize("part", [b"", b"half"])
async def test_a_visitor_who_leaves_before_the_end_of_a_small_body_reaches_no_backend(part: bytes) -> None:
    async with proxied(silent) as rig:
        client = await rig.client()
        await client.send(request(b"/", b"content-length: 10", method=b"POST") + part)
        client.close()
        await rig.settled(lambda: rig.facts.finished == [("POST", 499)])
        assert rig.backend.wires == []


async def test_bodies_over_the_limit_are_refused() -> None:
    seen = []

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            seen.append((head, await wire.rest()))

    async with proxied(script, body_limit_bytes=1000) as rig:
        got = await rig.ask(request(b"/", b"content-length: 1001", method=b"POST"))
        assert got.startswith(b"HTTP/1.1 413")
        assert (b"connection", b"close") in fields(got)
        assert rig.backend.wires == [], "the backend has not heard of it"
        got = await rig.ask(
            request(b"/", b"transfer-encoding: chunked", method=b"POST") + b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n"
        )
        assert got.startswith(b"HTTP/1.1 413")
        assert rig.facts.failures == []
        await rig.settled(lambda: rig.backend.open == 0)
    assert not seen[0][1].endswith(b"0\r\n\r\n"), "cut, not ended"


async def test_a_chunked_body_that_grows_too_large_after_the_answer_began_breaks_it() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nyes?")
        await wire.rest()

    async with proxied(script, body_limit_bytes=10) as rig:
        client = await rig.client()
        client.write(request(b"/", b"transfer-encoding: chunked", method=b"POST") + b"1\r\nx\r\n")
        await client.until(b"yes?\r\n")
        client.write(b"f\r\n" + b"x" * 15 + b"\r\n")
        assert await client.rest() == b""


async def test_what_a_proxy_must_not_pass_on_never_reaches_the_backend() -> None:
    async with proxied(silent) as rig:
        for method, status in (("TRACE", 405), ("CONNECT", 405)):
            assert (await call(rig.proxy, method))[0]["status"] == status
        assert (await call(rig.proxy, extensions={"waitroom.target": b"/a b"}))[0]["status"] == 400
        assert rig.backend.wires == []


async def test_an_error_of_the_server_in_mid_upload_comes_out_as_it_is() -> None:
    class Odd(Exception):
        pass

    parts = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> Any:
        if parts:
            return parts.pop()
        raise Odd

    async with proxied(silent) as rig:
        with pytest.raises(Odd):
            await rig.proxy(scope("POST", [(b"content-length", b"900000")]), receive, silent_send)
        await rig.settled(lambda: rig.proxy.pool.slots == 0)


async def silent_send(message: Any) -> None:
    pass


@pytest.mark.parametrize("parts", [[b"too", b" long"], [b"ab"]])
async def test_a_body_that_is_not_as_long_as_it_says_is_cut(parts: list[bytes]) -> None:
    messages = [{"type": "http.request", "body": part, "more_body": part != parts[-1]} for part in parts]
    sent = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async with proxied(silent) as rig:
        await rig.proxy(scope("POST", [(b"content-length", b"3")]), receive, send)
        assert sent[0]["status"] == 400


async def test_a_server_that_raises_when_the_visitor_is_gone_is_understood() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"x"))

    async def send(message: Any) -> None:
        raise OSError("gone")

    async with proxied(script) as rig:
        await rig.proxy(scope("GET", []), nothing, send)
        assert rig.facts.finished == [("GET", 499)]
