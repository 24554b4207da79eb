"""Random exchanges, through the gateway and directly; and random bytes for the parsers on either side.

`WAITROOM_FUZZ_EXAMPLES` says how many exchanges are tried; the rest follows from it. Each one is drawn as a short
string of bytes, a tape, from which the choices are read off: hypothesis makes and shrinks those fastest.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.proxy.messages import Message, request_at, response_at
from tests.proxy.stack import gateway
from waitroom.errors import BackendError
from waitroom.gateway.protocol import ProtocolLimits
from waitroom.gateway.refusals import RequestRefused
from waitroom.gateway.request_reader import RequestReader
from waitroom.proxy.connection import BackendConnection
from waitroom.read_buffer import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from waitroom.gateway.request_head import RequestHead

EXCHANGES = int(os.environ.get("WAITROOM_FUZZ_EXAMPLES", "5000"))
PATIENCE_SECONDS = 20.0

many = settings(
    max_examples=EXCHANGES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
fewer = settings(many, max_examples=max(EXCHANGES // 5, 100))

T = TypeVar("T")

# --- an exchange from a tape ---


class Tape:
    """Choices, read off bytes; when they end, every choice is the first, the simplest one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int) -> int:
        self._at += 1
        return self._data[self._at - 1] % below if self._at <= len(self._data) else 0

    def one(self, *choices: T) -> T:
        return choices[self.number(len(choices))]

    def some(self, *choices: T, at_most: int) -> list[T]:
        return [self.one(*choices) for _ in range(self.number(at_most + 1))]


