"""A flash crowd: so many visitors within so many seconds, each on a connection of their own, in a process apart.

What each was told is returned, not judged.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

GIVE_UP_SECONDS = 90.0
REQUEST = (
    "GET /page/{number}-1 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/html\r\nsec-fetch-mode: navigate\r\n"
    "sec-fetch-site: none\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
)


@dataclass(slots=True)
class Told:
    """One of the crowd. Times are those of `time.monotonic`."""

    due: float
    sent: float = 0.0
    answered: float = 0.0
    status: int = 0
    """0: no whole answer came."""
    cookie: str = ""
    """The place or the pass, as a Cookie header has it."""


class _Comer(asyncio.Protocol):
    def __init__(self, told: Told, request: bytes, done: asyncio.Future[None]) -> None:
        self.told = told
        self.request = request
        self.done = done
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.told.sent = time.monotonic()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data

    def connection_lost(self, exc: Exception | None) -> None:
        head, _, body = bytes(self.buffer).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        size = next((int(value) for name, value in fields if name == "content-length"), -1)
        if size == len(body) and exc is None:
            self.told.answered = time.monotonic()
            self.told.status = int(lines[0].split(" ")[1])
            cookies = (value.partition(";")[0] for name, value in fields if name == "set-cookie")
            self.told.cookie = next((cookie for cookie in cookies if not cookie.endswith("=")), "")
        if not self.done.done():
            self.done.set_result(None)


async def _come(told: Told, number: int, port: int) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(told.due - time.monotonic())
    done: asyncio.Future[None] = loop.create_future()
    request = REQUEST.format(number=number, port=port).encode()
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await loop.create_connection(lambda: _Comer(told, request, done), "127.0.0.1", port)
            await done
    except (OSError, TimeoutError):
        return


async def _crowd(port: int, first: int, visitors: int, seconds: float) -> list[Told]:
    began = time.monotonic() + 0.2
    crowd = [Told(began + seconds * i / visitors) for i in range(visitors)]
    await asyncio.gather(*(_come(told, first + i, port) for i, told in enumerate(crowd)))
    return crowd


def flash_crowd(port: int, first: int, visitors: int, seconds: float) -> list[Told]:
    """Send them, numbered from `first`, and return what they were told; to be called in a process apart."""
    return asyncio.run(_crowd(port, first, visitors, seconds))
