"""The yardstick: a raw ASGI app that answers 100 bytes and does nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"100")],
}
_BODY = {"type": "http.response.body", "body": b"x" * 100}


async def app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await send(_START)
    await send(_BODY)
