"""What becomes of an application's answer, under a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.edge import (
    BOTH_LOOPS,
    CLOSE,
    GET,
    HASTY,
    HOST,
    WITHIN_SECONDS,
    Log,
    Receive,
    Scope,
    Send,
    Serve,
    all_of,
    answer,
    echo,
    receive_disconnect,
    until,
    until_true,
)
from waitroom.gateway.protocol import GatewayProtocol

pytestmark = pytest.mark.anyio


async def test_a_304_and_a_head_response_keep_their_length_and_the_connection(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status = 304 if scope["method"] == "GET" else 200
        headers = [(b"content-length", b"1000"), (b"date", b"theirs")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    edge = await serve(app)
    response = await edge.exchange(GET + b"\r\nHEAD / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    heads = response.split(b"\r\n\r\n")
    assert heads.pop() == b""
    assert [(b"content-length: 1000" in head, head.count(b"date: ")) for head in heads] == [(True, 1), (True, 1)]


async def test_a_response_without_a_length_is_chunked(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for body in (b"abc", b"", b"defg"):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if scope["path"] == "/" else b"end"})

    edge = await serve(app)
    assert (await edge.exchange(GET + CLOSE + b"\r\n")).endswith(b"\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    last = await edge.exchange(GET.replace(b"/ ", b"/x ", 1) + CLOSE + b"\r\n")
    assert last.endswith(b"\r\n4\r\ndefg\r\n3\r\nend\r\n0\r\n\r\n")
    old = await edge.exchange(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n")
    assert old.endswith(b"connection: close\r\n\r\nabcdefg")


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"6")]])
async def test_a_start_that_brings_the_first_of_the_body_gives_the_same_bytes_as_two_messages(
    serve: Serve, method: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["extensions"]["waitroom.body_in_start"]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        parts = [{"body": b"abc", "more_body": True}, {"body": b"def", "more_body": False}]
        if scope["path"] == "/whole":
            parts = [{"body": b"abcdef", "more_body": False}]
        if scope["query_string"] == b"together":
            await send(start | parts.pop(0))
        else:
            await send(start)
        for part in parts:
            await send({"type": "http.response.body", **part})

    edge = await serve(app)
    for target in (b"/whole", b"/parts"):
        got = [
            await edge.exchange(method + b" " + target + query + b" HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
            for query in (b"?together", b"")
        ]
        assert got[0] == got[1]
        assert got[0].startswith(b"HTTP/1.1 200 OK\r\n")


class Broken(Exception):
    quiet = True


class Loud(Exception):
    pass


@BOTH_LOOPS
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(("error", "logged"), [(Broken, 0), (Loud, 1)])
async def test_a_response_that_breaks_is_never_a_clean_end(
    serve: Serve, log: Log, error: type[Exception], logged: int, version: bytes
) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await go.wait()
        raise error("/secret")

    edge = await serve(app)
    reader, writer = await edge.connect()
    writer.write(b"GET / HTTP/" + version + b"\r\n" + HOST + b"\r\n")
    await until(reader, b"half")
    go.set()
    with pytest.raises(ConnectionResetError):
        await all_of(reader)
    assert len(log()) == logged


async def test_an_application_that_fails_is_a_500_in_our_words_and_one_line_without_the_request(
    serve: Serve, log: Log
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise Loud("/secret?token=1")

    edge = await serve(app)
    response = await edge.exchange(GET + b"\r\n")
    assert response.startswith(b"HTTP/1.1 500 ")
    assert response.endswith(b"Something went wrong on our side. Please try again.\n")
    (line,) = log()
    assert (line["event"], line["level"], line["error"]) == ("request_failed", "error", "Loud")
    assert "test_protocol_responses.py:" in line["at"]
    assert "secret" not in str(line)


MISBEHAVIOURS: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "says nothing": ([], False),
    "body first": ([{"type": "http.response.body"}], False),
    "header split": (
        [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]}],
        False,
    ),
    "two starts": ([{"type": "http.response.start", "status": 200}] * 2, True),
    "never ends": ([{"type": "http.response.start", "status": 200}], True),
    "too short": (
        [
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]},
            {"type": "http.response.body", "body": b"ab"},
        ],
        True,
    ),
    "too long": (
        [
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]},
            {"type": "http.response.body", "body": b"abcd"},
        ],
        True,
    ),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_an_application_that_breaks_the_rules_gives_a_500_or_a_broken_response(serve: Serve, name: str) -> None:
    messages, started = MISBEHAVIOURS[name]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    edge = await serve(app)
    if started:
        with pytest.raises(ConnectionResetError):
            await edge.exchange(GET + b"\r\n")
    else:
        response = await edge.exchange(GET + b"\r\n")
        assert response.startswith(b"HTTP/1.1 500 ")
        assert b"c: d" not in response


async def test_saying_more_after_the_end_is_logged_and_harms_nobody(serve: Serve, log: Log) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer()(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body"})

    edge = await serve(app)
    response = await edge.exchange(GET + b"\r\n" + GET + CLOSE + b"\r\n")
    assert response.count(b"HTTP/1.1 200 OK") == 2
    assert [line["event"] for line in log()] == ["request_failed"] * 2


@BOTH_LOOPS
async def test_an_answer_given_before_the_body_arrived_is_read_and_the_connection_closed(serve: Serve) -> None:
    edge = await serve(answer(b"early", 413))
    reader, writer = await edge.connect()
    writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10000000\r\n\r\n")
    assert (await until(reader, b"early")).startswith(b"HTTP/1.1 413 ")
    for _ in range(10):
        writer.write(b"a" * 10_000)
        await writer.drain()
    assert await all_of(reader) == b""


@BOTH_LOOPS
async def test_lingering_ends(serve: Serve) -> None:
    edge = await serve(answer(b"early", 413), HASTY)
    reader, writer = await edge.connect()
    writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10000000\r\n\r\n")
    assert (await all_of(reader)).endswith(b"early")
    while edge.server.server_state.connections:
        await asyncio.sleep(0.01)
    assert edge.refused == []


@BOTH_LOOPS
async def test_a_client_that_leaves_is_a_disconnect_for_every_request_it_sent(serve: Serve) -> None:
    left: asyncio.Queue[str] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive_disconnect(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})  # has no effect, and no error
        left.put_nowait(scope["path"])

    edge = await serve(app)
    _, writer = await edge.connect()
    writer.write(GET + b"\r\n")
    await until_true(edge.has_begun)
    writer.close()
    assert await asyncio.wait_for(left.get(), WITHIN_SECONDS) == "/"

    _, writer = await edge.connect()
    writer.write(GET + b"\r\n" + GET + b"\r\n")
    await until_true(edge.reads_no_more)
    (connection,) = edge.server.server_state.connections
    assert isinstance(connection, GatewayProtocol)
    connection.transport.abort()
    assert await asyncio.wait_for(left.get(), WITHIN_SECONDS) == "/"
    assert left.empty()


async def test_too_many_connections_get_a_503(serve: Serve) -> None:
    edge = await serve(echo, limit_concurrency=1)
    assert (await edge.exchange(GET + b"\r\n")).startswith(b"HTTP/1.1 503 ")


# Shutdown


@BOTH_LOOPS
async def test_shutdown_lets_a_request_finish_and_closes_its_connection(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await answer()(scope, receive, send)

    edge = await serve(app)
    idle, _ = await edge.connect()
    reader, writer = await edge.connect()
    writer.write(GET + b"\r\n")
    await until_true(edge.has_begun)
    stopping = asyncio.ensure_future(edge.server.shutdown())
    assert await all_of(idle) == b""
    go.set()
    response = await all_of(reader)
    assert b"connection: close" in response
    assert response.endswith(b"ok")
    await asyncio.wait_for(stopping, WITHIN_SECONDS)


@BOTH_LOOPS
async def test_a_request_that_outlives_the_shutdown_is_broken_off(serve: Serve) -> None:
    begun = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    edge = await serve(app)
    reader, writer = await edge.connect()
    writer.write(GET + b"\r\n")
    await asyncio.wait_for(begun.wait(), WITHIN_SECONDS)
    (task,) = edge.server.server_state.tasks
    task.cancel()
    with pytest.raises(ConnectionResetError):
        await all_of(reader)
    assert task.cancelled()
