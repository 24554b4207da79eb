"""Method, host and path → the room that protects them, or a bypass, or none.

The backend gets the bytes that the visitor sent, and nobody knows which of the many readings of them it will use:
whether it decodes `%2f`, decodes twice, resolves `..` before or after it merges slashes, drops `;parameters`, takes a
backslash for a slash, ignores letter case. So a path is matched in *every* reading (`readings`), and doubt goes to the
side of protection:

- a request belongs to a room when any reading matches one of the room's patterns;
- a bypass counts only when the path as sent and every reading of it match one, letter for letter;
- a path that different readings put into different rooms is ambiguous and belongs to none: it must be refused,
  because a pass of one room would open the other. Ordinary links never are.

Patterns of a room are read generously: `/cart/*` also covers `/cart`, `/cart` also covers `/cart/`, GET also covers
HEAD. Patterns of a bypass are read to the letter. Of several rooms that match, the first in the file wins. The host is
the request's own `Host`: a forwarded one could be chosen by the visitor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .room import Room

_REMEMBERED: Final = 8_192
_LONGEST_REMEMBERED_BYTES: Final = 256
_DECODINGS: Final = 3
_PLAIN: Final = re.compile(rb"(?:/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)*/?")
"""Paths that have one reading only."""
_OVERLONG: Final = ((b"\xc0\xaf", b"/"), (b"\xe0\x80\xaf", b"/"), (b"\xc0\xae", b"."), (b"\xe0\x80\xae", b"."))
"""UTF-8 that no encoder writes and lax decoders read as a slash or a dot."""
_PARAMETERS: Final = re.compile(rb";[^/]*")
_SLASHES: Final = re.compile(rb"/{2,}")
_PORT: Final = re.compile(r":[0-9]*\Z")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request belongs."""

    room: str | None
    """None: no room protects it."""
    bypass: bool = False
    """A bypass rule of `room` lets it pass without a pass."""
    ambiguous: bool = False
    """Readings of the path lie in different rooms; refuse it."""


UNPROTECTED: Final = Route(None)
AMBIGUOUS: Final = Route(None, ambiguous=True)


@dataclass(frozen=True, slots=True)
class _Pattern:
    method: str
    host: str
    """Empty for any host; with a leading dot for all names below."""
    path: bytes
    prefix: bool

    def takes_host(self, host: str) -> bool:
        if self.host.startswith("."):
            return host.endswith(self.host)
        return not self.host or host == self.host

    def protects(self, method: str, host: str, path: bytes) -> bool:
        """Whether a folded reading of a path falls under this pattern, generously read."""
        if (self.method and method != self.method) or not self.takes_host(host):
            return False
        if self.prefix:
            return path.startswith(self.path) or (self.path.endswith(b"/") and path == self.path[:-1])
        return path == self.path or path.rstrip(b"/. ") == self.path.rstrip(b"/")

    def spares(self, method: str, host: str, path: bytes) -> bool:
        """Whether a path falls under this pattern to the letter."""
        if (self.method and method != self.method) or not self.takes_host(host):
            return False
        return path.startswith(self.path) if self.prefix else path == self.path


class Router:
    """Knows the patterns of all rooms; answers for plain paths in about a microsecond, for repeats in less."""

    def __init__(self, rooms: Sequence[Room]) -> None:
        self._rooms = [
            (
                room.name,
                [_pattern(text, fold=True) for text in room.match],
                [_pattern(text, fold=False) for text in room.bypass],
            )
            for room in rooms
        ]
        self._remembered = lru_cache(_REMEMBERED)(self._decide)

    def route(self, method: str, host: str, raw_path: bytes) -> Route:
        """Return where a request belongs. `host` as in the header, `raw_path` as sent, without the query."""
        if len(raw_path) > _LONGEST_REMEMBERED_BYTES or len(host) > _LONGEST_REMEMBERED_BYTES:
            return self._decide(method, host, raw_path)
        return self._remembered(method, host, raw_path)

    def _decide(self, method: str, host: str, raw_path: bytes) -> Route:
        host = normal_host(host)
        paths = readings(raw_path)
        protected_as = "GET" if method == "HEAD" else method
        rooms = {self._protector(protected_as, host, path) for path in {_fold(path) for path in paths}} - {None}
        if not rooms:
            return UNPROTECTED
        if len(rooms) > 1:
            return AMBIGUOUS
        (name,) = rooms
        spared = next(bypass for room, _, bypass in self._rooms if room == name)
        if all(any(rule.spares(method, host, path) for rule in spared) for path in {*paths, raw_path}):
            return Route(name, bypass=True)
        return Route(name)

    def _protector(self, method: str, host: str, path: bytes) -> str | None:
        for name, patterns, _ in self._rooms:
            if any(pattern.protects(method, host, path) for pattern in patterns):
                return name
        return None


def normal_host(host: str) -> str:
    """Return a host without port and trailing dot, in lower case; names beyond ASCII as they travel."""
    host = host.strip().lower()
    if not host.endswith("]"):
        host = _PORT.sub("", host)
    host = host.rstrip(".")
    if not host.isascii():
        try:
            return host.encode("idna").decode("ascii")
        except UnicodeError:
            return host
    return host


def readings(raw_path: bytes) -> set[bytes]:
    """Return every path that a backend may take `raw_path` for, slashes merged."""
    if _PLAIN.fullmatch(raw_path):
        return {raw_path or b"/"}
    texts = {raw_path if raw_path.startswith(b"/") else b"/" + raw_path.removeprefix(b"*")}
    for _ in range(_DECODINGS):
        decoded = {_without_overlong(unquote_to_bytes(text)) for text in texts if b"%" in text}
        if decoded <= texts:
            break
        texts |= decoded
    texts |= {text.replace(b"\\", b"/") for text in texts}
    texts |= {text[: text.index(end)] for text in texts for end in (b"\0", b"?", b"#") if end in text}
    texts |= {_PARAMETERS.sub(b"", text) for text in texts}
    resolved = {_without_dots(text) for text in texts} | {_without_dots(_merged(text)) for text in texts}
    return {_merged(text) or b"/" for text in texts | resolved}


def _pattern(text: str, *, fold: bool) -> _Pattern:
    method, _, rest = text.rpartition(" ")
    host, slash, path = rest.partition("/")
    raw = unquote_to_bytes((slash + path).removesuffix("*")) if fold else (slash + path).removesuffix("*").encode()
    return _Pattern(
        method="GET" if fold and method == "HEAD" else method,
        host=normal_host(host).removeprefix("*"),
        path=_fold(raw) if fold else raw,
        prefix=path.endswith("*"),
    )


def _fold(path: bytes) -> bytes:
    """Take letter case away; backends on file systems that ignore it are common."""
    if path.isascii():
        return path.lower()
    return path.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")


def _merged(path: bytes) -> bytes:
    return _SLASHES.sub(b"/", path)


def _without_overlong(path: bytes) -> bytes:
    for overlong, plain in _OVERLONG:
        path = path.replace(overlong, plain)
    return path


def _without_dots(path: bytes) -> bytes:
    """Resolve `.` and `..` as RFC 3986 §5.2.4 does."""
    if b"/." not in path:
        return path
    segments = path.split(b"/")
    kept: list[bytes] = []
    for segment in segments[1:]:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in {b".", b".."}:
        kept.append(b"")
    return b"/" + b"/".join(kept)
