"""The admin listener: the guard in front, behind it the API and the pages."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from waitroom.errors import WaitroomError

from .access import Guard
from .api import api_routes, problem, told
from .console.preview import Preview
from .console.routes import Console
from .pages.assets import Assets
from .pages.entrance import Entrance
from .pages.people import People
from .pages.rendering import Pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp

    from waitroom.logs import Log
    from waitroom.metrics import Metrics

    from .access import Access
    from .console.live import Live
    from .console.preview import WaitingPages
    from .verbs import Verbs


def make_app(
    verbs: Verbs,
    access: Access,
    metrics: Metrics,
    log: Log,
    *,
    host: str,
    waiting_pages: WaitingPages,
    live: Live,
    new_identity: Callable[[], str] = lambda: secrets.token_hex(8),
) -> ASGIApp:
    """Return the admin listener's ASGI app.

    `host` is what was configured, `waiting_pages` makes those of previews, `live` what open consoles see move.
    """
    assets = Assets()
    pages = Pages(assets)

    def secure(request: Request) -> bool:
        return access.secure(request.url.scheme)

    entrance = Entrance(pages, access.accounts, metrics, log, seconds=lambda: access.session_seconds, secure=secure)
    routes: list[Route] = [
        *api_routes(verbs, metrics, new_identity),
        assets.route(),
        *entrance.routes(),
        *Console(pages, verbs, live).routes(),
        *Preview(pages, verbs, waiting_pages).routes(),
        *People(pages, access.accounts, access.api_tokens, access.now_ms, secure=secure).routes(),
    ]

    def refused(request: Request, status: int, detail: str, answer: Response) -> Response:
        """Return a page for people, problem JSON for programs."""
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return answer
        return pages.show("refused.html", status=status, heading=HTTPStatus(status).phrase, detail=detail)

    async def waitroom_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, WaitroomError)
        return refused(request, error.status, error.public, told(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = problem(error.status_code, error.detail, dict(error.headers or {}))
        return refused(request, error.status_code, error.detail, answer)

    async def unforeseen(request: Request, error: Exception) -> Response:
        detail = "something went wrong on our side; the log tells what"
        return refused(request, 500, detail, problem(500, detail))

    app = Starlette(
        routes=routes,
        exception_handlers={WaitroomError: waitroom_error, HTTPException: http_error, 500: unforeseen},
    )
    return Guard(
        app, access.identity, host=host, metrics=metrics, log=log,
        problem=problem, away=entrance.away, again=entrance.again,
    )  # fmt: skip
