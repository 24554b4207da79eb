"""What the head of a request must be before the application sees it, and what it asks for.

llhttp has judged the syntax. Here is judged what it lets through: hosts, targets, expectations, framing, upgrades.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from waitroom.gateway.refusals import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOST = re.compile(rb"(?:(?P<name>[A-Za-z0-9._-]{1,255})|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\])(?::(?P<port>[0-9]{1,5}))?")
_ABSOLUTE = re.compile(rb"(?P<scheme>https?)://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE)
_DEFAULT_PORT = {b"http": 80, b"https": 443}
WATCHED = frozenset({b"host", b"expect", b"transfer-encoding", b"content-length", b"upgrade"})


@lru_cache(maxsize=1024)
def host_and_port(value: bytes) -> tuple[bytes, int | None] | None:
    """The lower-case name and the port of a Host field or an authority; None if it is neither name nor address."""
    match = _HOST.fullmatch(value)
    if match is None:
        return None
    if match["v6"] is not None:
        try:
            IPv6Address(match["v6"].decode("ascii"))
        except AddressValueError:
            return None
    port = None if match["port"] is None else int(match["port"])
    if port is not None and not 0 < port < 65_536:
        return None
    return (match["name"] or match["v6"]).lower(), port


def path_and_query(target: bytes, host: bytes, method: str) -> tuple[bytes, bytes]:
    """The path and the query of a request target, bytes unchanged; raises RequestRefused."""
    if b"#" in target or not target.isascii():
        raise RequestRefused("target")
    if target[:1] == b"/":
        path, _, query = target.partition(b"?")
        return path, query
    if target == b"*" and method == "OPTIONS":
        return target, b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise RequestRefused("target")
    named, asked = host_and_port(match["authority"]), host_and_port(host)
    if named is None or asked is None:
        raise RequestRefused("target")
    default = _DEFAULT_PORT[match["scheme"].lower()]
    if (named[0], named[1] or default) != (asked[0], asked[1] or default):
        raise RequestRefused("host_differs")
    path, _, query = match["rest"].partition(b"?")
    return path or b"/", query


def checked_host(watched: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The one valid Host among the watched fields; raises RequestRefused.

    HTTP/1.0 allows none, but rooms are found by host: a request without one could slip past them, so it is refused too.
    """
    hosts = [value for name, value in watched if name == b"host"]
    if len(hosts) != 1:
        raise RequestRefused("host_repeated" if hosts else "host_missing")
    if host_and_port(hosts[0]) is None:
        raise RequestRefused("host_malformed")
    return hosts[0]


class RequestHead(NamedTuple):
    """A request that may be served. `target` and `headers` are as they came, names in lower case."""

    method: str
    version: str
    target: bytes
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    expects_continue: bool
    keep_alive: bool
    is_websocket: bool
    plain: bool
    """It has no body, waits for nothing, asks for no other protocol."""

    def decoded_path(self) -> str:
        path = self.path.decode("ascii")
        return unquote(path) if "%" in path else path

    def without(self, unwanted: bytes) -> bytes:
        """The bytes of the head, all fields but those of that name."""
        lines = [b"%b %b HTTP/%b\r\n" % (self.method.encode("ascii"), self.target, self.version.encode("ascii"))]
        lines += [b"%b: %b\r\n" % field for field in self.headers if field[0] != unwanted]
        return b"".join(lines) + b"\r\n"


def checked_head(
    method: str,
    version: str,
    target: bytes,
    headers: list[tuple[bytes, bytes]],
    watched: Sequence[tuple[bytes, bytes]],
    upgrading: bool,  # positional: called for every request, and keywords cost
    persistent: bool,
) -> RequestHead:
    """The head made of these parts; raises RequestRefused.

    `watched` are the headers named in WATCHED; `upgrading` and `persistent` say whether the parser takes the request
    for an upgrade, and for one that another may follow.
    """
    if version not in ("1.1", "1.0"):
        raise RequestRefused("version")
    if method in ("CONNECT", "TRACE"):
        raise RequestRefused("method")
    host = checked_host(watched)
    path, query = path_and_query(target, host, method)
    if len(watched) == 1 and not upgrading:  # as most requests are: only a Host
        keep_alive = persistent and version == "1.1"
        return RequestHead(method, version, target, path, query, headers, False, keep_alive, False, True)
    expects_continue = bodied = False
    upgrades: list[bytes] = []
    for name, value in watched:
        if name == b"transfer-encoding":
            # llhttp judges this only after the head is complete, and lets other codings and HTTP/1.0 through.
            if version == "1.0" or value.lower() != b"chunked":
                raise RequestRefused("framing")
            bodied = True
        elif name == b"content-length":
            bodied = bodied or value.strip(b"0") != b""
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise RequestRefused("expect")
            expects_continue = version == "1.1"
        elif name == b"upgrade":
            upgrades.append(value.lower())
    is_websocket = upgrading and method == "GET" and version == "1.1" and not bodied and upgrades == [b"websocket"]
    keep_alive = persistent and version == "1.1" and not is_websocket
    return RequestHead(method, version, target, path, query, headers, expects_continue, keep_alive, is_websocket, False)
