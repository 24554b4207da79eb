"""Who asks: what a request's headers say of the visitor, and which of them the backend may see. Pure, on header lists.

Names are lower-case bytes, as ASGI has them. Three kinds of headers never reach the backend as the visitor sent them:
Waitroom's own (cookies, `waitroom-*`, `Authorization: Waitroom`), forwarding headers of peers that are not trusted,
because backends believe them, and spellings of either with `_` or `.`, which many backends read as `-`.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from waitroom.tokens import is_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Header = tuple[bytes, bytes]

QUEUE: Final = "queue"
PASS: Final = "pass"  # noqa: S105  # the kind of a cookie
SCHEME: Final = b"waitroom "
"""Of the Authorization header, in lower case."""
MOST_DUPLICATES: Final = 4
"""How many cookies of one name are looked at: each costs a signature to check."""

_REMEMBERED: Final = 4_096
_LONGEST_REMEMBERED_BYTES: Final = 1_024
"""Of Cookie headers: a visitor's is the same for each request."""
_OWN: Final = b"waitroom-"
_OWN_SECURE: Final = b"__host-waitroom-"
_OWN_COOKIES: Final = (_OWN + b"queue-", _OWN + b"pass-", _OWN + b"lang=", _OWN_SECURE)
_FORWARDING: Final = frozenset({
    b"forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip",
    b"cf-connecting-ip", b"fastly-client-ip", b"x-rewrite-url", b"x-host", b"x-http-host-override", b"x-scheme",
    b"x-url-scheme", b"front-end-https",
})  # fmt: skip
_FORWARDING_PREFIXES: Final = (b"x-forwarded-", b"x-original-")


_PLAIN, _COOKIE, _HOST, _AUTHORIZATION, _FORWARDED, _NEVER = range(6)
_LONGEST_ADDRESS: Final = 64
_MOST_KINDS: Final = 4_096
_LONGEST_NAME_BYTES: Final = 64
_kinds: dict[bytes, int] = {b"cookie": _COOKIE, b"host": _HOST, b"authorization": _AUTHORIZATION}
"""What is known of names seen so far: a request has a dozen, and they are always the same."""


def _kind(name: bytes) -> int:
    plain = name.lower().replace(b"_", b"-").replace(b".", b"-")
    kind = _PLAIN
    if plain.startswith(_OWN):
        kind = _NEVER
    elif plain in _FORWARDING or plain.startswith(_FORWARDING_PREFIXES):
        kind = _FORWARDED if plain == name else _NEVER
    if len(_kinds) < _MOST_KINDS and len(name) <= _LONGEST_NAME_BYTES:
        _kinds[name] = kind
    return kind


class Asked:
    """What one request's headers say."""

    # One is made for every request, so what most do not say is not set on the object.
    peer: str = ""
    """Address of the immediate peer; empty on a unix socket."""
    host: str = ""
    own_cookies: tuple[bytes, ...] = ()
    """Waitroom's own, as `name=value`."""
    token: str = ""
    """What `Authorization: Waitroom` brought."""
    forwarding: tuple[Header, ...] = ()
    """What a trusted peer said of whom it forwards."""

    def __init__(self, headers: list[Header]) -> None:
        self.headers = headers
        """What the backend may see, in order."""


def read_headers(headers: Iterable[Header], *, trusted: bool) -> Asked:
    """Sort a request's headers. `trusted`: whether the peer may say for whom it asks."""
    asked = Asked([])
    kept = asked.headers
    known = _kinds.get
    for pair in headers:
        kind = known(pair[0])
        if kind is None:
            kind = _kind(pair[0])
        if not kind:
            kept.append(pair)
        elif kind == _HOST:
            asked.host = pair[1].decode("latin-1")
            kept.append(pair)
        elif kind == _COOKIE:
            rest, own = _sort_cookies(pair[1]) if len(pair[1]) <= _LONGEST_REMEMBERED_BYTES else sort_cookies(pair[1])
            if own:
                asked.own_cookies += own
                if rest:
                    kept.append((pair[0], rest))
            else:
                kept.append(pair)
        elif kind == _AUTHORIZATION:
            if pair[1][: len(SCHEME)].lower() == SCHEME:
                asked.token = pair[1][len(SCHEME) :].strip().decode("latin-1")
            else:
                kept.append(pair)
        elif kind == _FORWARDED and trusted:
            asked.forwarding += (pair,)
            kept.append(pair)
    return asked


def is_own_cookie(pair: bytes) -> bool:
    """Whether `name=value` is a cookie of ours, whatever its letter case: some backends ignore it."""
    return pair[:25].lower().startswith(_OWN_COOKIES)