PATHS = (
    b"/",
    b"/a/b.c",
    b"/a//b/../c",
    b"/%41%2f%00",
    b"/;p=1,2/",
    b"//x",
    b"/a'()*!$&+~",
    b"/" + b"long" * 300,
    b"/.",
    b"/@:",
)
QUERIES = (b"", b"?", b"?a=b&c", b"?a=/?:@", b"?%00", b"?" + b"q" * 2_000)
REQUEST_FIELDS = (
    (b"accept", b"*/*"), (b"cookie", b"a=1; b=2"), (b"cookie", b"c=3"), (b"x-a", b""), (b"x-a", b"1, 2"), (b"x-a", b"\xe9\t\xff"),
    (b"accept-encoding", b"gzip, br"), (b"range", b"bytes=0-1"), (b"if-none-match", b'"x"'), (b"authorization", b"Basic eDp5"),
    (b"user-agent", b'f/1 (z; "q")'), (b"content-type", b"text/plain"), (b"x" * 200, b"y" * 3_000), (b"!#$%&'*+-.^`|~", b"t"),
    (b"x_under", b"1"), (b"origin", b"https://a.test"),
)  # fmt: skip
RESPONSE_FIELDS = (
    (b"content-type", b"text/html"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Path=/"), (b"date", b"today"),
    (b"server", b"Shop"), (b"etag", b'"x"'), (b"content-encoding", b"gzip"), (b"vary", b"*"), (b"x-a", b""), (b"x-a", b"\xe9 \xff"),
    (b"location", b"/x?y#z"), (b"cache-control", b"public, max-age=9"), (b"x" * 200, b"y" * 3_000), (b"via", b"1.1 cdn"),
    (b"www-authenticate", b"Basic"), (b"content-range", b"bytes 0-1/2"),
)  # fmt: skip
STATUSES = (200, 201, 204, 206, 301, 304, 400, 401, 404, 410, 429, 500, 503, 299, 599)
BODIES = (
    b"",
    b"x",
    b"hello",
    b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"\0\r\n" * 10,
    bytes(range(256)),
    b"b" * 5_000,
    b"c" * 70_000,
)


def chunked(body: bytes, tape: Tape) -> bytes:
    """A body in chunks of sizes from the tape, with extensions and trailers."""
    said = b""
    while body:
        size = tape.one(len(body), 1, 2, 16, 1_000, 4_096) or 1
        piece, body = body[:size], body[size:]
        form = tape.one(b"%x", b"%X", b"0%x", b"%x;a=b", b'%x;a="b;c"')
        said += form % len(piece) + b"\r\n" + piece + b"\r\n"
    trailers = tape.one(b"", b"", b"X-Sum: 1\r\n", b"X-A: 1\r\nX-A: 2\r\n")
    return said + tape.one(b"0", b"000", b"0;e") + b"\r\n" + trailers + b"\r\n"


@dataclass
class Drawn:
    """A request and its answer, with the places at which their bytes are cut."""

    method: bytes
    request: list[bytes]
    answer: list[bytes]
    body: bytes
    answer_body: bytes
    closes: bool

    def __repr__(self) -> str:
        return f"{b'|'.join(self.request)!r} -> {b'|'.join(self.answer)!r}{' and closes' if self.closes else ''}"


def cut(data: bytes, tape: Tape) -> list[bytes]:
    places = sorted({min(tape.number(256) * tape.one(1, 7, 300), len(data)) for _ in range(tape.number(4))})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


def drawn(tape: Tape) -> Drawn:
    """The exchange on a tape."""
    method = tape.one(b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND")
    lines = [b"%b %b%b HTTP/1.1" % (method, tape.one(*PATHS), tape.one(*QUERIES)), b"Host: shop.test"]
    spelled = tape.one(bytes.lower, bytes.title, bytes.upper)
    lines += [
        spelled(name) + tape.one(b": ", b":", b":\t ") + value for name, value in tape.some(*REQUEST_FIELDS, at_most=6)
    ]
    body = b"" if method == b"HEAD" else tape.one(b"", *BODIES)
    raw = body
    framing = tape.one("none", "length", "chunked") if not body else tape.one("length", "chunked")
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        raw = chunked(body, tape)
    request = b"\r\n".join([*lines, b"", b""]) + raw

    status = tape.one(*STATUSES)
    version = tape.one(b"1.1", b"1.1", b"1.0")
    interim = tape.one(b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n")
    lines = [b"HTTP/%b %d %b" % (version, status, tape.one(b"", b"OK", b"Odd Words"))]
    lines += [name + b": " + value for name, value in tape.some(*RESPONSE_FIELDS, at_most=6)]
    answer_body = tape.one(*BODIES)
    raw = b""
    closes = False
    if method == b"HEAD" or status == 304:
        lines += tape.some(b"Content-Length: %d" % len(answer_body), at_most=1)
        answer_body = b""
    elif status == 204:
        answer_body = b""
    else:
        raw = answer_body
        framing = tape.one("length", "chunked", "close") if version == b"1.1" else tape.one("length", "close")
        if framing == "length":
            lines.append(b"Content-Length: %d" % len(answer_body))
        elif framing == "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            raw = chunked(answer_body, tape)
        closes = framing == "close"
    if not closes:
        closes = tape.one(False, False, False, True) or version == b"1.0"
        if closes and version == b"1.1":
            lines.append(b"Connection: close")
    answer = interim + b"\r\n".join([*lines, b"", b""]) + raw
    return Drawn(method, cut(request, tape), cut(answer, tape), body, answer_body, closes)


# --- playing ---


class FuzzBackend(asyncio.Protocol):
    """Answers each whole request with the answer of the exchange being played."""

    now: Drawn
    seen: Message

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        message = request_at(self._data)
        if message is None or not message.whole:
            return
        self._data = self._data[message.size_bytes :]
        FuzzBackend.seen = message
        self._send(list(FuzzBackend.now.answer), FuzzBackend.now.closes)

    def _send(self, parts: list[bytes], closes: bool) -> None:
        if parts:
            self._transport.write(parts.pop(0))
        if parts:
            asyncio.get_running_loop().call_soon(self._send, parts, closes)
        elif closes:
            self._transport.close()


class Client:
    """A connection that is kept for as long as the gateway keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self.opened = 0

    async def ask(self, drawn: Drawn) -> tuple[bytes, Message]:
        """(interim answers, the final one)"""
        if self._reader is None or self._reader.at_eof():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self.opened += 1
        for part in drawn.request:
            self._writer.write(part)
            if len(drawn.request) > 1:
                await asyncio.sleep(0)
        got = b""
        while True:
            message = response_at(got, drawn.method, ended=self._reader.at_eof())
            if message is not None and message.whole and message.status >= 200:
                break
            assert not self._reader.at_eof(), f"the connection ended after {got[:300]!r}"
            got += await self._reader.read(262_144)
        assert message.size_bytes == len(got), "more came than the answer"
        return got, message

    def close(self) -> None:
        if self._reader is not None:
            self._writer.close()


class Played:
    """The gateway, its backend and one client, for all examples in one loop."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def exchange(self, drawn: Drawn) -> tuple[Message, Message]:
        """(what the backend saw, what the client got)"""
        return self._runner.run(self._exchange(drawn))

    async def _exchange(self, drawn: Drawn) -> tuple[Message, Message]:
        FuzzBackend.now = drawn
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, message = await self.client.ask(drawn)
        return FuzzBackend.seen, message

    async def start(self) -> None:
        server = await asyncio.get_running_loop().create_server(FuzzBackend, "127.0.0.1", 0)
        self._gateway = gateway(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        stack = await self._gateway.__aenter__()
        self.client = Client(stack.port)
        self._server = server

    async def stop(self) -> None:
        self.client.close()
        await self._gateway.__aexit__(None, None, None)
        self._server.close()


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        played = Played(runner)
        runner.run(played.start())
        yield played
        runner.run(played.stop())


ADDED = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"via"}
FRAMING = {b"content-length", b"transfer-encoding", b"connection", b"trailer"}


def told(fields: Sequence[tuple[bytes, bytes]], but: set[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in fields if name not in but]


def direct_request(drawn: Drawn) -> Message:
    """The request as a backend without a gateway reads it, trailers apart."""
    head = b"".join(drawn.request).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    message = request_at(head)
    assert message is not None
    return message


def direct_answer(drawn: Drawn) -> Message:
    """The final answer as a client without a gateway reads it, trailers apart."""
    data = b"".join(drawn.answer)
    while data.startswith((b"HTTP/1.1 103", b"HTTP/1.1 102")):
        data = data.partition(b"\r\n\r\n")[2]
    head = data.partition(b"\r\n\r\n")[0].replace(b"HTTP/1.0", b"HTTP/1.1", 1) + b"\r\n\r\n"
    message = response_at(head, b"HEAD", ended=True)
    assert message is not None
    return message


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> None:
    """Tell the long form's table how much was tried."""
    record_property("exchanges, of the parsers a fifth", EXCHANGES)


@pytest.mark.scaled
@pytest.mark.usefixtures("counted")
@many
@given(tape=st.binary(min_size=40, max_size=60))
@example(tape=b"")
def test_an_exchange_is_the_same_as_without_the_gateway(played: Played, tape: bytes) -> None:
    exchange = drawn(Tape(tape))
    seen, got = played.exchange(exchange)
    request, answer = direct_request(exchange), direct_answer(exchange)
    assert seen.start == request.start
    assert told(seen.fields, ADDED | FRAMING) == sorted(
        told(request.fields, FRAMING), key=lambda field: field[0] != b"host"
    )
    assert seen.body == exchange.body
    assert got.status == answer.status
    assert told(got.fields, FRAMING) == told(answer.fields, FRAMING)
    assert got.body == exchange.answer_body
    if answer.status != 204:
        # A length that was told stays, and stays the same, with a body or without one.
        assert got.all(b"content-length") == answer.all(b"content-length")


def test_the_connections_of_most_exchanges_were_used_before(played: Played) -> None:
    assert played.client.opened < max(EXCHANGES / 4, 20)


# --- the parser of answers ---


class FakeTransport(asyncio.Transport):
    """Takes everything, and ends when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False

    def abort(self) -> None:
        if not self.closing:
            self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: Any) -> None: ...


def arrive(connection: BackendConnection, data: bytes) -> None:
    """Bytes come as an event loop brings them: through the one small buffer."""
    for start in range(0, len(data), READ_BYTES):
        part = data[start : start + READ_BYTES]
        connection.get_buffer(-1)[: len(part)] = part
        connection.buffer_updated(len(part))


def parsed(parts: Sequence[bytes], *, method: str = "GET", upgrading: bool = False) -> tuple[Any, ...]:
    """What a connection made of an answer in these parts, and of its end."""
    ended: list[BackendConnection] = []
    connection = BackendConnection(None, ended.append)  # type: ignore[arg-type]  # nobody waits, so no loop is needed
    transport = FakeTransport()
    connection.connection_made(transport)
    connection.begin(method, upgrading=upgrading)
    connection.request_sent = True
    body = b""
    for part in parts:
        if transport.closing:
            break
        arrive(connection, part)
        body += connection.take()
    reusable = connection.reusable
    connection.eof_received()
    connection.connection_lost(None)
    assert ended == [connection]
    assert connection.complete or connection.failure is not None, "a reader would wait for ever"
    assert connection.failure is None or isinstance(connection.failure, BackendError)
    if connection.head_done:
        assert 200 <= connection.status <= 599 or connection.switched
    failure = type(connection.failure).__name__ if connection.failure else ""
    # Of a head that breaks off, nobody is told any field.
    fields = connection.headers if connection.head_done else []
    return connection.status, fields, body, connection.complete, connection.switched, failure, reusable


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n", True),
        (b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n0\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nproxy-connection: close\r\n", False),
    ],
)
def test_a_connection_is_kept_only_when_both_ends_know_where_the_answer_ended(head: bytes, *, kept: bool) -> None:
    status, _, _, complete, _, _, reusable = parsed([head + b"\r\n"])
    assert (status, complete, reusable) == (200, True, kept)


@pytest.mark.parametrize("endless", [b"0\r\nx: " + b"y" * 1_000, b"5;" + b"z" * 1_000, b"0\r\n" + b"x: y\r\n" * 200])
def test_what_a_backend_sends_beside_a_body_is_bounded(endless: bytes) -> None:
    """A trailer without an end would be kept, and one after another be read, for ever."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    more = endless[-600:]
    for count, failure in ((20, "Vanished"), (200, "BadAnswer")):
        status, _, body, complete, _, found, _ = parsed([head, endless, *[more] * count])
        assert (status, body, complete, found) == (200, b"hello", False, failure)


def test_a_body_in_many_small_pieces_may_be_as_long_as_it_likes() -> None:
    pieces = [b"1\r\n", b"a", b"\r\n"] * 40_000
    *_, body, complete, _, failure, _ = parsed(
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *pieces, b"0\r\n\r\n"]
    )
    assert (len(body), complete, failure) == (40_000, True, "")


ANSWER_PIECES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 304 ", b"HTTP/1.1 204 No", b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 S",
    b"HTTP/1.1 103 E", b"HTTP/1.1 999 X", b"HTTP/9.9 200 OK", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b":", b"x", b"5", b"0", b"hello",
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Connection: close", b"Connection: upgrade", b"Connection: keep-alive", b"Proxy-Connection: close", b"Upgrade: websocket",
    b"Upgrade: h2c", b"Trailer: x", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"5;a\r\nhello\r\n", b"ffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"\xff", b"a" * 9_000,
)  # fmt: skip

pieces = st.lists(st.sampled_from(ANSWER_PIECES) | st.binary(max_size=4), min_size=2, max_size=14)


@pytest.mark.scaled
@pytest.mark.usefixtures("counted")
@fewer
@example(parts=[b"HTTP/1.1 200 OK", b"\r\n", b"Content-Length: 5", b"\r\n", b"HTTP/1.1 200 OK"], mode=("GET", False))
@given(parts=pieces, mode=st.sampled_from([("GET", False), ("HEAD", False), ("GET", True)]))
def test_no_bytes_of_a_backend_raise_or_hang_and_it_does_not_matter_how_they_are_cut(
    parts: list[bytes], mode: tuple[str, bool]
) -> None:
    data = b"".join(parts)
    method, upgrading = mode
    once = parsed([data] if data else [], method=method, upgrading=upgrading)
    assert parsed([p for p in parts if p], method=method, upgrading=upgrading)[:6] == once[:6]
    if len(data) < 400:
        assert (
            parsed([data[at : at + 1] for at in range(len(data))], method=method, upgrading=upgrading)[:6] == once[:6]
        )


@pytest.mark.scaled
@pytest.mark.usefixtures("counted")
@fewer
@given(data=st.binary(max_size=200))
def test_no_noise_behind_a_good_answer_reaches_the_visitor(data: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    status, headers, body, complete, _, failure, reusable = parsed([head + data])
    assert (status, headers, body, complete, failure) == (200, [(b"content-length", b"2")], b"ok", True, "")
    assert reusable is (not data.strip(b"\r\n"))


# --- the parser of requests ---


class Requests:
    """What a reader told of."""

    def __init__(self) -> None:
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []
        self.ended = 0

    def request_came(self, head: RequestHead) -> None:
        self.heads.append(head)
        self.bodies.append(b"")

    def body_came(self, body: bytes) -> None:
        self.bodies[-1] += body

    def request_ended(self) -> None:
        self.ended += 1


def read(parts: Sequence[bytes]) -> tuple[list[RequestHead], list[bytes], int, str]:
    """The requests in these parts, and why no more were taken."""
    requests = Requests()
    reader = RequestReader(requests, ProtocolLimits())
    refused = ""
    for part in parts:
        try:
            rest = reader.feed(memoryview(part))
        except RequestRefused as error:
            refused = error.reason
            break
        if rest or (requests.heads and requests.heads[-1].is_websocket):
            break
    reader.close()
    assert requests.ended in {len(requests.heads), len(requests.heads) - 1}
    return requests.heads, requests.bodies, requests.ended, refused


REQUEST_PIECES = (
    b"GET / HTTP/1.1\r\nHost: shop.test\r\n", b"POST /x HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.0\r\n", b"Host: b\r\n", b"\r\n", b"\n", b"\r",
    b"\0", b" ", b"\t", b":", b"x: y\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: x\r\n", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"Expect: 100-continue\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"CONNECT a:1 HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n\r\n", b"\xff", b"x: " + b"a" * 9_000 + b"\r\n",
)  # fmt: skip


@pytest.mark.scaled
@pytest.mark.usefixtures("counted")
@fewer
@given(parts=st.lists(st.sampled_from(REQUEST_PIECES) | st.binary(max_size=4), max_size=12))
def test_no_bytes_of_a_visitor_raise_anything_but_a_refusal_and_it_does_not_matter_how_they_are_cut(
    parts: list[bytes],
) -> None:
    data = b"".join(parts)
    once = read([data])
    assert read([part for part in parts if part]) == once
    if len(data) < 400:
        assert read([data[at : at + 1] for at in range(len(data))]) == once


def test_the_pieces_reach_every_kind_of_end() -> None:
    """Otherwise the targets above would show little."""
    kinds: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None, database=None)
    @given(parts=pieces)
    def look(parts: list[bytes]) -> None:
        status, _, _, complete, _, failure, _ = parsed([b"HTTP/1.1 200 OK\r\n" + b"".join(parts)])
        kinds[failure or ("complete" if complete else "open")] += 1
        assert status in {0, *range(200, 600)}

    look()
    assert {"complete", "BadAnswer", "Vanished"} <= kinds.keys()
