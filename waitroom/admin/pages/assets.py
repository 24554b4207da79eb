"""Style and script of the operators' pages: read once, named by their content, kept by browsers for good."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from waitroom.static_files import static_path

if TYPE_CHECKING:
    from starlette.requests import Request

FILES: Final[dict[str, str]] = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "vendor/uplot/uPlot.iife.min.js": "text/javascript; charset=utf-8",
    "vendor/uplot/uPlot.min.css": "text/css; charset=utf-8",
}
"""File of static/console/ → its media type."""


class Assets:
    """The files of `FILES`, in memory."""

    def __init__(self) -> None:
        self._bodies: dict[str, tuple[bytes, bytes, str]] = {}
        self._urls: dict[str, str] = {}
        for name, media_type in FILES.items():
            body = static_path(f"console/{name}").read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            stem, _, ending = name.rpartition(".")
            served = f"{stem}.{digest}.{ending}".replace("/", "-")
            self._bodies[served] = body, gzip.compress(body, 9, mtime=0), media_type
            self._urls[name] = f"/assets/{served}"

    def url(self, name: str) -> str:
        """Return where a file is served."""
        return self._urls[name]

    def route(self) -> Route:
        return Route("/assets/{name}", self._serve, methods=["GET"])

    async def _serve(self, request: Request) -> Response:
        known = self._bodies.get(request.path_params["name"])
        if known is None:
            return Response(status_code=404, headers={"cache-control": "no-store"})
        body, packed, media_type = known
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "vary": "Accept-Encoding",
            "x-content-type-options": "nosniff",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers=headers | {"content-encoding": "gzip"}, media_type=media_type)
        return Response(body, headers=headers, media_type=media_type)
