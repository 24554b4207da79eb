"""The client's end of an upgraded connection: bytes as they are, once the request head has been answered.

A tunnel is offered to the application with the request and *opened* by it, or not. Until then, bytes that follow
the request head wait here, so that nothing is lost and nothing is out of order. After `open` the tunnel only
passes on: data, end of file, loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from uvicorn.protocols.http.flow_control import FlowControl

BACKLOG_BYTES = 65_536


class ClientTunnel:
    """What stands in `scope["extensions"]["waitroom.tunnel"]` of a WebSocket request."""

    def __init__(
        self,
        transport: asyncio.Transport,
        flow: FlowControl,
        loop: asyncio.AbstractEventLoop,
        on_open: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._flow = flow
        self._loop = loop
        self._on_open: Callable[[], None] | None = on_open
        self._backlog: list[bytes] = []
        self._backlog_bytes = 0
        self._flowing = False
        self._ended = False
        self._lost = False
        self._on_data: Callable[[bytes], None] | None = None
        self._on_eof: Callable[[], None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self.is_open = False

    async def open(
        self,
        head: bytes,
        on_data: Callable[[bytes], None],
        on_eof: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> asyncio.Transport:
        """Write `head` (a whole response head) and hand the connection over; the transport is the client's.

        `on_data` gets every byte that followed the request head, in order; `on_eof` comes at most once, `on_lost`
        exactly once and last. None of them is called before `open` has returned, even if the client has
        already gone. Raises RuntimeError if a response has begun, the tunnel is open, or the application has returned.
        """
        if self.is_open:
            raise RuntimeError("The tunnel is already open.")
        if self._on_open is None:
            raise RuntimeError("The application has returned; the tunnel cannot be opened.")
        self._on_open()
        self.is_open = True
        self._on_data, self._on_eof, self._on_lost = on_data, on_eof, on_lost
        if not self._lost:
            self._transport.write(head)
        self._loop.call_soon(self._start)
        return self._transport

    async def drain(self) -> None:
        """Wait until the client's write buffer is below its high-water mark, or the connection is lost."""
        if self._flow.write_paused and not self._lost:
            await self._flow.drain()

    def feed(self, data: bytes) -> None:
        """Bytes came from the client."""
        if self._flowing:
            if self._on_data is not None:
                self._on_data(data)
            return
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        if self._backlog_bytes > BACKLOG_BYTES:
            self._flow.pause_reading()

    def end(self) -> bool:
        """The client will send no more. True if the other direction is to stay open."""
        self._ended = True
        if self._flowing and self._on_eof is not None:
            self._on_eof()
        return self.is_open

    def lose(self) -> None:
        """The connection is gone."""
        self._lost = True
        if self._flowing and self._on_lost is not None:
            self._on_lost()

    def leave(self) -> None:
        """The application has returned: whatever it left open is closed, and it hears no more."""
        self._on_open = self._on_data = self._on_eof = self._on_lost = None
        if self.is_open and not self._transport.is_closing():
            self._transport.close()

    def _start(self) -> None:
        self._flowing = True
        backlog, self._backlog = self._backlog, []
        if backlog and self._on_data is not None:
            self._on_data(b"".join(backlog))
        if self._ended and self._on_eof is not None:
            self._on_eof()
        if self._lost:
            if self._on_lost is not None:
                self._on_lost()
        else:
            self._flow.resume_reading()


class EditedTunnel:
    """A tunnel that edits the head it is opened with."""

    def __init__(self, inner: Any, edit: Callable[[bytes], bytes]) -> None:
        self._inner = inner
        self._edit = edit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def open(
        self,
        head: bytes,
        on_data: Callable[[bytes], None],
        on_eof: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> asyncio.Transport:
        transport: asyncio.Transport = await self._inner.open(self._edit(head), on_data, on_eof, on_lost)
        return transport
