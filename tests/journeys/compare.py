"""Two answers to one request, one straight from the site and one through the gateway: alike, less what is documented.

The documented differences are the tables here; `docs/proxying.md` says the same, line for line. Names of header fields
are compared in lower case, values byte for byte, order and repetition included.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import brotlicffi  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

Field = tuple[bytes, bytes]

PATIENCE_SECONDS = 60.0


class Effect(Enum):
    """What becomes of a header field on its way through the gateway."""

    ADDED = "set by Waitroom"
    REMOVED = "removed"
    MOVED = "kept, but elsewhere among the fields"
    OWN = "of Waitroom's own cookies and tokens removed"


class Difference(NamedTuple):
    """A row of a table of documented differences."""

    names: tuple[str, ...]
    effect: Effect
    reason: str

    def line(self) -> str:
        """Return the row as the documentation has it."""
        return f"| {', '.join(f'`{name}`' for name in self.names)} | {self.effect.value} | {self.reason} |"


TO_THE_SITE = (
    Difference(
        ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via"),
        Effect.ADDED,
        "The site learns who asks, how, and by which name. What trusted proxies in front have said stays, and this hop "
        "joins the lists; what anybody else says is dropped, except `via`, which only grows.",
    ),
    Difference(
        ("waitroom-room", "waitroom-visitor"),
        Effect.ADDED,
        "The site learns whom it serves: a random id, on requests of admitted visitors.",
    ),
    Difference(
        ("cookie", "authorization"),
        Effect.OWN,
        "They are proof towards Waitroom, nothing to the site; all other cookies and credentials stay as they are.",
    ),
    Difference(
        ("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"),
        Effect.REMOVED,
        "They are about one connection (RFC 9110 §7.6.1), as is every field that `connection` names. An upgrade to "
        "`websocket` goes through; no other does.",
    ),
    Difference(
        ("proxy-authenticate", "proxy-authorization"),
        Effect.REMOVED,
        "They are between a client and its own proxy.",
    ),
    Difference(
        ("host", "content-length", "transfer-encoding", "expect"),
        Effect.MOVED,
        "`host` comes first, as RFC 9110 §7.2 asks, framing after the site's fields. A chunked body stays chunked, with "
        "chunks of other sizes and without trailers.",
    ),
)

TO_THE_VISITOR = (
    Difference(
        ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        Effect.REMOVED,
        "They are about one connection. A body without `content-length` reaches the visitor chunked, without trailers.",
    ),
    Difference(
        ("proxy-authenticate", "proxy-authorization"),
        Effect.REMOVED,
        "They are between a client and its own proxy.",
    ),
    Difference(
        ("content-length",),
        Effect.MOVED,
        "It comes last, and not with a 204, which has no body (RFC 9110 §8.6).",
    ),
    Difference(
        ("waitroom-release", "waitroom-*"),
        Effect.REMOVED,
        "They are the site's word to Waitroom: `waitroom-release: 1` ends the visitor's session. Cookies of Waitroom's "
        "own names are removed too: nobody else sets them.",
    ),
    Difference(
        ("set-cookie", "cache-control"),
        Effect.ADDED,
        "On the answer that admits a visitor: the pass, and `private`, so that no shared cache keeps it; `expires`, "
        "`age` and the caching fields of CDNs are taken off that one answer. When a pass is renewed, only on answers "
        "that no shared cache may keep.",
    ),
)


class Refused(NamedTuple):
    """What the gateway answers itself where the site might have answered: a row of the table in the documentation."""

    what: str
    status: int
    reason: str
    requests: tuple[bytes, ...] = ()
    """Whole requests that show it, where one is enough to show it."""

    def line(self) -> str:
        """Return the row as the documentation has it."""
        return f"| {self.what} | {self.status} | {self.reason} |"


_HOST = b"host: shop.test\r\n"

REFUSED = (
    Refused(
        "the methods `TRACE` and `CONNECT`",
        405,
        "The one shows cookies to scripts, the other is for forward proxies.",
        (b"TRACE /anything HTTP/1.1\r\n" + _HOST + b"\r\n", b"CONNECT shop.test:80 HTTP/1.1\r\n" + _HOST + b"\r\n"),
    ),
    Refused(
        "a target with `#`, spaces or bytes outside ASCII",
        400,
        "HTTP does not allow it, and what matches a room must be what the site reads.",
        (
            b"GET /anything#part HTTP/1.1\r\n" + _HOST + b"\r\n",
            b"GET /anything/\xc3\xa4 HTTP/1.1\r\n" + _HOST + b"\r\n",
            b"GET /any thing HTTP/1.1\r\n" + _HOST + b"\r\n",
        ),
    ),
    Refused(
        "no `Host`, two, or one that is no name; a target that names another host",
        400,
        "Rooms are found by host.",
        (
            b"GET /get HTTP/1.1\r\n\r\n",
            b"GET /get HTTP/1.0\r\n\r\n",
            b"GET /get HTTP/1.1\r\n" + _HOST + _HOST + b"\r\n",
            b"GET /get HTTP/1.1\r\nhost: a b\r\n\r\n",
            b"GET http://other.test/get HTTP/1.1\r\n" + _HOST + b"\r\n",
        ),
    ),
    Refused(
        "both `Content-Length` and `Transfer-Encoding`, a transfer coding other than `chunked`, malformed framing",
        400,
        "Two readings of where a request ends are how requests are smuggled.",
        (
            b"POST /post HTTP/1.1\r\n" + _HOST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /post HTTP/1.1\r\n" + _HOST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"POST /post HTTP/1.1\r\n" + _HOST + b"content-length: +3\r\n\r\nabc",
            b"POST /post HTTP/1.1\r\n" + _HOST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        ),
    ),
    Refused(
        "a request line over 8 kB",
        414,
        "So large a target is an attack or a mistake.",
        (b"GET /anything?" + b"q" * 9_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",),
    ),
    Refused(
        "a header field over 8 kB, a header over 64 kB or of more than 100 fields",
        431,
        "What one visitor may send is bounded.",
        (
            b"GET /get HTTP/1.1\r\n" + _HOST + b"cookie: " + b"c" * 9_000 + b"\r\n\r\n",
            b"GET /get HTTP/1.1\r\n" + _HOST + b"".join(b"x-%d: y\r\n" % i for i in range(101)) + b"\r\n",
        ),
    ),
    Refused(
        "an `Expect` other than `100-continue`",
        417,
        "Nothing else is defined.",
        (b"POST /post HTTP/1.1\r\n" + _HOST + b"expect: magic\r\ncontent-length: 0\r\n\r\n",),
    ),
    Refused(
        "an answer of the site that is not HTTP/1.1 or 1.0, of a status above 599 or of more than 64 kB header",
        502,
        "It cannot be passed on safely.",
        (b"GET /status/799 HTTP/1.1\r\n" + _HOST + b"\r\n",),
    ),
)

TABLES: dict[str, tuple[Difference, ...] | tuple[Refused, ...]] = {
    "## On the way to the site": TO_THE_SITE,
    "## On the way back": TO_THE_VISITOR,
    "## What Waitroom answers itself": REFUSED,
}


class Volatile(NamedTuple):
    """Something that differs from one answer of the site to the next: only its shape is compared."""

    target: str
    """Start of the targets it is true of."""
    place: str
    """Name of the header field, or `body`."""
    shape: re.Pattern[bytes]


VOLATILE = (
    Volatile("/", "date", re.compile(rb"\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\Z")),
    Volatile("/cache", "last-modified", re.compile(rb"\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\Z")),
    Volatile("/cache", "etag", re.compile(rb"\A[0-9a-f]{32}\Z")),
    Volatile("/uuid", "body", re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")),
    Volatile("/digest-auth", "www-authenticate", re.compile(rb'(?<=nonce=")[0-9a-f]+')),
    Volatile("/digest-auth", "www-authenticate", re.compile(rb'(?<=opaque=")[0-9a-f]+')),
)


@dataclass(frozen=True)
class Case:
    """A request, less the proof of admission that only the gateway needs."""

    method: str
    target: str
    fields: tuple[str, ...] = ()
    body: bytes = b""
    """As it goes over the wire, chunks included."""
    version: str = "1.1"

    def __str__(self) -> str:
        return " ".join([self.method, self.target[:70], *self.fields])[:120]

    def request(self, *, cookie: str = "") -> bytes:
        """Return the bytes of it, with `cookie` behind those it has."""
        fields = list(self.fields)
        if cookie:
            at = next((i for i, field in enumerate(fields) if field.lower().startswith("cookie:")), None)
            if at is None:
                fields.append(f"cookie: {cookie}")
            else:
                fields[at] += f"; {cookie}"
        lines = [f"{self.method} {self.target} HTTP/{self.version}", "host: shop.test", *fields, "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


@dataclass(frozen=True)
class Reply:
    """An answer as it came over the wire, with its body out of its chunks."""

    status: int
    fields: tuple[Field, ...]
    body: bytes = b""
    interim: tuple[int, ...] = ()
    """Statuses of the 1xx answers before it."""

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of a field."""
        return [value for field, value in self.fields if field == name]


