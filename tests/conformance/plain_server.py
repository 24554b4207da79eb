"""`python -m tests.conformance.plain_server PORT`: a backend that answers every request, `/large` with 1 MB, after its whole body."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

LARGE: Final = b"x" * 1_000_000


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Read, then answer."""
    if scope["type"] != "http":
        return
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        if not message.get("more_body"):
            break
    body = LARGE if scope["path"] == "/large" else b"ok"
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", str(len(body)).encode())],
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


if __name__ == "__main__":
    config = uvicorn.Config(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off")
    asyncio.run(uvicorn.Server(config).serve())
