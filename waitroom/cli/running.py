"""Where a running Waitroom of this machine is found: its data directory, listeners and admin token.

Reads the little it needs by itself and forgives the rest: an operator must be able to pause a room while the
configuration is being edited, and a health check must not pay for the models.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..datadir import Paths
from .outcome import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DATA = "waitroom-data"
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # what is listened on is not what is asked


class Running:
    """What a command knows about the Waitroom it is to talk to."""

    def __init__(self, data: Path | None, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.file = _file_values(Path(environ.get("WAITROOM_CONFIG") or "waitroom.toml"))
        self.paths = Paths(data or Path(self.value("data", DEFAULT_DATA)))

    def value(self, name: str, default: str) -> str:
        """Return a setting from the environment, the file, or `default`."""
        if text := self.environ.get("WAITROOM_" + name.replace(".", "__").upper()):
            return text
        found: Any = self.file
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return str(found) if isinstance(found, str | int) else default

    def listener(self, name: str) -> str | None:
        """Return the URL of a listener that runs on the data directory."""
        try:
            url = json.loads(self.paths.listener(name).read_text("utf-8"))["url"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return reachable(url) if isinstance(url, str) and is_url(url) else None

    def admin_url(self, given: str | None) -> str:
        """Return where the admin listener is; raises `CommandError` when nothing says so."""
        if given is not None:
            if not is_url(given):
                raise CommandError(f"--admin-url {given!r} is no URL such as http://127.0.0.1:8081", Exit.USAGE)
            return given.rstrip("/")
        if found := self.listener("admin"):
            return found
        raise CommandError(
            f"no Waitroom runs on the data directory {self.paths.root} ({self.paths.listener('admin')} is not there).\n"
            "Start one with `waitroom serve`, or say where it is with --data or --admin-url.",
            Exit.UNREACHABLE,
        )

    def token(self, given: str | None) -> str | None:
        """Return the admin token: given, set, or kept in the data directory."""
        token = given or self.value("admin.token", "")
        if not token:
            named = self.environ.get("WAITROOM_ADMIN__TOKEN_FILE")
            try:
                token = (Path(named) if named else self.paths.admin_token).read_text("utf-8").strip()
            except (OSError, ValueError):
                return None
        if not (token.isascii() and token.isprintable()):
            raise CommandError("the admin token holds characters that no header can", Exit.USAGE)
        return token or None


def is_url(text: str) -> bool:
    """True for an http or https URL with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def reachable(url: str) -> str:
    """Turn an address that is listened on into one that can be asked."""
    parts = urlsplit(url)
    host = _ANY_ADDRESS.get(parts.hostname or "")
    netloc = parts.netloc if host is None else f"{host}:{parts.port}"
    return parts._replace(netloc=netloc).geturl().rstrip("/")


def _file_values(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
