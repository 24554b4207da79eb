"""Whether a request was meant for this listener: no page of another site may use it, whatever name it gave us.

A browser can be led to a private listener by a page whose public name was pointed there (DNS rebinding). So the `Host`
must be an address, the configured host, or a name that the public DNS cannot hold.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

PRIVATE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".svc", ".home.arpa")
_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")


def host_is_ours(host: str | None, configured: str) -> bool:
    """Whether a `Host` header names this listener and not a public name pointed at it."""
    name = host_name(host)
    if name is None:
        return False
    if name == configured.lower():
        return True
    try:
        ip_address(name)
    except ValueError:
        return bool(_NAME.fullmatch(name)) and ("." not in name or name.endswith(PRIVATE_SUFFIXES))
    return True


def host_name(host: str | None) -> str | None:
    """Return the host of `host[:port]` in small letters, without brackets; None when it is not of that form."""
    if not host or any(letter in host for letter in "/\\@?# \t,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname.rstrip(".") if parts.hostname else None


def from_elsewhere(origin: str | None, fetch_site: str | None, host: str | None) -> bool:
    """Whether a browser sent the request for a page of another origin."""
    if fetch_site is not None and fetch_site not in {"same-origin", "none"}:
        return True
    if origin is None:
        return False
    return origin.partition("://")[2].lower() != (host or "").lower()