class Line:
    """A connection that is kept as long as the other side keeps it, so that a body framed wrongly spoils what follows."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.opened = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def ask(self, request: bytes, *, head_only: bool = False) -> Reply:
        """Send the bytes of a request and read the answer."""
        head, empty_line, body = request.partition(b"\r\n\r\n")
        interim: tuple[int, ...] = ()
        async with asyncio.timeout(PATIENCE_SECONDS):
            if self._reader is None or self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
                self.opened += 1
            reader, writer = self._reader, self._writer
            writer.write(head + empty_line)
            if body and b"\r\nexpect:" in head.lower():
                interim = ((await _next_head(reader)).status,)
            writer.write(body)
            reply = await read_reply(reader, head_only=head_only)
            if b"close" in reply.all(b"connection"):
                assert await reader.read() == b""
                self.close()
            return replace(reply, interim=interim + reply.interim)


async def ask(port: int, request: bytes) -> Reply:
    """Send the bytes of a request on a connection of its own and read the answer."""
    async with Line(port) as line:
        return await line.ask(request)


async def read_reply(reader: asyncio.StreamReader, *, head_only: bool = False) -> Reply:
    """Read an answer, with those of 1xx before it; a body that is not framed to the letter raises."""
    interim = []
    while (reply := await _next_head(reader)).status < 200:
        interim.append(reply.status)
    reply = replace(reply, interim=tuple(interim))
    if head_only or reply.status in {204, 304}:
        return reply
    if reply.all(b"transfer-encoding"):
        assert reply.all(b"transfer-encoding") == [b"chunked"]
        assert not reply.all(b"content-length")
        return replace(reply, body=await _chunks(reader))
    lengths = reply.all(b"content-length")
    if not lengths:
        return replace(reply, body=await reader.read())
    (length,) = lengths
    return replace(reply, body=await reader.readexactly(int(length)))


async def _next_head(reader: asyncio.StreamReader) -> Reply:
    return Reply(*split_head(await reader.readuntil(b"\r\n\r\n")))


def split_head(head: bytes) -> tuple[int, tuple[Field, ...]]:
    """Return status and fields; names in lower case."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), first
    return int(first[9:12]), fields_of(lines)


