"""The admin API as the command line speaks it: one method a verb, answers as they come, errors in words."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener
from uuid import uuid4

from .. import __version__
from ..admin.places import BASE, PLACES, in_body, in_path
from ..admin.report.lines import told
from .outcome import CommandError, Exit, not_valid
from .running import Running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ANSWER_LIMIT_BYTES = 67_108_864
TIMEOUT_SECONDS = 10.0
LOOK_AGAIN = "Nothing was changed. Look at `waitroom rooms` and decide again."
_HEADERS = {"Accept": "application/json", "User-Agent": f"waitroom-cli/{__version__}"}
"""By the second the log of changes tells the command line from other programs."""


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect would carry the token to somebody else."""


# Nor does the token go through a proxy that the environment names for the web at large.
_open = build_opener(ProxyHandler({}), _NoRedirect).open


@dataclass(frozen=True)
class AdminAPI:
    """An admin listener. Every method raises `CommandError`."""

    url: str
    token: str | None

    def rooms(self) -> list[dict[str, Any]]:
        """Return the state of every room."""
        rooms = self._call("GET", f"{BASE}/rooms").get("rooms")
        if not isinstance(rooms, list):
            raise self._foreign()
        return rooms

    def live(self) -> dict[str, Any]:
        """Return `{"now_ms", "rooms"}`, every figure of every room as it is now."""
        said = self._call("GET", "/api/v1/live")
        if not isinstance(said.get("rooms"), list):
            raise self._foreign()
        return said

    def room(self, name: str) -> dict[str, Any]:
        """Return the state of one room."""
        return self._call("GET", _path(name), room=name)

    def change(self, name: str, changes: dict[str, Any], *, version: int, reason: str | None) -> dict[str, Any]:
        """Change a room that stands at `version`, and return its new state."""
        body = {"changes": changes, "reason": reason}
        return self._call("PATCH", _path(name), body, room=name, headers={"If-Match": f'"{version}"'})

    def turn(self, name: str, verb: str, *, reason: str | None) -> dict[str, Any]:
        """Pause, resume, close or open a room, and return its new state."""
        return self._call("POST", f"{_path(name)}/{verb}", {"reason": reason}, room=name)

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask anything under `/api/v1`."""
        return self._call(method, BASE + path, body)

    def perform(
        self, verb: str, /, *, room: str = "", reason: str | None = None, version: int | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Call a verb by its name in the table, and return what it answers. Arguments of None are left out."""
        method, path, body = _placed(verb, room, reason, arguments)
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        return self._call(method, path, body, room=room, headers=headers)

    def export(self, **arguments: Any) -> str:
        """Return a record as the text of a file."""
        method, path, body = _placed("export", "", None, arguments)
        return self._fetch(method, path, body, {}, arguments.get("room") or "").decode()

    def report(self, room: str, **arguments: Any) -> str:
        """Return the report of a room as the text of a file."""
        method, path, body = _placed("report", room, None, arguments)
        return self._fetch(method, path, body, {}, room).decode()

    def _call(
        self, method: str, path: str, body: Any = None, *, room: str = "", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            document = json.loads(self._fetch(method, path, body, headers or {}, room))
        except ValueError:
            raise self._foreign() from None
        if not isinstance(document, dict):
            raise self._foreign()
        return document

    def _fetch(self, method: str, path: str, body: Any, headers: dict[str, str], room: str) -> bytes:
        request = Request(self.url + path, method=method, headers={**_HEADERS, **headers})  # noqa: S310
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("Idempotency-Key", str(uuid4()))
        try:
            with _open(request, timeout=TIMEOUT_SECONDS) as answer:
                text: bytes = answer.read(ANSWER_LIMIT_BYTES)
                return text
        except HTTPError as error:
            with error:
                raise self._refusal(error, room) from None
        except (URLError, OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> CommandError:
        why = getattr(error, "reason", None) or error
        words = getattr(why, "strerror", None) or str(why) or type(why).__name__
        return CommandError(
            f"cannot reach the admin listener at {self.url}: {words}.\n"
            "See whether Waitroom runs there, or say where it is with --data or --admin-url.",
            Exit.UNREACHABLE,
        )

    def _foreign(self) -> CommandError:
        return CommandError(
            f"what answers at {self.url} is not Waitroom's admin listener; say where it is with --admin-url.",
            Exit.UNREACHABLE,
        )

    def _refusal(self, error: HTTPError, room: str) -> CommandError:
        try:
            problem = json.loads(error.read(ANSWER_LIMIT_BYTES))
            detail = str(problem.get("detail") or problem.get("title") or error.reason)
            mistakes = [_mistake_text(mistake) for mistake in problem.get("mistakes") or []]
            if mistakes:  # the detail is all of them in one line
                detail = not_valid(mistakes)
            changes = [told(line) for line in problem.get("changes") or []]
        except (ValueError, LookupError, TypeError, AttributeError, OSError, http.client.HTTPException):
            return self._foreign()
        code, after = Exit.REFUSED, ""
        if error.code in {401, 403}:
            detail += (
                "\nGive the token with --token or WAITROOM_ADMIN__TOKEN; the data directory keeps it in admin-token."
            )
        elif error.code == 404 and room and room not in (names := self._names()):
            detail = self._unknown(room, names)
        elif error.code in {409, 412}:
            after = f"\n{LOOK_AGAIN}"
        elif error.code >= 500:
            code = Exit.FAILED
        return CommandError("\n  ".join([detail, *changes]) + after, code)

    def _names(self) -> list[str]:
        return [str(state.get("name")) for state in self.rooms()]

    def _unknown(self, room: str, names: Sequence[str]) -> str:
        from ..mistakes import did_you_mean

        meant = did_you_mean(room, names).capitalize() or f"Known: {', '.join(names) or 'none'}."
        return f"there is no room {room!r}. {meant}"


def _path(room: str) -> str:
    return f"{BASE}/rooms/{quote(room, safe='')}"


def _mistake_text(mistake: Any) -> str:
    if not isinstance(mistake, dict):
        return str(mistake)
    words = ": ".join(str(mistake[key]) for key in ("where", "what") if mistake.get(key))
    return f"{words} ({mistake['allowed']})" if mistake.get("allowed") else words


def _placed(verb: str, room: str, reason: str | None, arguments: dict[str, Any]) -> tuple[str, str, Any]:
    """Return method, path with query, and body (None where there is none) of a call."""
    method, path = PLACES[verb]
    named = {
        key: value for key, value in {"room": room or None, "reason": reason, **arguments}.items() if value is not None
    }
    for name in in_path(path):
        path = path.replace(f"{{{name}}}", quote(str(named.pop(name)), safe=""))
    if in_body(method):
        return method, BASE + path, named
    return method, BASE + path + (f"?{urlencode(named)}" if named else ""), None


def connect(data: Path | None, admin_url: str | None, token: str | None, *, store: bool = False) -> AdminAPI:
    """Find the admin listener that the options of a command mean, or the store."""
    running = Running(data, os.environ)
    if store:
        from .direct import direct

        return direct(running.paths.root)
    return AdminAPI(running.admin_url(admin_url), running.token(token))
