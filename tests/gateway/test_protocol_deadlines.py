"""How long a client may take, under a real server on both of asyncio's loops."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.gateway.edge import (
    BOTH_LOOPS,
    CLOSE,
    GET,
    HASTY,
    HOST,
    POST,
    WITHIN_SECONDS,
    Receive,
    Scope,
    Send,
    Serve,
    all_of,
    answer,
    echo,
    read_body,
    receive_disconnect,
    silence,
    until,
    until_true,
)

pytestmark = [pytest.mark.anyio, BOTH_LOOPS]


async def test_a_connection_without_a_byte_gets_a_408(serve: Serve) -> None:
    edge = await serve(echo, HASTY)
    assert (await edge.exchange()).startswith(b"HTTP/1.1 408 ")
    assert edge.refused == ["first_byte_timeout"]


async def head_while_sending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    """Send the same few bytes now and then until a response head comes, and give that back."""
    while True:
        try:
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 0.02)
        except TimeoutError:
            writer.write(data)


async def test_a_head_must_be_whole_in_time_however_busily_it_trickles(serve: Serve) -> None:
    edge = await serve(echo, HASTY)

    async def trickle(start: bytes, more: bytes) -> bytes:
        reader, writer = await edge.connect()
        writer.write(start)
        return (await head_while_sending(reader, writer, more)).split(b"\r\n")[0]

    cases = [(b"\r\n", b"\r\n"), (b"GET /", b"a"), (GET, b"X: a\r\n"), (GET + b"X: ", b"a"), (b"GET", b"")]
    answers = await asyncio.gather(*(trickle(*case) for case in cases))
    assert answers == [b"HTTP/1.1 408 Request Timeout"] * 5
    assert edge.refused == ["header_timeout"] * 5


async def test_the_second_head_on_a_connection_has_a_deadline_too(serve: Serve) -> None:
    edge = await serve(echo, HASTY)
    reader, writer = await edge.connect()
    writer.write(GET + b"\r\n" + b"GET /next")
    response = await all_of(reader)
    assert (response.count(b"HTTP/1.1 200 "), response.count(b"HTTP/1.1 408 ")) == (1, 1)


async def test_a_body_slower_than_the_rate_gets_a_408_and_the_application_a_disconnect(serve: Serve) -> None:
    ends: list[bytes | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ends.append(await read_body(receive))

    edge = await serve(app, HASTY)
    reader, writer = await edge.connect()
    writer.write(POST + b"Content-Length: 10000\r\n\r\n")
    assert (await head_while_sending(reader, writer, b"a")).startswith(b"HTTP/1.1 408 ")
    assert (edge.refused, ends) == (["body_timeout"], [None])


@pytest.mark.parametrize("start", [GET, POST + b"Content-Length: 10000\r\n\r\n"], ids=["head", "body"])
async def test_who_is_too_slow_may_still_be_sending_and_is_not_cut_off_from_the_408(serve: Serve, start: bytes) -> None:
    edge = await serve(echo, replace(HASTY, linger_seconds=2))
    reader, writer = await edge.connect()
    writer.write(start)
    assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")
    for _ in range(3):
        writer.write(b"a")  # a reset would come at the first, and be noticed at the next
        await asyncio.sleep(0.02)
    assert not writer.transport.is_closing()


async def test_a_body_at_the_rate_may_take_longer_than_the_grace(serve: Serve) -> None:
    slow = replace(HASTY, body_grace_seconds=0.3, body_rate_bytes_per_second=10, body_stall_seconds=60)
    edge = await serve(echo, slow)
    reader, writer = await edge.connect()
    writer.write(POST + b"Content-Length: 300\r\n\r\n")
    await until_true(edge.has_begun)
    writer.write(b"a" * 299)  # half a minute's worth
    assert await silence(reader, 0.4)
    writer.write(b"a")
    assert (await all_of(reader)).endswith(b"a" * 300)


async def test_a_fast_start_buys_no_long_stall(serve: Serve) -> None:
    edge = await serve(echo, HASTY)
    reader, writer = await edge.connect()
    writer.write(POST + b"Content-Length: 100000\r\n\r\n" + b"a" * 50_000)
    assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")


async def test_with_a_rate_of_zero_a_body_may_take_any_time(serve: Serve) -> None:
    edge = await serve(echo, replace(HASTY, body_rate_bytes_per_second=0))
    reader, writer = await edge.connect()
    writer.write(POST + b"Content-Length: 2\r\n\r\n")
    assert await silence(reader, 0.2)
    writer.write(b"a")
    assert await silence(reader, 0.25)
    writer.write(b"b")
    assert (await all_of(reader)).endswith(b"POST / ab")
    assert edge.refused == []


async def test_a_body_too_slow_after_the_response_began_cuts_the_connection(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await read_body(receive)

    edge = await serve(app, HASTY)
    reader, writer = await edge.connect()
    writer.write(POST + b"Content-Length: 10\r\n\r\n")
    await until(reader, b"\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await all_of(reader)


async def test_time_in_which_we_do_not_read_is_not_the_clients(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await answer(b"%d" % len(await read_body(receive) or b""))(scope, receive, send)

    edge = await serve(app, HASTY)
    reader, writer = await edge.connect()
    writer.write(POST + b"Content-Length: 1000000\r\n\r\n" + b"a" * 1_000_000)
    assert await silence(reader, 0.3)
    go.set()
    assert (await all_of(reader)).endswith(b"\r\n\r\n1000000")


async def test_an_idle_connection_is_closed_without_a_word(serve: Serve) -> None:
    edge = await serve(echo, HASTY, timeout_keep_alive=0)
    reader, writer = await edge.connect()
    writer.write(GET + b"\r\n")
    assert (await all_of(reader)).endswith(b"GET / ")
    assert edge.refused == []


async def test_waiting_for_our_answer_has_no_deadline(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await answer()(scope, receive, send)

    edge = await serve(app, HASTY)
    reader, writer = await edge.connect()
    writer.write(GET + CLOSE + b"\r\n")
    assert await silence(reader, 0.3)
    go.set()
    assert (await all_of(reader)).endswith(b"ok")


async def test_a_client_that_does_not_read_is_cut_off_and_the_application_told(serve: Serve) -> None:
    told = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = {"type": "http.response.body", "body": b"a" * 65_536, "more_body": True}
        watch = asyncio.ensure_future(receive_disconnect(receive))
        while not watch.done():
            await send(body)
            await asyncio.sleep(0)
        told.set()

    edge = await serve(app, HASTY)
    _, writer = await edge.connect(limit=1024)
    writer.write(GET + b"\r\n")
    await asyncio.wait_for(told.wait(), WITHIN_SECONDS)
    assert edge.refused == ["write_stall"]


async def test_an_answer_nobody_reads_does_not_keep_a_closed_connection(serve: Serve) -> None:
    edge = await serve(answer(b"a" * 20_000_000), HASTY)
    _, writer = await edge.connect(limit=1024)
    writer.write(GET + CLOSE + b"\r\n")
    while not edge.refused:
        await asyncio.sleep(0.01)
    assert edge.refused == ["write_stall"]


# Expect


async def test_continue_is_said_when_the_application_wants_the_body(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await echo(scope, receive, send)

    edge = await serve(app, HASTY)
    reader, writer = await edge.connect()
    writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert await silence(reader, 0.2)  # our time, not the client's
    go.set()
    assert await until(reader, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await all_of(reader)).endswith(b"POST / abc")
    assert edge.refused == []


async def test_after_continue_the_body_has_a_deadline(serve: Serve) -> None:
    edge = await serve(echo, HASTY)
    response = await edge.exchange(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 ")


async def test_a_client_that_does_not_wait_for_continue_is_not_told_to(serve: Serve) -> None:
    edge = await serve(echo)
    request = b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
    response = await edge.exchange(request + GET + CLOSE + b"\r\n")
    assert (response.count(b" 100 "), response.count(b" 200 OK")) == (0, 2)


async def test_after_a_final_answer_instead_of_continue_the_connection_is_closed(serve: Serve) -> None:
    edge = await serve(answer(b"no", 403))
    response = await edge.exchange(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 403 ")
    assert b"\r\nconnection: close\r\n" in response
