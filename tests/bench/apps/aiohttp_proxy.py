"""What one would write in an afternoon: a raw ASGI app that proxies with aiohttp's client, streaming both ways."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import aiohttp  # type: ignore[import-not-found]  # in .venv-bench only
from yarl import URL  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BACKEND = os.environ["BENCH_BACKEND"]
HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"))
sessions: list[Any] = []


async def body_of(receive: Any) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if not sessions:
        sessions.append(aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0)))
    asked = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"] if name not in HOP_BY_HOP]
    has_body = any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
    url = URL(BACKEND + scope["raw_path"].decode() + "?" + scope["query_string"].decode(), encoded=True)
    data = body_of(receive) if has_body else None
    async with sessions[0].request(scope["method"], url, headers=asked, data=data, allow_redirects=False) as answer:
        headers = [pair for pair in answer.raw_headers if pair[0].lower() not in HOP_BY_HOP]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
