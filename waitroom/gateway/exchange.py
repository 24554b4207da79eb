"""One request and its response, as the application sees them: uvicorn's cycle with an ending that tells the truth.

A response that breaks is broken off, never ended; framing is ours, not the application's; and an application that
fails before it answers gives a plain 500 and one line in the log, without a word of the request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from waitroom.gateway.response_head import response_head
from waitroom.logs import logger

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGI3Application,
        ASGIReceiveEvent,
        ASGISendEvent,
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
        HTTPScope,
    )
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    from waitroom.gateway.response_head import ResponseHead
    from waitroom.gateway.tunnel import ClientTunnel

log = logger("protocol")


class Connection(Protocol):
    """What an exchange needs of the connection it happens on."""

    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState

    def pause_reading(self) -> None: ...

    def resume_reading_for(self, exchange: Exchange) -> None: ...

    def restart_clock(self) -> None: ...

    def exchange_finished(self, exchange: Exchange) -> None: ...

    def tunnel_opened(self) -> None: ...

    def break_off(self) -> None: ...


class Exchange(RequestResponseCycle):
    """One request and its response, as the application sees them."""

    def __init__(self, connection: Connection, scope: HTTPScope, *, expects_continue: bool, keep_alive: bool) -> None:
        # The parent's __init__ is not called: it would make an Event per request; every method that reads it is ours.
        self.connection = connection
        self.scope = scope
        self.transport = connection.transport
        self.flow = connection.flow
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects_continue
        self.tunnel: ClientTunnel | None = None
        self.disconnected = False
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self._end_told = False
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._changed: asyncio.Event | None = None
        self._head: ResponseHead = None  # type: ignore[assignment]  # set with response_started
        self._left_bytes = 0

    # From the connection

    def add_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._pieces_bytes += len(body)
        if self._pieces_bytes > HIGH_WATER_LIMIT:
            self.connection.pause_reading()
        self._wake()

    def end_body(self) -> None:
        self.more_body = False
        self.waiting_for_100_continue = False
        self._wake()

    def disconnect(self) -> None:
        if not self.response_complete or self.tunnel is not None:
            self.disconnected = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    # From the application

    async def run_asgi(self, app: ASGI3Application) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self.response_complete:
                self.connection.break_off()
            raise
        except Exception as error:  # noqa: BLE001 - the border of the application: told below, never passed on
            self._failed(error)
        else:
            if not self.response_complete and not self.disconnected:
                self._failed(RuntimeError("the application returned before its response was complete"))
        finally:
            if self.tunnel is not None:
                self.tunnel.leave()

    def _failed(self, error: Exception) -> None:
        if not getattr(type(error), "quiet", False):
            log.failure("request_failed", error, response_started=self.response_started)
        if self.response_complete or self.disconnected:
            return
        if self.response_started:
            self.connection.break_off()
            return
        text = b"Something went wrong on our side. Please try again.\n"
        self.keep_alive = False
        self._start(
            {
                "type": "http.response.start",
                "status": 500,
                "headers": [
                    (b"content-type", b"text/plain; charset=utf-8"),
                    (b"content-length", b"%d" % len(text)),
                    (b"cache-control", b"no-store"),
                ],
            }
        )
        self._continue({"type": "http.response.body", "body": text})

    async def send(self, message: ASGISendEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"Expected 'http.response.start', got {message['type']!r}.")
            self._start(message)
        elif not self.response_complete:
            if message["type"] != "http.response.body":
                raise RuntimeError(f"Expected 'http.response.body', got {message['type']!r}.")
            self._continue(message)
        else:
            raise RuntimeError(f"Got {message['type']!r} after the response was complete.")

    def _start(self, message: HTTPResponseStartEvent) -> None:
        # A client told a final status instead of "continue" may or may not send its body: only closing is unambiguous.
        head = response_head(
            message["status"],
            message.get("headers", ()),
            self.connection.server_state.default_headers,
            method=self.scope["method"],
            version=self.scope["http_version"],
            keep_alive=self.keep_alive and not self.waiting_for_100_continue,
        )
        self._head = head
        self.keep_alive = head.keep_alive
        self._left_bytes = head.length or 0
        self.waiting_for_100_continue = False
        self.response_started = True
        self.transport.write(head.data)

    def _continue(self, message: HTTPResponseBodyEvent) -> None:
        body = message.get("body", b"")
        more_body = message.get("more_body", False)
        head = self._head
        if head.bodiless:
            pass
        elif head.chunked:
            if body:
                end = b"\r\n" if more_body else b"\r\n0\r\n\r\n"
                self.transport.write(b"".join((b"%x\r\n" % len(body), body, end)))
            elif not more_body:
                self.transport.write(b"0\r\n\r\n")
        else:
            if head.length is not None:
                self._left_bytes -= len(body)
                if self._left_bytes < 0 or (self._left_bytes and not more_body):
                    raise RuntimeError("The response body is not as long as its Content-Length.")
            if body:
                self.transport.write(body)
        if not more_body:
            self.response_complete = True
            self._wake()
            self.connection.exchange_finished(self)

    async def receive(self) -> ASGIReceiveEvent:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.connection.restart_clock()
        while True:
            if self.disconnected or (self.response_complete and self.tunnel is None):
                return {"type": "http.disconnect"}
            if self._pieces or not (self.more_body or self._end_told):
                break
            self.connection.resume_reading_for(self)
            if self._changed is None:
                self._changed = asyncio.Event()
            self._changed.clear()
            await self._changed.wait()
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._pieces_bytes = 0
        self._end_told = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def tunnel_opened(self) -> None:
        """The application answers with raw bytes from here on; the exchange is over, the connection is not."""
        if self.response_started:
            raise RuntimeError("A response has begun; the tunnel cannot be opened.")
        self.response_started = self.response_complete = True
        self.connection.tunnel_opened()
