"""HTTP/1.1 messages read as strictly as RFC 9112 can be read, by code that shares nothing with the code under test."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.1")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 [1-9][0-9][0-9] [\t\x20-\x7e\x80-\xff]*")
_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*"
)
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")

Field = tuple[bytes, bytes]


class Malformed(Exception):
    """The bytes are no message, or one that could be read in two ways."""


@dataclass(frozen=True)
class Message:
    """One request or response. Of one that is not `whole`, the body is what there is of it."""

    start: bytes
    fields: tuple[Field, ...]
    """Names in lower case."""
    body: bytes
    framing: str
    """`none`, `length`, `chunked` or `close`."""
    whole: bool
    size_bytes: int

    @property
    def method(self) -> bytes:
        return self.start.split(b" ")[0]

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


def request_at(data: bytes) -> Message | None:
    """The request that `data` begins with; None while its head is not whole."""
    head = _head(data, _REQUEST_LINE)
    if head is None:
        return None
    start, fields, size = head
    if len([name for name, _ in fields if name == b"host"]) != 1:
        raise Malformed("not one Host")
    return _with_body(start, fields, data, size, _framing(fields) or "none")


def response_at(data: bytes, method: bytes, *, ended: bool) -> Message | None:
    """The response that `data` begins with, to a request of that method; `ended`: no more will come."""
    head = _head(data, _STATUS_LINE)
    if head is None:
        return None
    start, fields, size = head
    status = int(start.split(b" ")[1])
    if status < 200 or method == b"HEAD" or status in {204, 304}:
        return Message(start, fields, b"", "none", whole=True, size_bytes=size)
    framing = _framing(fields)
    if framing is None:
        return Message(start, fields, data[size:], "close", whole=ended, size_bytes=len(data))
    return _with_body(start, fields, data, size, framing)


def requests_in(data: bytes) -> list[Message]:
    """All requests that came on one connection, the last one perhaps not whole."""
    found = []
    while data:
        message = request_at(data)
        if message is None:
            raise Malformed(f"half a head: {data[:80]!r}")
        found.append(message)
        if not message.whole:
            break
        data = data[message.size_bytes :]
    return found


def responses_in(data: bytes, methods: list[bytes], *, ended: bool) -> list[Message]:
    """All responses that came on one connection, interim ones as well, to requests of these methods."""
    found: list[Message] = []
    methods = list(methods)
    while data:
        message = response_at(data, methods[0] if methods else b"GET", ended=ended)
        if message is None:
            raise Malformed(f"half a head: {data[:80]!r}")
        found.append(message)
        if not message.whole:
            break
        if message.status >= 200 or message.status == 101:
            methods = methods[1:]
        if message.status == 101:
            break
        data = data[message.size_bytes :]
    return found


def _head(data: bytes, line: re.Pattern[bytes]) -> tuple[bytes, tuple[Field, ...], int] | None:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    start, *lines = data[:end].split(b"\r\n")
    if line.fullmatch(start) is None:
        raise Malformed(f"start line {start[:80]!r}")
    return start, _fields(lines), end + 4


def _fields(lines: list[bytes]) -> tuple[Field, ...]:
    fields = []
    for one in lines:
        match = _FIELD.fullmatch(one)
        if match is None:
            raise Malformed(f"field line {one[:80]!r}")
        fields.append((match[1].lower(), match[2]))
    return tuple(fields)


def _framing(fields: tuple[Field, ...]) -> str | None:
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        if codings != [b"chunked"] or lengths:
            raise Malformed(f"framing {codings!r} {lengths!r}")
        return "chunked"
    if lengths:
        if len(lengths) > 1 or not lengths[0].isdigit():
            raise Malformed(f"lengths {lengths!r}")
        return "length"
    return None


def _with_body(start: bytes, fields: tuple[Field, ...], data: bytes, at: int, framing: str) -> Message:
    if framing == "none":
        return Message(start, fields, b"", framing, whole=True, size_bytes=at)
    if framing == "length":
        end = at + int(next(value for name, value in fields if name == b"content-length"))
        return Message(start, fields, data[at:end], framing, whole=len(data) >= end, size_bytes=end)
    body = b""
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return Message(start, fields, body, framing, whole=False, size_bytes=len(data))
        if _SIZE.fullmatch(data[at:line]) is None:
            raise Malformed(f"chunk size {data[at:line][:80]!r}")
        size, at = int(data[at:line], 16), line + 2
        chunk = data[at : at + size]
        if size:
            body += chunk
            if len(data) < at + size + 2:
                return Message(start, fields, body, framing, whole=False, size_bytes=len(data))
        if data[at + size : at + size + 2] != b"\r\n":
            if len(data) < at + size + 2:
                return Message(start, fields, body, framing, whole=False, size_bytes=len(data))
            raise Malformed("a chunk that does not end where it says, or a trailer")
        at += size + 2
        if not size:
            return Message(start, fields, body, framing, whole=True, size_bytes=at)
