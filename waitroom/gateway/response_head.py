"""The bytes of a response head, and how the body behind it is framed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}
_NAMES: dict[bytes, bytes] = {}  # names seen in responses and their checked, lower-case start of a line
_NAMES_MAX = 1024


def _line_start(name: bytes) -> bytes:
    if _TOKEN.fullmatch(name) is None:
        raise ValueError("A response header field has a name that HTTP does not allow.")
    start = name.lower() + b": "
    if len(_NAMES) < _NAMES_MAX:
        _NAMES[name] = start
    return start


@dataclass(slots=True)
class ResponseHead:
    """The bytes of a response head and how its body is to be framed."""

    data: bytes
    keep_alive: bool
    chunked: bool
    length: int | None
    bodiless: bool


def response_head(
    status: int,
    headers: Sequence[tuple[bytes, bytes]],
    defaults: Iterable[tuple[bytes, bytes]],
    method: str,  # not by name: called for every request, and keywords cost
    version: str,
    keep_alive: bool,
) -> ResponseHead:
    """Write the head of a response; raises ValueError if it would not be one head exactly.

    Framing is decided here: what the application says of Transfer-Encoding and Connection is heard, not copied.
    """
    if not 200 <= status <= 999:
        raise ValueError("A final response needs a status from 200 to 999.")
    bodiless = method == "HEAD" or status in (204, 304)
    lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
    length: int | None = None
    for name, value in headers:
        start = _NAMES.get(name)
        if start is not None:
            lines.append(start + value)
            continue
        lowered = name.lower()
        if lowered not in _FRAMING:
            lines.append(_line_start(name) + value)
        elif lowered == b"content-length":
            if not value.isdigit() or length is not None:
                raise ValueError("A response needs one Content-Length, a plain number.")
            length = int(value)
        elif lowered == b"connection":
            keep_alive = keep_alive and b"close" not in value.lower()
    for name, value in defaults:
        if all(name != said.lower() for said, _ in headers):
            lines.append(name + b": " + value)
    if length is not None and status != 204:
        lines.append(b"content-length: %d" % length)
    chunked = False
    if length is None and not bodiless:
        if version == "1.0":
            keep_alive = False  # the end of the connection is the end of the body
        else:
            chunked = True
            lines.append(b"transfer-encoding: chunked")
    if not keep_alive:
        lines.append(b"connection: close")
    lines += (b"", b"")
    data = b"\r\n".join(lines)
    if len(data.translate(None, b"\r\n\0")) != len(data) - 2 * (len(lines) - 1):
        raise ValueError("A response header field contains CR, LF or NUL.")
    return ResponseHead(data, keep_alive, chunked, length, bodiless)