def fields_of(lines: Iterable[bytes]) -> tuple[Field, ...]:
    """Return the fields of header lines; names in lower case."""
    return tuple((name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


def unlike(case: Case, direct: Reply, through: Reply) -> list[str]:
    """Return what differs between the site's own answer and the one through the gateway beyond the documented."""
    found = [
        f"{what}: {straight!r} → {passed!r}"
        for what, straight, passed in (
            ("status", direct.status, through.status),
            ("interim", direct.interim, through.interim),
            ("fields", _comparable_fields(case, direct), _comparable_fields(case, through)),
        )
        if straight != passed
    ]
    echo = False
    straight, passed = (_shaped(case, "body", reply.body) for reply in (direct, through))
    if straight != passed:
        seen_straight, seen_passed = (_echoed(reply) for reply in (direct, through))
        echo = seen_straight is not None and seen_straight == seen_passed
        if not echo:
            found.append(f"body: {seen_straight or straight[:2_000]!r} → {seen_passed or passed[:2_000]!r}")
    return found + _unlike_lengths(case, direct, through, echo=echo)


def _comparable_fields(case: Case, reply: Reply) -> list[Field]:
    apart = names_of(TO_THE_VISITOR, Effect.REMOVED, Effect.MOVED)
    return [(name, _shaped(case, name.decode(), value)) for name, value in reply.fields if name not in apart]


def _unlike_lengths(case: Case, direct: Reply, through: Reply, *, echo: bool) -> list[str]:
    """A length is told as the site tells it. An echo of the request is longer by what the site is told more."""
    straight, passed = direct.all(b"content-length"), through.all(b"content-length")
    if direct.status == 204:
        straight = []
    if echo and len(straight) == len(passed) == 1:
        return []  # each was read by its own length
    return [] if straight == passed else [f"content-length: {straight} → {passed}"]


def _shaped(case: Case, place: str, value: bytes) -> bytes:
    for volatile in VOLATILE:
        if volatile.place == place and case.target.startswith(volatile.target):
            value = volatile.shape.sub(b"(volatile)", value)
    return value


def _echoed(reply: Reply) -> list[object] | None:
    """Return what the site says it has seen, less what it was told more; None if the answer is no such echo."""
    body = reply.body
    coding = reply.all(b"content-encoding")
    if coding:
        opened = {b"gzip": gzip.decompress, b"deflate": zlib.decompress, b"br": brotlicffi.decompress}[coding[0]](body)
        body = bytes(opened)
    try:
        documents = [json.loads(line) for line in body.splitlines()]
    except ValueError:
        return None
    apart = names_of(TO_THE_SITE, Effect.ADDED, Effect.REMOVED)
    for document in documents:
        if not isinstance(document, dict) or "headers" not in document:
            return None
        # As text: the order within a document counts too.
        document["headers"] = [
            (name, value) for name, value in document["headers"].items() if name.lower().encode() not in apart
        ]
    return [json.dumps(document) for document in documents]


def names_of(table: tuple[Difference, ...], *effects: Effect) -> frozenset[bytes]:
    """Return the names of the fields on which a table's rows have one of these effects."""
    return frozenset(name.encode() for difference in table if difference.effect in effects for name in difference.names)


def pass_of(fields: tuple[tuple[bytes, bytes], ...]) -> str:
    """Return the pass that an answer sets, as a Cookie header has it."""
    (cookie,) = (value for name, value in fields if name == b"set-cookie" and value.startswith(b"waitroom-pass-sale="))
    return cookie.split(b";")[0].decode()
