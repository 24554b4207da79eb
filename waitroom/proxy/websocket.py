"""WebSockets, as a tunnel: after the backend's 101 bytes go both ways untouched, so that pings, compression,
fragments, close codes and subprotocols are what the two ends agreed on.

The server side of it, the visitor's connection, is the server's; it offers it as a `Tunnel` in
scope["extensions"]["waitroom.tunnel"] with a request that asks for one. Back-pressure goes both ways: reading stops on
one side while more than HIGH_WATER_BYTES wait to be written on the other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from waitroom.proxy.connection import BackendConnection

HIGH_WATER_BYTES = 64 * 1024
HALF_OPEN_SECONDS = 5.0
"""How long the backend may still talk after the visitor has said that nothing more will come."""


class Tunnel(Protocol):
    """The visitor's connection, to be taken over."""

    async def open(
        self,
        head: bytes,
        on_data: Callable[[bytes], None],
        on_eof: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> asyncio.Transport:
        """Write `head`, the bytes of the 101, and hand over: what the visitor sends, or has sent already, goes to
        `on_data`, the end of it to `on_eof`, the end of the connection to `on_lost`.
        """
        ...

    async def drain(self) -> None:
        """Until the visitor's write buffer is below its high water, or the connection is gone."""
        ...


def switching_head(connection: BackendConnection) -> bytes:
    """The 101 for the visitor: the backend's fields, and the two about the connection that a 101 must have."""
    lines = [b"HTTP/1.1 101 Switching Protocols", *map(b": ".join, connection.headers)]
    return b"\r\n".join([*lines, b"connection: Upgrade", b"upgrade: websocket", b"", b""])


async def run_tunnel(
    tunnel: Tunnel, backend: BackendConnection, *, half_open_seconds: float = HALF_OPEN_SECONDS
) -> None:
    """Carry bytes until either side has ended; both connections are closed afterwards."""
    await _Pump(tunnel, backend, half_open_seconds).run()


class _Pump:
    def __init__(self, tunnel: Tunnel, backend: BackendConnection, half_open_seconds: float) -> None:
        self._tunnel = tunnel
        self._backend = backend
        self._half_open_seconds = half_open_seconds
        self._client: asyncio.Transport | None = None
        self._client_paused = False
        self._choked = False
        self._ended = False
        self._changed = asyncio.Event()
        self._half_open: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        backend = self._backend
        try:
            head = switching_head(backend)
            self._client = await self._tunnel.open(head, self._from_client, self._client_eof, self._end)
            if backend.write_paused:
                self._client_paused = True
                self._client.pause_reading()
            backend.tunnel(self._from_backend, self._end, self._backend_writable)
            while not self._ended:
                await self._changed.wait()
                self._changed.clear()
                if self._choked:
                    await self._tunnel.drain()
                    self._choked = False
                    backend.resume_reading()
        finally:
            if self._half_open is not None:
                self._half_open.cancel()
            backend.abort()
            if self._client is not None:
                self._client.close()

    def _from_client(self, data: bytes) -> None:
        self._backend.write(data)
        if self._backend.write_paused and self._client is not None and not self._client_paused:
            self._client_paused = True
            self._client.pause_reading()

    def _backend_writable(self) -> None:
        if self._client_paused and self._client is not None and not self._client.is_closing():
            self._client.resume_reading()
        self._client_paused = False

    def _from_backend(self, data: bytes) -> None:
        client = self._client
        if client is None or client.is_closing():
            return
        client.write(data)
        if client.get_write_buffer_size() > HIGH_WATER_BYTES:
            self._backend.pause_reading()
            self._choked = True
            self._changed.set()

    def _client_eof(self) -> None:
        self._backend.write_eof()
        if self._half_open is None:
            self._half_open = asyncio.get_running_loop().call_later(self._half_open_seconds, self._end)

    def _end(self) -> None:
        self._ended = True
        self._changed.set()
