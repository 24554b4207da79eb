"""Who comes to the admin listener at all: by its own host names, from no other site's page, and known by name.

The rows of `OPEN` need no name. Everything else is for callers that `Identity` finds; what their role allows is for the
endpoints to say (`caller_of`, `must`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.responses import HTMLResponse, RedirectResponse, Response

from waitroom.domain.access import Caller, Role
from waitroom.errors import Refused, StoreUnavailable

from .origin import from_elsewhere, host_is_ours

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Receive, Scope, Send

    from waitroom.logs import Log
    from waitroom.metrics import Metrics

    from .identity import Identity

MONITORING: Final = frozenset({"/livez", "/readyz"})
"""Answered under any host name: monitoring asks by address, by service, by whatever it has."""
OPEN: Final = frozenset({"/metrics", "/login", "/welcome"})
ASSETS: Final = "/assets/"
_STATE: Final = "waitroom.caller"
_BOUNCE: Final = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0"><title>Waitroom</title>'
    "<p>Opening the console…"
)


class Guard:
    """ASGI: lets through whom `Identity` knows; everybody else is refused and counted.

    `problem` makes the answer of the API, `away` the page while nobody can be told from anybody else, `again` that for
    a form that came when its session was over.
    """

    def __init__(
        self,
        app: ASGIApp,
        identity: Identity,
        *,
        host: str,
        metrics: Metrics,
        log: Log,
        problem: Callable[..., Response],
        away: Callable[[str], Response],
        again: Callable[[Scope, Receive], Awaitable[Response]],
    ) -> None:
        self._app = app
        self._identity = identity
        self._host = host
        self._metrics = metrics
        self._log = log
        self._problem = problem
        self._away = away
        self._again = again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._app if scope["path"] in MONITORING else await self._admitted(scope, receive)
        await answer(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive) -> ASGIApp:
        path: str = scope["path"]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        said = dict(headers)
        host = said.get("host")
        if not host_is_ours(host, self._host):
            return self._refused("host", 403, "this listener answers to its address or a private name only")
        page = not path.startswith("/api/")
        if from_elsewhere(said.get("origin"), said.get("sec-fetch-site"), host):
            if page and scope["method"] == "GET" and said.get("sec-fetch-mode") == "navigate":
                # A link from elsewhere brings no Strict cookie; a page of our own that loads itself again does.
                return HTMLResponse(_BOUNCE, headers={"cache-control": "no-store", "x-frame-options": "DENY"})
            return self._refused("origin", 403, "pages of other sites may not use this listener")
        if path in OPEN or path.startswith(ASSETS):
            return self._app
        try:
            caller = await self._identity.caller((scope.get("client") or ("",))[0], headers)
        except StoreUnavailable:
            if page:
                return self._away(scope["method"])
            return self._problem(503, StoreUnavailable.public, {"retry-after": "2"})
        if caller is None:
            return await self._unknown(scope, receive, page=page)
        scope.setdefault("state", {})[_STATE] = caller
        return self._app

    async def _unknown(self, scope: Scope, receive: Receive, *, page: bool) -> Response:
        self._metrics.admin_refusal("credentials")
        path: str = scope["path"]
        if page:
            if scope["method"] in {"GET", "HEAD"}:
                query = scope.get("query_string", b"").decode("latin-1")
                wanted = path + (f"?{query}" if query else "")
                return RedirectResponse(
                    "/login" + (f"?next={quote(wanted, safe='/')}" if wanted != "/" else ""), 303,
                    headers={"cache-control": "no-store"},
                )  # fmt: skip
            return await self._again(scope, receive)
        self._log.warning("admin_refused", why="no valid credentials", path=path[:100])
        return self._problem(
            401,
            "log in, or send `Authorization: Bearer …` with an API token, the token of the data directory's file "
            "admin-token, or the one that [admin] token sets",
            {"www-authenticate": 'Bearer realm="waitroom"'},
        )

    def _refused(self, reason: str, status: int, detail: str) -> Response:
        self._metrics.admin_refusal(reason)
        return self._problem(status, detail)


def caller_of(request: HTTPConnection) -> Caller:
    """Return who asks; the guard saw to it that somebody does."""
    caller: Any = request.scope.get("state", {}).get(_STATE)
    if not isinstance(caller, Caller):
        raise Refused("nobody is logged in", status=401)
    return caller


def must(request: HTTPConnection, role: Role) -> Caller:
    """Return who asks when their role allows it; raises `Refused` (403)."""
    caller = caller_of(request)
    if not caller.may(role):
        raise Refused(f"this needs the role {role.word}; {caller.who} has {caller.role.word}", status=403)
    return caller
