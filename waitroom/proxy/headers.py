"""What changes in a message on its way through: the request line and fields for the backend, hop-by-hop fields.

Everything else keeps its bytes and its order; fields that repeat stay apart. All pure, on lists of
(lower-case name, value) as ASGI has them. Rules of RFC 9110 §7.6 and RFC 9112 §3, with these choices:

- `TE` and `Trailer` go: trailers are not passed on, and `TE: trailers` would say that they are (RFC 9110 §10.1.4).
- `Connection` cannot name away a field that the backend's safety hangs on (_KEPT_WHEN_LISTED), a known abuse.
- The only upgrade passed on is WebSocket; `h2c` and others are dropped, which RFC 9110 §7.8 allows.
- `Via` is added to requests only: a gateway may leave it off responses (RFC 9110 §7.6.3), and the shop's answer stays
  its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from waitroom.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from waitroom.proxy.options import Origin

Header = tuple[bytes, bytes]

CHUNKED = -1
"""Length of a body that tells its length as it goes."""

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Fields about one connection. Proxy-Authenticate and -Authorization: of RFC 2616's list, and nothing for a shop."""

_FORWARDING = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"via"))
_DISGUISED = frozenset((b"content_length", b"content.length", b"transfer_encoding", b"transfer.encoding"))
"""Many backends read `_` and `.` in a name as `-`: these would be a second opinion on where the body ends. Dropped."""
_REWRITTEN = HOP_BY_HOP | _FORWARDING | _DISGUISED | {b"host", b"content-length", b"expect"}

_KEPT_WHEN_LISTED = frozenset(
    (
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"host",
        b"location",
        b"origin",
        b"range",
        b"referer",
        b"set-cookie",
        b"vary",
        b"www-authenticate",
        b"x-real-ip",
    )
)
_KEPT_PREFIXES = (b"x-forwarded-", b"waitroom-", b"sec-")

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
"""RFC 9110 §9.2.2, less TRACE, which is refused."""
ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
_LENGTH_DIGITS = 18
_TARGET_BYTES = bytes(range(0x21, 0x7F))
_PLAIN_CONNECTION = frozenset((b"keep-alive", b"Keep-Alive", b"close"))


@dataclass(slots=True)
class ForwardedRequest:
    """A request as the backend gets it."""

    head: bytes
    """Request line and fields, the empty line included."""
    length: int
    """Of the body, in bytes; 0 for none, CHUNKED when it is not known."""
    repeatable: bool
    """Sending it twice does what sending it once does, and its body is not needed for that: there is none."""
    expects_continue: bool = False
    upgrade: bool = False
    """It asks for a WebSocket and may have one."""


def connection_tokens(values: Iterable[bytes]) -> set[bytes]:
    """The options of all Connection fields, in lower case."""
    return {token.strip().lower() for value in values for token in value.split(b",")}


def without_listed(headers: list[Header], connection: Sequence[bytes]) -> list[Header]:
    """The fields less those that Connection names, except those it may not name away."""
    if len(connection) == 1 and connection[0] in _PLAIN_CONNECTION:
        return headers
    listed = connection_tokens(connection) - _KEPT_WHEN_LISTED
    return [pair for pair in headers if pair[0] not in listed or pair[0].startswith(_KEPT_PREFIXES)]


def backend_target(target: bytes, method: str, hosts: Sequence[bytes]) -> bytes:
    """The target in origin form, its path and query as received; raises Refused.

    An absolute target must name the same host as the Host field: otherwise what the gate matched and what the
    backend serves could differ.
    """
    if target[:1] == b"/":
        return target
    if target == b"*" and method == "OPTIONS":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in _DEFAULT_PORTS:
        raise Refused("The request's target is neither a path nor an http URL.")
    ends = [at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0]
    end = min(ends, default=len(rest))
    authority, path = rest[:end], rest[end:]
    port = _DEFAULT_PORTS[scheme.lower()]
    if not authority or (hosts and authority.lower().removesuffix(port) != hosts[0].lower().removesuffix(port)):
        raise Refused("The request's target and its Host header name different hosts.")
    if not path:
        return b"*" if method == "OPTIONS" else b"/"
    return path if path[:1] == b"/" else b"/" + path


