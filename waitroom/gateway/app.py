"""What visitors meet, put together: Waitroom's own routes under the prefix, the gate around everything else."""

from __future__ import annotations

import os
import secrets
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from waitroom.domain.routing import Router
from waitroom.errors import RoomUnknown
from waitroom.static_files import static_path

from .desk import Desk
from .farewells import Farewells
from .gate import Gate
from .health import Health
from .language import LanguageChoice
from .page.preview import Preview
from .page.waiting import WaitingPage
from .place import PlacePage
from .previewing import PreviewEndpoint
from .problems import plain_problem
from .queue import QueueEndpoints
from .visitor import make_visitor
from .whole import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from waitroom.logs import Log
    from waitroom.metrics import Metrics
    from waitroom.settings import Settings
    from waitroom.store.base import Store
    from waitroom.tokens import Tokens

    from .captcha import Captcha
    from .challenge import JoinRate
    from .direct import SetOut
    from .document import Documents

_NEW_VISITOR: Final = partial(make_visitor, os.urandom)
_NEW_NONCE: Final = partial(secrets.token_urlsafe, 18)
_SCRIPTS: Final = ("solve.js", "check.js")
_DETAILS: Final = {
    404: "Nothing is here. Waitroom keeps this part of the site for itself.",
    405: "This address does not take that method.",
}


def build_gate(
    settings: Settings,
    store: Store,
    documents: Documents,
    tokens: Tokens,
    site: ASGIApp,
    metrics: Metrics,
    log: Log,
    *,
    farewells: Farewells | None = None,
    joins: dict[str, JoinRate] | None = None,
    site_set_out: SetOut | None = None,
    new_visitor: Callable[[], str] = _NEW_VISITOR,
    new_nonce: Callable[[], str] = _NEW_NONCE,
    captcha: Captcha | None = None,
) -> Gate:
    """Return the gate in front of `site`, to which `site_set_out` is the direct way.

    After a reload, build another with the same `farewells` and `joins` and let it take the place of the old one.
    """
    desk = Desk(settings.gateway, store, documents, tokens, metrics, log, new_visitor, captcha, joins)
    rooms = [room.name for room in settings.rooms]
    page = WaitingPage(settings.rooms, new_nonce, _Failures(metrics, log))
    router = Router(settings.rooms)
    own = own_routes(
        settings.gateway.prefix,
        QueueEndpoints(desk),
        LanguageChoice(desk),
        Health(store, rooms),
        PreviewEndpoint(store, tokens, Preview(page, new_nonce)),
        PlacePage(desk, router, page),
    )
    if farewells is None:
        farewells = Farewells(store, metrics, log)
    return Gate(desk, router, page, farewells, site=site, own=own, site_set_out=site_set_out)


def own_routes(
    prefix: str,
    queue: QueueEndpoints,
    language: LanguageChoice,
    health: Health,
    preview: PreviewEndpoint,
    place: PlacePage,
) -> Starlette:
    """Return the app of everything under `prefix`; what it does not know is 404 and never proxied."""
    routes = [
        Route(f"{prefix}/livez", health.live),
        Route(f"{prefix}/readyz", health.ready),
        *(Route(f"{prefix}/{name}", partial(_script, name)) for name in _SCRIPTS),
        Route(f"{prefix}/language", language.choose),
        Route(f"{prefix}/{{room}}/me", queue.me),
        Route(f"{prefix}/{{room}}/join", queue.join, methods=["POST"]),
        Route(f"{prefix}/{{room}}/leave", queue.leave, methods=["POST"]),
        Route(f"{prefix}/{{room}}/queue.json", queue.not_counted),
        Route(f"{prefix}/{{room}}/preview", preview.show),
        Route(f"{prefix}/{{room}}/", place.show),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _told, RoomUnknown: _unknown_room})
    # A redirect would be built from the Host header, which is the visitor's.
    app.router.redirect_slashes = False
    return app


async def _script(name: str, request: Request) -> Response:
    """Serve a script that deals with challenges; it is the same for all and changes with the version alone."""
    return answer(200, _source_of(name), [
        (b"content-type", b"text/javascript; charset=utf-8"),
        (b"cache-control", b"public, max-age=300"),
        (b"x-content-type-options", b"nosniff"),
    ])  # fmt: skip


@cache
def _source_of(name: str) -> bytes:
    return static_path(f"waiting/{name}").read_bytes()


class _Failures:
    """Counts each time that a shop's own template fails, and logs the first of each reason."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._said: set[tuple[str, str]] = set()

    def __call__(self, room: str, reason: str) -> None:
        self._metrics.template_failed(room)
        if (room, reason) not in self._said:
            self._said.add((room, reason))
            self._log.error("template_failed", room=room, reason=reason)


async def _unknown_room(request: Request, error: Exception) -> Response:
    return answer(404, *plain_problem(404, "No such room", RoomUnknown.public))


async def _told(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    phrase = HTTPStatus(status).phrase
    body, headers = plain_problem(status, phrase, _DETAILS.get(status, phrase))
    allowed = (error.headers or {}).get("Allow") if isinstance(error, HTTPException) else None
    if allowed:
        headers.append((b"allow", allowed.encode("latin-1")))
    return answer(status, body, headers)
