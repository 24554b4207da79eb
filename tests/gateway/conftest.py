"""A real uvicorn server with the gateway's protocol, for tests that speak to it in raw bytes; a real browser."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from playwright.sync_api import sync_playwright

from tests.gateway.edge import PATIENT, WITHIN_SECONDS, App, Edge, Log, Serve
from waitroom import logs
from waitroom.gateway.protocol import GatewayProtocol, ProtocolLimits, protocol_class

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from playwright.sync_api import Browser


@pytest.fixture
def log() -> Iterator[Log]:
    """What was written to the log so far, by us and by the server."""
    stream = io.StringIO()
    logs.configure(level="info", style="json", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.unconfigure()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    edges: list[Edge] = []

    async def start(
        app: App, limits: ProtocolLimits = PATIENT, network_of: Callable[[str], str] = str, **options: Any
    ) -> Edge:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        edge = Edge(None, sock.getsockname()[1])  # type: ignore[arg-type]
        http = protocol_class(limits, edge.refused.append, network_of=network_of)
        options = {"lifespan": "off", "ws": "none", "log_config": None, "server_header": False} | options
        config = uvicorn.Config(app, http=http, **options)
        config.load()
        edge.server = uvicorn.Server(config)
        edge.server.lifespan = config.lifespan_class(config)
        await edge.server.startup(sockets=[sock])
        await edge.server.on_tick(0)
        edges.append(edge)
        return edge

    yield start
    for edge in edges:
        for writer in edge.clients:
            writer.transport.abort()
        for connection in list(edge.server.server_state.connections):
            assert isinstance(connection, GatewayProtocol)
            connection.transport.abort()
        await asyncio.wait_for(ended(edge.server), WITHIN_SECONDS)


async def ended(server: uvicorn.Server) -> None:
    """Return when nothing of it is left; uvicorn's own `shutdown` would take a tenth of a second at least."""
    for listener in server.servers:
        listener.close()
        await listener.wait_closed()
    while server.server_state.connections or server.server_state.tasks:
        await asyncio.sleep(0.001)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()
