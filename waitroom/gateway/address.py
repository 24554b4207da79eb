"""Addresses that a visitor is sent to: always paths of this host, whatever a request says."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .visitor import Header

PLACE: Final = "t"
NEXT: Final = "next"
PLAIN: Final = "plain"
"""Parameter of who cannot pass a challenge: 1."""
AUTO: Final = "auto"
"""Parameters of addresses of ours: a place, where it leads, whether the page loads itself again without scripts."""
STILL: Final = f"&{AUTO}=0"
PLAINLY: Final = f"&{PLAIN}=1"
"""At the end of such an address: the page does not load itself again; one joins without passing a challenge."""
_LONGEST: Final = 8_000
_KEPT: Final = "!$%&'()*+,-./:;=?@_~"
"""What stays as it is in a path with a query; all else is percent-encoded."""


def local_address(text: str) -> str:
    """Return `text` as a path of this host with its query; "/" when it is none, or could be read as another host's."""
    address = quote(text, safe=_KEPT)
    if not address.startswith("/") or address.startswith("//") or len(address) > _LONGEST:
        return "/"
    return address


def came_from(headers: Sequence[Header], host: str) -> str:
    """Return the path and query of the page that a request came from, if that is one of `host`; else ""."""
    for name, value in headers:
        if name == b"referer":
            try:
                parts = urlsplit(value.decode("latin-1"))
            except ValueError:
                return ""
            if parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower():
                return local_address(parts._replace(scheme="", netloc="", fragment="").geturl() or "/")
    return ""


def waiting_address(prefix: str, room: str, to: str, *, token: str = "") -> str:
    """Return where one waits in `room` for the page `to`; `token` is the place of a browser that keeps no cookies.

    With STILL or PLAINLY at its end or not, it stands in HTML and in JSON as it is: it holds no quote, and no `&` that
    could begin a character reference.
    """
    place = f"{PLACE}={token}&" if token else ""
    return f"{prefix}/{room}/?{place}{NEXT}={_quoted(to)}"


@lru_cache(64)
def _quoted(to: str) -> str:
    return quote_plus(to)