def sort_cookies(cookies: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Return what is left of a Cookie header without Waitroom's cookies, and those."""
    lowered = cookies.lower()
    if _OWN not in lowered:
        return cookies, ()
    own = []
    kept = []
    done = 0
    at = lowered.find(_OWN)
    while at >= 0:
        start = max(done, lowered.rfind(b";", done, at) + 1)
        end = lowered.find(b";", at) + 1 or len(lowered) + 1
        pair = cookies[start : end - 1].strip()
        if is_own_cookie(pair):
            own.append(pair)
            kept.append(cookies[done:start])
            done = end
        at = lowered.find(_OWN, end)
    kept.append(cookies[done:])
    return b"".join(kept).strip(b"; "), tuple(own)


_sort_cookies = lru_cache(_REMEMBERED)(sort_cookies)


def cookie_name(kind: str, room: str, *, secure: bool) -> str:
    """Return the name of the cookie of `kind` (QUEUE or PASS)."""
    return f"__Host-waitroom-{kind}-{room}" if secure else f"waitroom-{kind}-{room}"


@lru_cache(2_048)
def _cookie_start(kind: str, room: str, secure: bool) -> bytes:
    return cookie_name(kind, room, secure=secure).encode("ascii") + b"="


def texts_of(asked: Asked, kind: str, room: str, secure: bool) -> Sequence[str]:
    """Return the tokens of `kind` that came for `room`: by Authorization first, then by cookie as they stand."""
    own = asked.own_cookies
    short = len(own) == 1 and len(own[0]) <= _LONGEST_REMEMBERED_BYTES  # as of nearly every visitor
    texts = _known_texts(own, kind, room, secure) if short else _texts(own, kind, room, secure)
    if asked.token and is_pass(asked.token) == (kind == PASS):
        return (asked.token, *texts)[:MOST_DUPLICATES]
    return texts


def _texts(own_cookies: tuple[bytes, ...], kind: str, room: str, secure: bool) -> tuple[str, ...]:
    start = _cookie_start(kind, room, secure)
    pairs = [pair for pair in own_cookies if pair.startswith(start)]
    return tuple(pair[len(start) :].decode("latin-1") for pair in pairs[:MOST_DUPLICATES])


_known_texts = lru_cache(_REMEMBERED)(_texts)


class Manner(NamedTuple):
    """How a request asks."""

    navigation: bool
    """A browser goes to a page: what it gets is shown to a person."""
    speculative: bool = False
    """A browser fetches what might be wanted later: nobody is there yet."""
    cross_site: bool = False
    """Another site caused it, so cookies of ours may be missing although the visitor has them."""
    preflight: bool = False
    """A browser asks whether scripts of another origin may ask: never with cookies."""


_MANNERS: Final = frozenset({
    b"accept", b"sec-fetch-mode", b"sec-fetch-site", b"sec-purpose", b"purpose", b"x-moz", b"origin",
    b"access-control-request-method", b"upgrade",
})  # fmt: skip


def read_manner(method: str, headers: Iterable[Header]) -> Manner:
    """Read how a request asks. Without `Sec-Fetch-*`, a GET that accepts HTML is taken for a navigation."""
    said = {name: value.lower() for name, value in headers if name in _MANNERS}
    mode = said.get(b"sec-fetch-mode")
    if b"upgrade" in said:
        navigation = False
    elif mode is not None:
        navigation = mode == b"navigate"
    else:
        navigation = method in {"GET", "HEAD"} and b"text/html" in said.get(b"accept", b"")
    purpose = said.get(b"sec-purpose", b"") + said.get(b"purpose", b"") + said.get(b"x-moz", b"")
    return Manner(
        navigation=navigation,
        speculative=b"prefetch" in purpose or b"prerender" in purpose or b"preview" in purpose,
        cross_site=said.get(b"sec-fetch-site", b"") == b"cross-site",
        preflight=method == "OPTIONS" and b"origin" in said and b"access-control-request-method" in said,
    )


def set_cookie(name: str, value: str, *, max_age_seconds: int, secure: bool) -> Header:
    """Return the Set-Cookie header that keeps `value` for `max_age_seconds`, or deletes it with 0."""
    flags = "; Secure; HttpOnly; SameSite=Lax" if secure else "; HttpOnly; SameSite=Lax"
    return b"set-cookie", f"{name}={value}; Max-Age={max_age_seconds}; Path=/{flags}".encode("ascii")


def make_visitor(chance: Callable[[int], bytes]) -> str:
    """Return a new visitor's id: 128 bits of `chance` as 22 URL-safe characters."""
    return base64.urlsafe_b64encode(chance(16)).rstrip(b"=").decode("ascii")


class TrustedProxies:
    """The networks that may say for whom they ask. Empty means none."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._remembered = lru_cache(1_024)(self._holds)

    def __contains__(self, address: str) -> bool:
        return bool(self._networks) and len(address) <= _LONGEST_ADDRESS and self._remembered(address)

    def _holds(self, address: str) -> bool:
        known = parse_address(address)
        return known is not None and any(known in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from."""

    address: str
    """The visitor's, as far as trusted peers tell; empty on a unix socket."""
    scheme: str


def find_origin(peer: str, scheme: str, forwarding: Sequence[Header], trusted: TrustedProxies) -> Origin:
    """Return the nearest address that is not a trusted proxy's, and the scheme the visitor used with it.

    The list is walked from the right, where our own proxies wrote; what stands further left, anybody may have
    written. `X-Forwarded-*` wins over `Forwarded`, since a proxy that writes the former passes on the latter.
    """
    if peer not in trusted:
        return Origin(peer, scheme)
    hops = _values(forwarding, b"x-forwarded-for")
    schemes = _values(forwarding, b"x-forwarded-proto")
    if not hops and not schemes:
        elements = [_element(text) for text in _values(forwarding, b"forwarded")]
        hops = [element.get("for", "") for element in elements]
        schemes = [element.get("proto", "") for element in elements]
    address = peer
    step = 0
    for hop in reversed(hops):
        step += 1
        known = parse_address(hop)
        if known is None:
            break
        address = str(known)
        if address not in trusted:
            break
    if schemes:
        said = schemes[-step] if step and len(schemes) == len(hops) else schemes[-1]
        if said.lower() in {"http", "https"}:
            scheme = said.lower()
    return Origin(address, scheme)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address as forwarding headers write it: with a port or without, in brackets or quotes or not."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _values(headers: Sequence[Header], name: bytes) -> list[str]:
    """Return the elements of a list header over all its lines."""
    lines = [value.decode("latin-1") for key, value in headers if key == name]
    return [element.strip() for line in lines for element in line.split(",")]


def _element(text: str) -> dict[str, str]:
    """Return the parameters of one element of `Forwarded` (RFC 7239)."""
    parameters = {}
    for pair in text.split(";"):
        name, _, value = pair.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return parameters
