"""What the gate changes in the backend's answer: nothing, unless Waitroom's own names or cookies are there. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .visitor import is_own_cookie

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .visitor import Header

RELEASE: Final = b"waitroom-release"
"""The backend says with it that this visitor is done; any value but 0."""


_PLAIN, _SET_COOKIE, _OWN, _CACHE_CONTROL, _SHARED_CACHES = range(5)


_MOST_PLAIN: Final = 1_024
_plain: set[bytes] = set()
"""Names seen so far of which nothing is to be known: nearly all."""


@lru_cache(1_024)
def _kind(name: bytes) -> int:
    if name == b"set-cookie":
        return _SET_COOKIE
    if name.replace(b"_", b"-").startswith(b"waitroom-"):
        return _OWN
    if name == b"cache-control":
        return _CACHE_CONTROL
    if name in {b"expires", b"age", b"surrogate-control", b"x-accel-expires"} or name.endswith(b"cdn-cache-control"):
        return _SHARED_CACHES
    if len(_plain) < _MOST_PLAIN:
        _plain.add(name)
    return _PLAIN


def without_own(headers: Sequence[Header]) -> tuple[Sequence[Header], bool]:
    """Return the backend's headers less what only Waitroom may say, and whether it released the visitor."""
    touched = False
    for name, value in headers:
        if name not in _plain:
            kind = _kind(name)
            if kind == _OWN or (kind == _SET_COOKIE and is_own_cookie(value.lstrip())):
                touched = True
                break
    if not touched:
        return headers, False
    released = any(name == RELEASE and value.strip() != b"0" for name, value in headers)
    kept = [
        (name, value)
        for name, value in headers
        if _kind(name) != _OWN and not (name == b"set-cookie" and is_own_cookie(value.lstrip()))
    ]
    return kept, released


def with_cookies(headers: Sequence[Header], cookies: Sequence[Header]) -> list[Header]:
    """Return `headers` with `cookies`, and nothing left that lets a shared cache keep them."""
    storing = b"no-store" if b"no-store" in _directives(headers) else b"no-cache"
    kept = [pair for pair in headers if _kind(pair[0]) < _CACHE_CONTROL]
    return [*kept, (b"cache-control", b"private, " + storing), *cookies]


def with_renewal(method: str, headers: Sequence[Header], cookies: Sequence[Header]) -> Sequence[Header]:
    """Return `headers` with `cookies` if that takes nothing from any cache; the next request renews again.

    What the backend lets caches keep stays as it is. What it says nothing about, a cache might keep by its own guess
    (RFC 9111 §4.2.2); that is made private for this once, or a site that never speaks of caching would never renew.
    """
    if method not in {"GET", "HEAD"}:
        return [*headers, *cookies]
    said = _directives(headers)
    if {b"private", b"no-store"} & said:
        return [*headers, *cookies]
    if {b"public", b"max-age", b"s-maxage", b"immutable"} & said:
        return headers
    if any(_kind(name) == _SHARED_CACHES for name, _ in headers):
        return headers
    return [*headers, (b"cache-control", b"private"), *cookies]


def edited_head(head: bytes, cookies: Sequence[Header]) -> bytes:
    """Return the raw head of an answer less what only Waitroom may say, with `cookies`."""
    status_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = [
        (name.strip().lower(), value.strip(), line) for line in lines for name, _, value in [line.partition(b":")]
    ]
    kept = [line for name, value, line in fields if without_own([(name, value)])[0]]
    added = [name + b": " + value for name, value in cookies]
    return b"\r\n".join([status_line, *kept, *added, b"", b""])


def _directives(headers: Sequence[Header]) -> set[bytes]:
    return {
        directive.partition(b"=")[0].strip().lower()
        for name, value in headers
        if name == b"cache-control"
        for directive in value.split(b",")
    }
