"""Load: WebSocket connections that each send a message of 64 bytes when the one before has come back.

    python -m tests.bench.echoes PORT CONNECTIONS SECONDS

Prints one line of JSON: messages echoed, seconds, percentiles of the round trip, errors. A program of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, Final

import uvloop

from .figures import percentile

PAYLOAD: Final = b"m" * 64
MASK: Final = b"\x01\x02\x03\x04"
FRAME: Final = b"\x82\xc0" + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(PAYLOAD))
ECHO: Final = b"\x82\x40" + PAYLOAD
HELLO: Final = (
    b"GET /ws HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Echo(asyncio.Protocol):
    """One connection. What comes back must be what was sent, to the byte."""

    def __init__(self, trips: list[float], opened: asyncio.Future[None]) -> None:
        self.trips = trips
        self.opened = opened
        self.buffer = b""
        self.running = False
        self.failed = ""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.transport.write(HELLO)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.opened.done():
            head, found, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if not found:
                self.buffer = head
            elif head.startswith(b"HTTP/1.1 101"):
                self.opened.set_result(None)
            else:
                self.opened.set_exception(OSError(head[:60].decode("latin-1")))
            return
        if len(self.buffer) < len(ECHO):
            return
        if self.buffer != ECHO:
            self.failed = f"came back as {self.buffer[:20]!r}"
            self.transport.close()
            return
        self.buffer = b""
        self.trips.append(time.perf_counter() - self.sent)
        if self.running:
            self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(FRAME)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(OSError(f"closed before the handshake ({error})"))
        elif self.running:
            self.failed = self.failed or f"closed ({error})"


async def measure(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Run it."""
    loop = asyncio.get_running_loop()
    trips: list[float] = []
    echoes: list[Echo] = []
    for _ in range(connections):
        opened: asyncio.Future[None] = loop.create_future()
        echo = Echo(trips, opened)
        await loop.create_connection(lambda echo=echo: echo, "127.0.0.1", port)  # type: ignore[misc]
        await asyncio.wait_for(opened, 10)
        echoes.append(echo)
    began = time.perf_counter()
    for echo in echoes:
        echo.running = True
        echo.send()
    await asyncio.sleep(seconds)
    elapsed, count = time.perf_counter() - began, len(trips)
    failed = [echo.failed for echo in echoes if echo.failed]
    for echo in echoes:
        echo.running = False
        echo.transport.abort()
    return {
        "requests": count,
        "seconds": elapsed,
        "p50_ms": percentile(trips, 0.5) * 1000 if trips else 0.0,
        "p99_ms": percentile(trips, 0.99) * 1000 if trips else 0.0,
        "errors": len(failed),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))))
