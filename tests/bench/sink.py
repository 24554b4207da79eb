"""A site that takes uploads whole and then answers, and counts the bytes that came; a program of its own.

    python -m tests.bench.sink PORT

`GET /count` answers with the number.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop


class Sink(asyncio.BufferedProtocol):
    """One connection: a head, then that many bytes, then 200, again and again."""

    received = 0

    def __init__(self) -> None:
        self._space = memoryview(bytearray(262_144))
        self._head = b""
        self._left = 0
        self._chunked = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._space

    def buffer_updated(self, count: int) -> None:
        if self._left >= count and not self._chunked:
            self._took(count)
            return
        self._feed(bytes(self._space[:count]))

    def _feed(self, data: bytes) -> None:
        while data:
            if self._chunked:
                Sink.received += len(data)
                self._tail = (self._tail + data)[-7:]
                if self._tail == b"\r\n0\r\n\r\n":
                    self._chunked = False
                    self._answer(b"")
                return
            if self._left:
                taken = min(self._left, len(data))
                data = data[taken:]
                self._took(taken)
                continue
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data, self._head = self._head[:end].lower(), self._head[end + 4 :], b""
            self._begin(head)

    def _begin(self, head: bytes) -> None:
        fields = dict(line.split(b":", 1) for line in head.split(b"\r\n")[1:])
        self._left = int(fields.get(b"content-length", b"0"))
        self._chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        self._tail = b""
        if not self._left and not self._chunked:
            self._answer(str(Sink.received).encode())

    def _took(self, count: int) -> None:
        Sink.received += count
        self._left -= count
        if not self._left:
            self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port, backlog=2_048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
