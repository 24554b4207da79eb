"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from starlette.responses import JSONResponse

from waitroom.admin.verbs import Mistaken, Stale
from waitroom.errors import StoreUnavailable, VersionConflict, WaitroomError

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
    429: "Too often",
    500: "Failed",
    503: "Store away",
}


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return an error. `more` are members of their own."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail} | more
    return JSONResponse(body, status, headers=no_store(headers), media_type="application/problem+json")


def no_store(headers: dict[str, str] | None = None) -> dict[str, str]:
    """Return `headers` with those that every answer of the listener carries."""
    return {"cache-control": "no-store", "x-content-type-options": "nosniff"} | (headers or {})


def told(error: WaitroomError) -> JSONResponse:
    """Return what an operator is told of `error`."""
    if isinstance(error, Mistaken):
        mistakes = [{"where": one.where, "what": one.what, "allowed": one.allowed} for one in error.mistakes]
        return problem(422, error.public, mistakes=mistakes)
    if isinstance(error, VersionConflict):
        since = error.since if isinstance(error, Stale) else []
        who = f", changed by {since[-1].who}" if since else ""
        return problem(
            412,
            f"the room is at version {error.current}{who}; look again, then decide",
            {"etag": f'"{error.current}"'},
            changes=[asdict(line) for line in since],
        )
    if isinstance(error, StoreUnavailable):
        return problem(
            503,
            "the store did not answer; the change may have come through: look, or repeat it with its Idempotency-Key",
            {"retry-after": "1"},
        )
    return problem(error.status, error.public)
