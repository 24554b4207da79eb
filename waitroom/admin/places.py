"""Where each verb is found over HTTP: what the listener serves and the command line asks."""

from __future__ import annotations

import re
from typing import Final

BASE: Final = "/api/v1"
_IN_PATH: Final = re.compile(r"\{(\w+)\}")

PLACES: Final[dict[str, tuple[str, str]]] = {
    "rooms": ("GET", "/rooms"),
    "show": ("GET", "/rooms/{room}"),
    "live": ("GET", "/live"),
    "create": ("POST", "/rooms"),
    "remove": ("DELETE", "/rooms/{room}"),
    "change": ("PATCH", "/rooms/{room}"),
    "pause": ("POST", "/rooms/{room}/pause"),
    "resume": ("POST", "/rooms/{room}/resume"),
    "close": ("POST", "/rooms/{room}/close"),
    "open": ("POST", "/rooms/{room}/open"),
    "message": ("POST", "/rooms/{room}/message"),
    "ramp": ("POST", "/rooms/{room}/ramp"),
    "save-preset": ("PUT", "/rooms/{room}/presets/{preset}"),
    "use-preset": ("POST", "/rooms/{room}/presets/{preset}/use"),
    "drop-preset": ("DELETE", "/rooms/{room}/presets/{preset}"),
    "admit": ("POST", "/rooms/{room}/admit"),
    "reset": ("POST", "/rooms/{room}/reset"),
    "visitor": ("GET", "/rooms/{room}/visitors/{code}"),
    "release": ("POST", "/rooms/{room}/visitors/{code}/release"),
    "revoke": ("POST", "/rooms/{room}/visitors/{code}/revoke"),
    "front": ("POST", "/rooms/{room}/visitors/{code}/front"),
    "journal": ("GET", "/rooms/{room}/journal"),
    "history": ("GET", "/rooms/{room}/history"),
    "report": ("GET", "/rooms/{room}/report"),
    "forecast": ("POST", "/rooms/{room}/forecast"),
    "undo": ("POST", "/rooms/{room}/undo"),
    "audit": ("GET", "/audit"),
    "export": ("GET", "/export"),
    "accounts": ("GET", "/accounts"),
    "add-account": ("POST", "/accounts"),
    "invite": ("POST", "/accounts/{name}/invite"),
    "give-role": ("POST", "/accounts/{name}/role"),
    "reset-account": ("POST", "/accounts/{name}/reset"),
    "remove-account": ("DELETE", "/accounts/{name}"),
    "tokens": ("GET", "/tokens"),
    "add-token": ("POST", "/tokens"),
    "revoke-token": ("DELETE", "/tokens/{id}"),
}
"""Verb → method and path. Arguments named in the path travel there; the others in the query of GET and DELETE, in the
body otherwise."""


def in_path(path: str) -> list[str]:
    """Return the names that stand in a path."""
    return _IN_PATH.findall(path)


def in_body(method: str) -> bool:
    """Whether arguments travel in the body."""
    return method not in {"GET", "DELETE"}
