"""Who comes to the admin listener at all: its own host names, no page of another site, the bearer of the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waitroom.admin.access import bearer_is, from_elsewhere, host_is_ours

from .problems import problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from waitroom.logs import Log
    from waitroom.metrics import Metrics


class Guard:
    """ASGI: lets through whom `access` allows; everybody else is refused and counted."""

    def __init__(self, app: ASGIApp, *, token: Callable[[], str], host: str, metrics: Metrics, log: Log) -> None:
        self._app = app
        self._token = token
        self._host = host
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        path: str = scope["path"]
        if path in {"/livez", "/readyz"}:
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host")
        if not host_is_ours(host, self._host):
            return self._refused("host", 403, "this listener answers to its address or a private name only")
        if from_elsewhere(headers.get("origin"), headers.get("sec-fetch-site"), host):
            return self._refused("origin", 403, "pages of other sites may not use this listener")
        if path != "/metrics" and not bearer_is(headers.get("authorization"), self._token()):
            self._log.warning("admin_refused", why="no valid credentials", path=path[:100])
            return self._refused(
                "credentials",
                401,
                "send `Authorization: Bearer …` with the token of the data directory's file admin-token, "
                "or the one that [admin] token sets",
                {"www-authenticate": 'Bearer realm="waitroom"'},
            )
        return None

    def _refused(self, reason: str, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
        self._metrics.admin_refusal(reason)
        return problem(status, detail, headers)
