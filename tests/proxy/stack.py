"""What visitors meet, without its processes: our protocol, the gate with a room that is off, the proxy, on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.server import ServerState

from tests.gateway.front import KEY, ScriptedStore
from tests.proxy.rig import Backend, Facts, Wire
from waitroom.domain.room import Mode, Room
from waitroom.gateway.app import build_gate
from waitroom.gateway.document import Documents
from waitroom.gateway.protocol import ProtocolLimits, protocol_class
from waitroom.logs import Log, Sink
from waitroom.metrics import Metrics
from waitroom.proxy import Proxy, ProxyOptions
from waitroom.settings import GatewaySettings, Settings
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.proxy.rig import Script
    from waitroom.gateway.gate import Gate
    from waitroom.gateway.protocol import GatewayProtocol

OPEN_ROOM = Room(name="default", mode=Mode.OFF)


class Stack:
    """A gateway that lets everybody pass."""

    def __init__(self, proxy: Proxy, facts: Facts, port: int, state: ServerState) -> None:
        self.proxy = proxy
        self.facts = facts
        self.port = port
        self.state = state
        self.refused: list[str] = []
        self.direct = 0
        """How many requests set out on the direct way."""
        self._visitors: list[Wire] = []

    @property
    def visitor(self) -> GatewayProtocol:
        """Our end of the one connection there is."""
        (protocol,) = self.state.connections
        return cast("GatewayProtocol", protocol)

    async def client(self) -> Wire:
        """A visitor, connected until the block ends or they leave."""
        visitor = Wire(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))
        self._visitors.append(visitor)
        return visitor

    def part(self) -> None:
        """Send away who is left."""
        for visitor in self._visitors:
            visitor.close()

    async def idle(self) -> None:
        """Until no request is being served and no visitor is connected."""
        async with asyncio.timeout(10):
            while self.state.tasks or self.state.connections:
                await asyncio.sleep(0.002)


_stacks: dict[int, Stack] = {}


async def site_app(scope: Any, receive: Any, send: Any) -> None:
    await _stacks[scope["server"][1]].proxy(scope, receive, send)


def site_set_out(visitor: Any, *request: Any, **more: Any) -> Any:
    stack = _stacks[visitor.connection.server[1]]
    trip = stack.proxy.set_out(visitor, *request, **more)
    stack.direct += trip is not None
    return trip


@cache
def _gate() -> Gate:
    """One for all: to make its waiting page takes longer than most tests."""
    store = ScriptedStore({"default": OPEN_ROOM})
    return build_gate(
        Settings(gateway=GatewaySettings(), rooms=(OPEN_ROOM,)),
        store,
        Documents(store),
        Tokens([KEY]),
        site_app,
        Metrics(),
        Log("gateway", Sink(io.StringIO(), style="json")),
        site_set_out=site_set_out,
    )


@contextlib.asynccontextmanager
async def gateway(
    backend: str,
    limits: ProtocolLimits | None = None,
    *,
    connections: int = 0,
    gate: Gate | None = None,
    **options: Any,
) -> AsyncIterator[Stack]:
    """A gateway in front of `backend` for the time of the block, at first with so many idle connections to it.

    With one, a plain request goes the direct way. `gate` is another than one that lets everybody pass, made of
    `site_app`
    and `site_set_out`. `options` are ProxyOptions.
    """
    facts = Facts()
    proxy = Proxy(ProxyOptions(backend, **options), facts)
    stack = Stack(proxy, facts, 0, ServerState())
    gate = gate or _gate()
    http = protocol_class(limits or ProtocolLimits(), stack.refused.append, gate.set_out)
    config = uvicorn.Config(
        gate, http=http, ws="none", lifespan="off", log_config=None, interface="asgi3", proxy_headers=False
    )
    config.load()
    loop = asyncio.get_running_loop()
    # Our protocol without uvicorn's Server, whose start and stop take a tenth of a second each.
    server = await loop.create_server(lambda: http(config, stack.state, {}), "127.0.0.1", 0, backlog=2_048)
    stack.port = server.sockets[0].getsockname()[1]
    _stacks[stack.port] = stack
    for idle in [await proxy.pool.acquire() for _ in range(connections)]:
        proxy.pool.release(idle)
    try:
        yield stack
    finally:
        stack.part()
        server.close()
        for connection in tuple(stack.state.connections):
            connection.transport.abort()
        await stack.idle()
        del _stacks[stack.port]
        await proxy.aclose()


@contextlib.asynccontextmanager
async def site(script: Script, **options: Any) -> AsyncIterator[tuple[Stack, Backend]]:
    """A gateway in front of a backend that plays a script."""
    backend = Backend(script)
    await backend.start(None)
    try:
        async with gateway(f"http://127.0.0.1:{backend.port}", **options) as stack:
            yield stack, backend
    finally:
        await backend.stop()
    assert not backend.errors, backend.errors
