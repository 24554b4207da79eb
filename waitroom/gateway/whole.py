"""Responses of ours that are all there, and leave in one write where the server can do so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from .visitor import Header


class _Whole(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_whole(scope, send, self.status_code, self.raw_headers, bytes(self.body))


def answer(status: int, body: bytes, headers: list[Header]) -> Response:
    """Return a response with exactly these headers and its length."""
    response = _Whole(body, status)
    response.raw_headers = [*headers, (b"content-length", str(len(body)).encode("ascii"))]
    return response


async def send_whole(scope: Scope, send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Send a response that is all there: as one message where the server takes one, as ours does (exchange.py)."""
    rest: Message = {"body": b"" if scope["method"] == "HEAD" else body, "more_body": False}
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    if "waitroom.body_in_start" in (scope.get("extensions") or ()):
        await send({**start, **rest})
    else:
        await send(start)
        await send({"type": "http.response.body", **rest})
