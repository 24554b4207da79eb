"""The admin API as the command line speaks it: one method a verb, answers as they come, errors in words."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener
from uuid import uuid4

from .. import __version__
from .outcome import CommandError, Exit
from .running import Running

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_LIMIT_BYTES = 8_388_608
TIMEOUT_SECONDS = 10.0
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
        rooms = self._call("GET", "/api/v1/rooms").get("rooms")
        if not isinstance(rooms, list):
            raise self._foreign()
        return rooms

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
        return self._call(method, f"/api/v1{path}", body)

    def _call(
        self, method: str, path: str, body: Any = None, *, room: str = "", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        request = Request(self.url + path, method=method, headers={**_HEADERS, **(headers or {})})  # noqa: S310
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("Idempotency-Key", str(uuid4()))
        try:
            with _open(request, timeout=TIMEOUT_SECONDS) as answer:
                document = json.loads(answer.read(ANSWER_LIMIT_BYTES))
        except HTTPError as error:
            with error:
                raise self._refusal(error, room) from None
        except (URLError, OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        except ValueError:
            raise self._foreign() from None
        if not isinstance(document, dict):
            raise self._foreign()
        return document

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
        except (ValueError, AttributeError, OSError, http.client.HTTPException):
            return self._foreign()
        code = Exit.REFUSED
        if error.code in {401, 403}:
            detail += (
                "\nGive the token with --token or WAITROOM_ADMIN__TOKEN; the data directory keeps it in admin-token."
            )
        elif error.code == 404 and room:
            detail = f"there is no room {room!r}. {self._known(room)}"
        elif error.code in {409, 412}:
            detail += "\nNothing was changed. Look at `waitroom rooms` and decide again."
        elif error.code >= 500:
            code = Exit.FAILED
        return CommandError("\n  ".join([detail, *mistakes]), code)

    def _known(self, room: str) -> str:
        from ..mistakes import did_you_mean

        names = [str(state.get("name")) for state in self.rooms()]
        return did_you_mean(room, names).capitalize() or f"Known: {', '.join(names) or 'none'}."


def _path(room: str) -> str:
    return f"/api/v1/rooms/{quote(room, safe='')}"


def _mistake_text(mistake: Any) -> str:
    if not isinstance(mistake, dict):
        return str(mistake)
    words = ": ".join(str(mistake[key]) for key in ("where", "what") if mistake.get(key))
    return f"{words} ({mistake['allowed']})" if mistake.get("allowed") else words


def connect(data: Path | None, admin_url: str | None, token: str | None) -> AdminAPI:
    """Find the admin listener that the options of a command mean."""
    running = Running(data, os.environ)
    return AdminAPI(running.admin_url(admin_url), running.token(token))
