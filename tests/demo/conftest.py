"""A toy shop and scripted sites on real sockets."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """Serve an ASGI app on a free port; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app, http="httptools", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
            )
        )
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await task


@pytest.fixture
def serve() -> Any:
    """What serves an ASGI app on a free port for the length of a block."""
    return serving
