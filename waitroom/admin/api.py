"""The verbs as JSON, and what monitoring reads: live, ready, metrics. All under `/api` needs the token."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import waitroom
from waitroom.domain.audit import Author, Source
from waitroom.errors import Mistake, Refused, StoreUnavailable, VersionConflict, WaitroomError
from waitroom.metrics import CONTENT_TYPE, RoomFigures

from .access import bearer_is, from_elsewhere, host_is_ours
from .verbs import MODE_VERBS, Mistaken, Verbs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request as HttpRequest
    from starlette.types import ASGIApp, Receive, Scope, Send

    from waitroom.logs import Log
    from waitroom.metrics import Metrics

    from .verbs import RoomState

BODY_LIMIT_BYTES: Final = 65_536
_LONGEST_KEY: Final = 128
TITLES: Final = {
    400: "Bad request",
    401: "Not allowed without the token",
    403: "Not allowed from there",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible as it stands",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Not JSON",
    422: "Not valid",
    500: "Failed",
    503: "Store away",
}


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return an error as `application/problem+json` (RFC 9457)."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail} | more
    return JSONResponse(body, status, headers=_no_store(headers), media_type="application/problem+json")


def _no_store(headers: dict[str, str] | None = None) -> dict[str, str]:
    return {"cache-control": "no-store", "x-content-type-options": "nosniff"} | (headers or {})


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


class Api:
    """The endpoints. `new_identity` gives a change without `Idempotency-Key` an id of its own."""

    def __init__(
        self,
        verbs: Verbs,
        metrics: Metrics,
        *,
        new_identity: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._verbs = verbs
        self._metrics = metrics
        self._new_identity = new_identity

    def routes(self) -> list[Route]:
        return [
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/api/v1/rooms", self.rooms, methods=["GET"]),
            Route("/api/v1/rooms/{room}", self.room, methods=["GET"]),
            Route("/api/v1/rooms/{room}", self.change, methods=["PATCH"]),
            *(Route(f"/api/v1/rooms/{{room}}/{verb}", self._turner(verb), methods=["POST"]) for verb in MODE_VERBS),
        ]

    async def live(self, request: HttpRequest) -> Response:
        return JSONResponse({"live": True}, headers=_no_store())

    async def ready(self, request: HttpRequest) -> Response:
        away = [state.name for state in await self._verbs.rooms() if not state.store_available]
        reasons = [f"room {name}: the store does not answer" for name in away]
        return JSONResponse({"ready": not away, "reasons": reasons}, 503 if away else 200, headers=_no_store())

    async def metrics(self, request: HttpRequest) -> Response:
        states = await self._verbs.rooms()
        text = self._metrics.render(
            [_figures(state) for state in states if state.census is not None and state.store_available],
            store_up=all(state.store_available for state in states),
            version=waitroom.__version__,
        )
        return Response(text, headers=_no_store({"content-type": CONTENT_TYPE}))

    async def rooms(self, request: HttpRequest) -> Response:
        states = await self._verbs.rooms()
        return JSONResponse({"rooms": [state.as_json() for state in states]}, headers=_no_store())

    async def room(self, request: HttpRequest) -> Response:
        return _shown(await self._verbs.show(request.path_params["room"]))

    async def change(self, request: HttpRequest) -> Response:
        body = await _body(request, {"changes", "reason"})
        changes = body.get("changes")
        if not isinstance(changes, dict):
            raise Mistaken([Mistake("changes", "must be an object of setting: value", '{"rate": 600}')])
        state = await self._verbs.change(
            request.path_params["room"], changes, self._author(request, body), expected_version=_if_match(request)
        )
        return _shown(state)

    def _turner(self, verb: str) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def turn(request: HttpRequest) -> Response:
            body = await _body(request, {"reason"})
            state = await self._verbs.turn(
                request.path_params["room"], verb, self._author(request, body), expected_version=_if_match(request)
            )
            return _shown(state)

        return turn

    def _author(self, request: HttpRequest, body: dict[str, Any]) -> Author:
        reason = body.get("reason")
        if reason is not None and not isinstance(reason, str):
            raise Mistaken([Mistake("reason", "must be text, or null")])
        identity = request.headers.get("idempotency-key") or self._new_identity()
        if len(identity) > _LONGEST_KEY or not identity.isascii() or not identity.isprintable():
            raise Refused(f"Idempotency-Key: at most {_LONGEST_KEY} printable ASCII characters")
        from_cli = request.headers.get("user-agent", "").startswith("waitroom-cli/")
        return Author("admin token", identity, Source.COMMAND_LINE if from_cli else Source.API, reason or "")


def make_app(verbs: Verbs, metrics: Metrics, log: Log, *, token: Callable[[], str], host: str) -> ASGIApp:
    """Return the admin listener's ASGI app. `token` is asked at each request; `host` is what was configured."""

    async def waitroom_error(request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, WaitroomError)
        return _told(error)

    async def http_error(request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, error.detail, dict(error.headers or {}))

    async def unforeseen(request: HttpRequest, error: Exception) -> Response:
        return problem(500, "something went wrong on our side; the log tells what")

    app = Starlette(
        routes=Api(verbs, metrics).routes(),
        exception_handlers={WaitroomError: waitroom_error, HTTPException: http_error, 500: unforeseen},
    )
    return Guard(app, token=token, host=host, metrics=metrics, log=log)


def _told(error: WaitroomError) -> Response:
    if isinstance(error, Mistaken):
        mistakes = [{"where": one.where, "what": one.what, "allowed": one.allowed} for one in error.mistakes]
        return problem(422, error.public, mistakes=mistakes)
    if isinstance(error, VersionConflict):
        return problem(
            412, f"the room is at version {error.current}; look again, then decide", {"etag": f'"{error.current}"'}
        )
    if isinstance(error, StoreUnavailable):
        return problem(
            503,
            "the store did not answer; the change may have come through: look, or repeat it with its Idempotency-Key",
            {"retry-after": "1"},
        )
    return problem(error.status, error.public)


def _shown(state: RoomState) -> Response:
    return JSONResponse(state.as_json(), headers=_no_store({"etag": f'"{state.version}"'}))


def _if_match(request: HttpRequest) -> int | None:
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    digits = text.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise Refused('If-Match: the version as the ETag gave it, such as "3"')
    return int(digits)


async def _body(request: HttpRequest, known: set[str]) -> dict[str, Any]:
    """Return the JSON object of a request; empty when it has no body."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_LIMIT_BYTES:
            raise Refused(f"the body is larger than {BODY_LIMIT_BYTES} bytes", status=413)
    if not raw:
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("send the body as Content-Type: application/json", status=415)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refused("the body must be a JSON object")
    if unknown := sorted(set(body) - known):
        raise Mistaken([Mistake(key, "is not known here", f"known: {', '.join(sorted(known))}") for key in unknown])
    return body


def _figures(state: RoomState) -> RoomFigures:
    census = state.census
    assert census is not None
    return RoomFigures(
        name=state.name,
        mode=census.mode.value,
        rate=state.room.rate,
        capacity=state.room.capacity,
        visitors={
            "waiting": census.waiting, "called": census.called, "missed": census.missed, "active": census.active,
        },
        entries=census.entries,
        reserved=census.reserved,
        recovering_seconds=census.recovering_ms / 1000,
        missed_share=census.missed_share,
        idle_seconds=census.idle_ms / 1000,
        totals={
            "joined": census.joined_total, "called": census.called_total, "admitted": census.admitted_total,
            "missed": census.missed_total, "returned": census.returned_total, "left": census.left_total,
            "released": census.released_total, "ended": census.ended_total,
        },
    )  # fmt: skip
