"""What requests the protocol takes and refuses, under a real server."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.edge import (
    BOTH_LOOPS,
    CHUNKED,
    CLOSE,
    GET,
    HOST,
    POST,
    Log,
    Receive,
    Scope,
    Send,
    Serve,
    all_of,
    answer,
    echo,
    read_body,
    until,
    until_true,
)

pytestmark = pytest.mark.anyio

# Malformed or greedy input, byte for byte, and how it is answered: status and reason.
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "not http": (b"\x16\x03\x01\x02\x00\x01\x00", 400, "syntax"),
    "unknown method": (b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n", 400, "syntax"),
    "no version": (b"GET /\r\n\r\n", 400, "version"),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "syntax"),
    "http/2": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400, "version"),
    "http/9.9": (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400, "syntax"),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 400, "syntax"),
    "bare return": (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400, "syntax"),
    "folded field": (GET + b"X: a\r\n b\r\n\r\n", 400, "syntax"),
    "space before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "syntax"),
    "space before field": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "syntax"),
    "no colon": (GET + b"X a\r\n\r\n", 400, "syntax"),
    "empty name": (GET + b": a\r\n\r\n", 400, "syntax"),
    "name not ascii": (GET + b"X\xe4: a\r\n\r\n", 400, "syntax"),
    "nul in a value": (GET + b"X: a\0b\r\n\r\n", 400, "syntax"),
    "control in a value": (GET + b"X: a\x01b\r\n\r\n", 400, "syntax"),
    "nul in the target": (b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "syntax"),
    "tab in the target": (b"GET /a\tb HTTP/1.1\r\n" + HOST + b"\r\n", 400, "syntax"),
    "space in the target": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400, "syntax"),
    "target not ascii": (b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "syntax"),
    "fragment": (b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
    "no slash": (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", 400, "syntax"),
    "asterisk": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
    "other host": (b"GET http://other/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "host_differs"),
    "other scheme": (b"GET ftp://shop.example/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
    "connect": (b"CONNECT shop.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method"),
    "trace": (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "host_missing"),
    "no host in 1.0": (b"GET / HTTP/1.0\r\n\r\n", 400, "host_missing"),
    "two hosts": (GET + b"host: shop.example\r\n\r\n", 400, "host_repeated"),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "host_malformed"),
    "host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "host_malformed"),
    "host with user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "host_malformed"),
    "host list": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "host_malformed"),
    "host not ascii": (b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n", 400, "host_malformed"),
    "host with a bad port": (b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, "host_malformed"),
    "length and chunked": (POST + b"Content-Length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400, "syntax"),
    "chunked and length": (POST + CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n", 400, "syntax"),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "syntax"),
    "signed length": (POST + b"Content-Length: +3\r\n\r\nabc", 400, "syntax"),
    "huge length": (POST + b"Content-Length: 99999999999999999999\r\n\r\nabc", 400, "syntax"),
    "coding unknown": (POST + b"Transfer-Encoding: identity\r\n\r\nabc", 400, "framing"),
    "coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "framing"),
    "coding after chunked": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, "syntax"),
    "chunked in 1.0": (b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n", 400, "framing"),
    "chunk size in hex notation": (POST + CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n", 400, "syntax"),
    "chunk size without return": (POST + CHUNKED + b"\r\n1\na\n0\n\n", 400, "syntax"),
    "other expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417, "expect"),
    "long target": (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "request_line_size"),
    "long target, never whole": (b"GET /" + b"a" * 8192, 414, "request_line_size"),
    "long field": (GET + b"X: " + b"a" * 8192 + b"\r\n\r\n", 431, "header_line_size"),
    "large head": (GET + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 8000) for n in range(9)) + b"\r\n", 431, "header_size"),
    "many fields": (GET + b"X: a\r\n" * 100 + b"\r\n", 431, "header_fields"),
    "endless field": (GET + b"X: " + b"a" * 70_000, 431, "header_size"),
    "endless empty lines": (b"\r\n" * 40_000, 431, "header_size"),
    "endless trailer": (POST + CHUNKED + b"\r\n0\r\nX: " + b"a" * 70_000, 431, "trailer_size"),
    "endless chunk extension": (POST + CHUNKED + b"\r\n1;" + b"a" * 70_000, 431, "trailer_size"),
}


async def test_bad_input_gets_a_clear_answer_and_the_connection_is_closed(serve: Serve, log: Log) -> None:
    edge = await serve(echo)
    seen = {}
    for name, (data, *_) in REFUSED.items():
        edge.refused.clear()
        response = await edge.exchange(data)
        head, _, text = response.partition(b"\r\n\r\n")
        assert b"connection: close" in head, name
        assert b"content-type: text/plain; charset=utf-8" in head, name
        assert text.endswith(b".\n"), name
        seen[name] = (data, int(head[9:12]), ", ".join(edge.refused))
    assert seen == REFUSED
    assert log() == []


async def test_what_is_refused_whole_is_refused_byte_by_byte(serve: Serve) -> None:
    edge = await serve(echo)
    for name in ("two hosts", "coding before chunked", "chunk size in hex notation", "other host"):
        data, status, reason = REFUSED[name]
        edge.refused.clear()
        reader, writer = await edge.connect()
        for position in range(len(data)):
            writer.write(data[position : position + 1])
            await asyncio.sleep(0)
        assert (await all_of(reader))[9:12] == b"%d" % status, name
        assert edge.refused == [reason]


async def test_a_large_body_does_not_count_against_the_request_behind_it(serve: Serve) -> None:
    edge = await serve(echo)
    large = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n" + b"a" * 100_000
    response = await edge.exchange(large + POST + b"Content-Length: 1\r\n\r\n", b"b")
    assert (response.count(b" 200 OK"), response[-8:], edge.refused) == (2, b"POST / b", [])


async def test_a_405_says_what_is_allowed(serve: Serve) -> None:
    edge = await serve(echo)
    assert b"\r\nallow: GET, HEAD, POST, " in await edge.exchange(REFUSED["trace"][0])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\r\n\r\n" + GET + CLOSE + b"\r\n", b"GET / "),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", b"OPTIONS * "),
        (b"GET http://Shop.Example:80/a HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", b"GET /a "),
        (b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", b"GET / "),
        (GET + CLOSE + b"X: a\r\n" * 98 + b"\r\n", b"GET / "),
        (POST + b"Content-Length: 3\r\n\r\nabc", b"POST / abc"),
        (POST + CHUNKED + b"\r\n1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX-Trailer: t\r\n\r\n", b"POST / abc"),
        (POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", b"POST / "),
        (b"POST / HTTP/1.0\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\na", b"POST / a"),
        (GET + CLOSE + b"Upgrade: websocket\r\n\r\n", b"GET / "),
    ],
)
async def test_what_is_unusual_but_right_is_served(serve: Serve, data: bytes, expected: bytes) -> None:
    edge = await serve(echo)
    head, _, body = (await edge.exchange(data)).partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body, edge.refused) == (b"HTTP/1.1 200 OK", expected, [])


async def test_the_application_gets_the_target_as_it_came_and_no_trailer_among_the_headers(serve: Serve) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        scopes.append(scope)
        await answer()(scope, receive, send)

    edge = await serve(app, root_path="/base")
    target = b"/%E2%82%AC/../a%2Fb//?q=%20&r"
    data = b"POST " + target + b" HTTP/1.1\r\nHost: a:1\r\nX-A: 1\r\nx-a: 2\r\n" + CLOSE + CHUNKED
    await edge.exchange(data + b"\r\n0\r\nX-B: 3\r\n\r\n")
    (scope,) = scopes
    assert scope["extensions"].keys() == {"waitroom.target", "waitroom.body_in_start", "waitroom.pass_on"}
    assert scope["extensions"]["waitroom.target"] == target
    assert scope["path"] == "/base/\u20ac/../a/b//"
    assert scope["raw_path"] == b"/base/%E2%82%AC/../a%2Fb//"
    assert scope["query_string"] == b"q=%20&r"
    assert [name for name, _ in scope["headers"]] == [b"host", b"x-a", b"x-a", b"connection", b"transfer-encoding"]
    assert (scope["type"], scope["http_version"], scope["scheme"]) == ("http", "1.1", "http")


async def test_requests_sent_together_are_answered_in_order_on_one_connection(serve: Serve) -> None:
    edge = await serve(echo)
    requests = [b"GET /%d HTTP/1.1\r\n" % n + HOST + b"\r\n" for n in range(20)]
    response = await edge.exchange(b"".join(requests) + GET + CLOSE + b"\r\n")
    bodies = [part.split(b"\r\n\r\n")[1] for part in response.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"GET /%d " % n for n in range(20)] + [b"GET / "]
    assert edge.server.server_state.total_requests == 21


@BOTH_LOOPS
async def test_a_bad_request_behind_a_good_one_does_not_spoil_the_good_ones_answer(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await echo(scope, receive, send)

    edge = await serve(app)
    for bad in (
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nnonsense\r\n",
        b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\nPOST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nnonsense\r\n",
    ):
        go.clear()
        edge.refused.clear()
        reader, writer = await edge.connect()
        writer.write(GET + b"\r\n" + bad)
        await until_true(lambda: edge.refused)
        writer.write(b"and more\r\n\r\n")
        go.set()
        response = await all_of(reader)
        assert response.endswith(b"GET /2 " if b"/2" in bad else b"GET / ")
        assert b" 400 " not in response
        assert edge.refused == ["syntax"]


@BOTH_LOOPS
async def test_a_body_that_turns_bad_ends_the_request_for_the_application(serve: Serve) -> None:
    ends: list[bytes | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/started":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        ends.append(await read_body(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    edge = await serve(app)
    reader, writer = await edge.connect()
    writer.write(POST + CHUNKED + b"\r\n1\r\na\r\n")
    await until_true(edge.has_begun)
    writer.write(b"nonsense\r\n")
    assert (await all_of(reader)).startswith(b"HTTP/1.1 400 ")
    reader, writer = await edge.connect()
    writer.write(POST.replace(b"/ ", b"/started ", 1) + CHUNKED + b"\r\n1\r\na\r\n")
    await until(reader, b"\r\n\r\n")
    writer.write(b"nonsense\r\n")
    with pytest.raises(ConnectionResetError):
        await all_of(reader)
    assert ends == [None, None]


@BOTH_LOOPS
async def test_a_refusal_arrives_although_the_client_is_still_sending(serve: Serve) -> None:
    edge = await serve(echo)
    reader, writer = await edge.connect()
    writer.write(REFUSED["two hosts"][0])
    assert (await until(reader, b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    for _ in range(20):
        writer.write(b"a" * 10_000)
        await writer.drain()
    assert (await all_of(reader)).endswith(b".\n")


# Upgrades that are none of ours


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
    ],
)
async def test_an_upgrade_with_a_body_is_a_plain_request_and_its_body_stays_a_body(serve: Serve, fields: bytes) -> None:
    edge = await serve(echo)
    inner = b"GET /inner HTTP/1.1\r\n" + HOST + b"\r\n"
    request = b"POST /%d HTTP/1.1\r\n" + HOST + fields + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
    response = await edge.exchange(request % 1 + request % 2 + POST + b"Content-Length: 1\r\n\r\na")
    bodies = response.split(b"HTTP/1.1 200 OK")[1:]
    assert [part.partition(b"\r\n\r\n")[2] for part in bodies] == [
        b"POST /1 " + inner,
        b"POST /2 " + inner,
        b"POST / a",
    ]


async def test_an_upgrade_in_http_1_0_is_a_plain_request(serve: Serve) -> None:
    edge = await serve(echo)
    data = b"GET / HTTP/1.0\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert (await edge.exchange(data)).endswith(b"GET / ")


async def test_what_follows_an_ignored_upgrade_is_checked_as_well(serve: Serve) -> None:
    edge = await serve(echo)
    data = GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    response = await edge.exchange(data + b"GET / HTTP/1.1\r\n\r\n")
    assert (response.count(b"HTTP/1.1 "), edge.refused) == (1, ["host_missing"])
