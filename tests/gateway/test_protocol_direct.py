"""The visitor's end of the direct way: what the protocol does with an answer that comes by calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.gateway.edge import PATIENT, WITHIN_SECONDS
from waitroom.gateway.protocol import protocol_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.edge import Log
    from waitroom.gateway.exchange import Exchange

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


class Trip:
    """Does what a test says as soon as it has begun, and remembers whether it was left."""

    def __init__(self, exchange: Exchange, does: Callable[[Exchange], None]) -> None:
        self.left = 0
        asyncio.get_running_loop().call_soon(does, exchange)

    def leave(self) -> None:
        self.left += 1

    def resume(self) -> None: ...


async def nobody(scope: object, receive: object, send: object) -> None:
    raise AssertionError("no application was to be asked")


async def told(does: Callable[[Exchange], None]) -> tuple[bytes, Trip]:
    """What a client gets until the end of the connection, and the trip."""
    trips = []

    def set_out(exchange: Exchange) -> bool:
        trips.append(Trip(exchange, does))
        exchange.set_out(trips[0], nobody)
        return True

    http = protocol_class(PATIENT, set_out=set_out)
    config = uvicorn.Config(nobody, http=http, ws="none", lifespan="off", log_config=None, date_header=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: http(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    got = b""
    try:
        writer.write(GET)
        async with asyncio.timeout(WITHIN_SECONDS):
            while piece := await reader.read(65_536):
                got += piece
    except ConnectionResetError:
        got += b"(reset)"
    finally:
        writer.close()
        server.close()
    return got, trips[0]


async def test_an_answer_that_cannot_be_written_is_a_500(log: Log) -> None:
    got, trip = await told(lambda exchange: exchange.answer(200, [(b"a b", b"")], b"", True))
    assert got.startswith(b"HTTP/1.1 500 ")
    assert trip.left == 1
    assert [line["event"] for line in log()] == ["request_failed"]


async def test_an_answer_that_turns_out_wrong_is_broken_off(log: Log) -> None:
    def does(exchange: Exchange) -> None:
        exchange.answer(200, [(b"content-length", b"3")], b"a", True)
        exchange.go_on(b"bcd", True)

    got, trip = await told(does)
    assert (got.endswith(b"(reset)"), trip.left) == (True, 1)
    assert [line["event"] for line in log()] == ["request_failed"]
