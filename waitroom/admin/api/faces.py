"""The JSON face of the verbs: where each is found, how its arguments travel, how its answer looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from waitroom.admin.access import must
from waitroom.admin.places import BASE, PLACES, in_body
from waitroom.admin.verbs import VERBS, Export, Mistaken, RoomState
from waitroom.domain.audit import Author, Source
from waitroom.errors import Mistake, Refused

from .problems import no_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from waitroom.admin.verbs import Verbs
    from waitroom.domain.access import Caller

BODY_LIMIT_BYTES: Final = 65_536
_LONGEST_KEY: Final = 128


def verb_routes(verbs: Verbs, new_identity: Callable[[], str]) -> list[Route]:
    """Return a route for each path of `PLACES`."""
    by_path: dict[str, dict[str, str]] = {}
    for name, (method, path) in PLACES.items():
        by_path.setdefault(path, {})[method] = name
    return [
        Route(BASE + path, _endpoint(verbs, names, new_identity), methods=list(names))
        for path, names in by_path.items()
    ]


def _endpoint(
    verbs: Verbs, names: dict[str, str], new_identity: Callable[[], str]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        name = names[method]
        caller = must(request, VERBS[name].role)
        given = await _body(request) if in_body(method) else dict(request.query_params)
        reason = given.pop("reason", None) if VERBS[name].changes else None
        if reason is not None and not isinstance(reason, str):
            raise Mistaken([Mistake("reason", "must be text, or null")])
        where = dict(request.path_params)
        room = where.pop("room", "")
        if doubled := sorted(set(given) & set(where)):
            raise Mistaken([Mistake(key, "stands in the path already") for key in doubled])
        answer = await verbs.perform(
            name, given | where, _author(request, caller, reason or "", new_identity), room=room,
            expected_version=_if_match(request),
        )  # fmt: skip
        return _shown(answer)

    return endpoint


def _author(request: Request, caller: Caller, reason: str, new_identity: Callable[[], str]) -> Author:
    identity = request.headers.get("idempotency-key") or new_identity()
    if len(identity) > _LONGEST_KEY or not identity.isascii() or not identity.isprintable():
        raise Refused(f"Idempotency-Key: at most {_LONGEST_KEY} printable ASCII characters")
    source = Source.API
    if caller.session:
        source = Source.CONSOLE
    elif request.headers.get("user-agent", "").startswith("waitroom-cli/"):
        source = Source.COMMAND_LINE
    return Author(caller.who, identity, source, reason)


def _shown(answer: Any) -> Response:
    if isinstance(answer, RoomState):
        return JSONResponse(answer.as_json(), headers=no_store({"etag": f'"{answer.version}"'}))
    if isinstance(answer, Export):
        disposition = f'attachment; filename="{answer.file_name}"'
        return Response(
            answer.text, headers=no_store({"content-disposition": disposition}), media_type=answer.media_type
        )
    return JSONResponse(answer, headers=no_store())


def _if_match(request: Request) -> int | None:
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    digits = text.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise Refused('If-Match: the version as the ETag gave it, such as "3"')
    return int(digits)


async def _body(request: Request) -> dict[str, Any]:
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
    return body