class RequestRewriter:
    """Turns requests as received into requests as the backend gets them; what does not change is prepared once."""

    def __init__(self, origin: Origin, host_header: str, secret: str = "") -> None:
        self._after_host = b"\r\nwaitroom-secret: " + secret.encode("ascii") + b"\r\n" if secret else b"\r\n"
        self._base = origin.base.encode()
        self._authority = origin.authority.encode()
        self._host: bytes | None = None
        if host_header == "backend":
            self._host = self._authority
        elif host_header != "keep":
            self._host = host_header.encode("ascii")

    def rewrite(
        self,
        method: str,
        target: bytes,
        headers: Sequence[Header],
        peer: str | None,  # not by name: called for every request, and keywords cost
        scheme: str,
        http_version: str = "1.1",
        may_upgrade: bool = False,
    ) -> ForwardedRequest:
        """The request for the backend; raises Refused with a 4xx or 501 for what cannot be passed on.

        `peer` is the address the connection came from; it is added to what trusted proxies in front have told.
        """
        lines: list[bytes] = []  # of fields that stay as they are, in four parts each
        special: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            if name not in _REWRITTEN:
                lines += (name, b": ", value, b"\r\n")
            elif name in special:
                special[name].append(value)
            elif name != b"connection" or value not in _PLAIN_CONNECTION:  # these two say nothing that matters here
                special[name] = [value]

        hosts = special.get(b"host", [])
        if len(hosts) > 1:
            raise Refused("The request has more than one Host header.")
        if method in {"CONNECT", "TRACE"}:
            raise Refused(f"The method {method} is not allowed here.", status=405)
        if target.translate(None, _TARGET_BYTES):
            raise Refused("The request's target holds characters that must be encoded.")
        if target[:1] != b"/":
            target = backend_target(target, method, hosts)
        if self._base and target != b"*":
            target = self._base + target

        host = hosts[0] if hosts else self._authority
        start = (method.encode(), b" ", target, b" HTTP/1.1\r\nhost: ", self._host or host, self._after_host)
        if len(special) == len(hosts):  # as most requests are: nothing else that needs a look
            forwarding = _forwarding_fields(peer, scheme, host, http_version)
            head = b"".join((*start, *lines, forwarding, b"\r\n\r\n"))
            return ForwardedRequest(head, 0, method in _IDEMPOTENT)

        length = _body_length(special)
        upgrade = False
        connection = special.get(b"connection")
        if connection is not None:
            kept = [pair for pair in headers if pair[0] not in _REWRITTEN]
            lines = [part for name, value in without_listed(kept, connection) for part in (name, b": ", value, b"\r\n")]
            upgrade = may_upgrade and not length and _asks_for_websocket(connection, special.get(b"upgrade", []))

        if length == CHUNKED:
            lines.append(b"transfer-encoding: chunked\r\n")
        elif b"content-length" in special:
            lines += (b"content-length: ", special[b"content-length"][0], b"\r\n")
        expects_continue = False
        if b"expect" in special and length and http_version != "1.0":
            lines += [b"expect: " + value + b"\r\n" for value in special[b"expect"]]
            expects_continue = special[b"expect"][0].lower() == b"100-continue"
        if upgrade:
            lines.append(b"connection: Upgrade\r\nupgrade: websocket\r\n")
        if _FORWARDING.isdisjoint(special):
            lines.append(_forwarding_fields(peer, scheme, host, http_version))
        else:
            lines.append(_appended_forwarding(special, peer, scheme, host, http_version))
        lines.append(b"\r\n\r\n")
        return ForwardedRequest(
            b"".join((*start, *lines)),
            length,
            repeatable=length == 0 and not upgrade and method in _IDEMPOTENT,
            expects_continue=expects_continue,
            upgrade=upgrade,
        )


def _body_length(special: dict[bytes, list[bytes]]) -> int:
    codings = special.get(b"transfer-encoding")
    lengths = special.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            raise Refused("The request has both Content-Length and Transfer-Encoding.")
        if len(codings) > 1 or codings[0].strip().lower() != b"chunked":
            raise Refused("Of transfer codings only chunked is understood.", status=501)
        return CHUNKED
    if lengths is None:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > _LENGTH_DIGITS:
        raise Refused("The request's Content-Length is not one number.")
    return int(lengths[0])


def _asks_for_websocket(connection: list[bytes], upgrade: list[bytes]) -> bool:
    return [value.strip().lower() for value in upgrade] == [b"websocket"] and b"upgrade" in connection_tokens(
        connection
    )


@lru_cache(maxsize=4096)
def _forwarding_fields(peer: str | None, scheme: str, host: bytes, http_version: str) -> bytes:
    return _appended_forwarding({}, peer, scheme, host, http_version)


def _appended_forwarding(
    told: dict[bytes, list[bytes]], peer: str | None, scheme: str, host: bytes, http_version: str
) -> bytes:
    """The forwarding fields: what was told before, and this hop at the end."""
    lines = []
    addresses = [*told.get(b"x-forwarded-for", []), *([peer.encode()] if peer else [])]
    if addresses:
        lines.append(b"x-forwarded-for: " + b", ".join(addresses))
    for name, value in ((b"x-forwarded-proto", scheme.encode()), (b"x-forwarded-host", host)):
        lines += [name + b": " + said for said in told.get(name, [value])]
    element = b"for=%b;host=%b;proto=%b" % (_forwarded_node(peer), _quoted(host), scheme.encode())
    lines.append(b"forwarded: " + b", ".join([*told.get(b"forwarded", []), element]))
    lines.append(b"via: " + b", ".join([*told.get(b"via", []), f"{http_version} waitroom".encode()]))
    return b"\r\n".join(lines)


def _forwarded_node(peer: str | None) -> bytes:
    """An address as RFC 7239 §6 writes it."""
    if not peer:
        return b"unknown"
    return b'"[%b]"' % peer.encode() if ":" in peer else peer.encode()


def _quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
