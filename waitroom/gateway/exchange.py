"""One request and its response: uvicorn's cycle with an ending that tells the truth.

An application sees it by ASGI's messages; on the direct way (`direct`) whoever carries the trip calls `answer` and
`go_on`. What is written to the client, and what is done when that fails, is the same.

A response that breaks is broken off, never ended; framing is ours, not the application's; and an application that
fails before it answers gives a plain 500 and one line in the log, without a word of the request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Protocol

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from waitroom.gateway.response_head import response_head
from waitroom.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPScope
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    from waitroom.gateway.decision import Decision
    from waitroom.gateway.direct import Trip
    from waitroom.gateway.request_head import RequestHead
    from waitroom.gateway.response_head import ResponseHead
    from waitroom.gateway.tunnel import ClientTunnel

log = logger("protocol")


class Connection(Protocol):
    """What an exchange needs of the connection it happens on."""

    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState
    tasks: set[asyncio.Task[None]]
    client: tuple[str, int] | None
    scheme: Literal["http", "https"] | None

    def run(self, exchange: Exchange, app: ASGI3Application) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading_for(self, exchange: Exchange) -> None: ...

    def restart_clock(self) -> None: ...

    def exchange_finished(self, exchange: Exchange) -> None: ...

    def tunnel_opened(self) -> None: ...

    def break_off(self) -> None: ...


class Exchange(RequestResponseCycle):
    """One request and its response."""

    # How every exchange begins; set on the object only where it changes.
    task: asyncio.Task[None]  # set when it begins to run
    tunnel: ClientTunnel | None = None
    trip: Trip | None = None
    """On the direct way; handed over to the application if it does not end there."""
    decision: Decision | None = None
    """What the gate decided when it could not let the request set out on the direct way; spares it doing so again."""
    disconnected = False
    more_body = True
    response_started = False
    response_complete = False
    _end_told = False
    _pieces: list[bytes] | None = None
    _pieces_bytes = 0
    _changed: asyncio.Event | None = None
    _head: ResponseHead  # set with response_started
    _otherwise: ASGI3Application  # set with trip
    _left_bytes = 0

    def __init__(self, connection: Connection, request: RequestHead) -> None:
        # The parent's __init__ is not called: it would make an Event per request; every method that reads it is ours.
        self.connection = connection
        self.request = request
        self.transport = connection.transport
        self.flow = connection.flow
        self.keep_alive = request.keep_alive
        self.waiting_for_100_continue = request.expects_continue

    # From the connection

    def add_body(self, body: bytes) -> None:
        if self._pieces is None:
            self._pieces = [body]
        else:
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
        self._leave()
        self._wake()

    def _leave(self) -> None:
        if self.trip is not None:
            self.trip.leave()
            self.trip = None

    def writing_resumed(self) -> None:
        if self.trip is not None:
            self.trip.resume()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    # From the direct way

    def set_out(self, trip: Trip, otherwise: ASGI3Application) -> None:
        """The answer will come by `trip`; `otherwise` is the application to which it is handed over if it does not."""
        self.trip = trip
        self._otherwise = otherwise

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, more_body: bool) -> None:
        """Begin the response, and end it unless there is more."""
        try:
            self._start(status, headers, body, more_body)
        except Exception as error:  # noqa: BLE001 - the same border as the application's
            self._leave()
            self._failed(error)

    def go_on(self, body: bytes, more_body: bool) -> None:
        """Write more of the body."""
        try:
            self._continue(body, more_body)
        except Exception as error:  # noqa: BLE001 - the same border as the application's
            self._leave()
            self._failed(error)

    def take_over(self) -> None:
        """Go on the ordinary way: the response has not begun."""
        self.connection.run(self, self._otherwise)

    def break_off(self) -> None:
        """The rest of the response will never come."""
        self.trip = None
        self.connection.break_off()

    # From the application

    async def run_asgi(self, app: ASGI3Application, scope: HTTPScope) -> None:  # type: ignore[override]  # it has one
        try:
            await app(scope, self.receive, self.send)
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
            # Not by a callback of the task, as the parent does: that is one more turn of the loop for every request.
            self.connection.tasks.discard(self.task)

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
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
            (b"cache-control", b"no-store"),
        ]
        self._start(500, headers, text, False)

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of the response, as ASGI has it; when more is to come, return once that can be written.

        Beyond ASGI, and offered in the scope as `waitroom.body_in_start`: the message that starts a response may bring
        `body` and `more_body` too, so that a response that is all there is one message and one write.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"Expected 'http.response.start', got {message['type']!r}.")
            more: Mapping[str, Any] = message
            headers = list(message.get("headers", ()))
            self._start(message["status"], headers, more.get("body"), more.get("more_body", False))
        elif not self.response_complete:
            if message["type"] != "http.response.body":
                raise RuntimeError(f"Expected 'http.response.body', got {message['type']!r}.")
            self._continue(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"Got {message['type']!r} after the response was complete.")
        if self.flow.write_paused and not (self.response_complete or self.disconnected):
            await self.flow.drain()

    def pass_on(self, body: bytes) -> bool:
        """Write a part of the body, not the last, without a message; whether more can be written at once.

        Beyond ASGI too, and offered in the scope as `waitroom.pass_on`, for once the response has begun: what comes in
        many parts needs no turn of the event loop for each. After False, the next `send` returns when there is room.
        """
        if not self.disconnected:
            self._continue(body, True)
        return not self.flow.write_paused

    def _start(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes | None, more_body: bool) -> None:
        """Write the head of the response and, unless that comes later, the body as far as it is there."""
        # A client told a final status instead of "continue" may or may not send its body: only closing is unambiguous.
        head = response_head(
            status,
            headers,
            self.connection.server_state.default_headers,
            self.request.method,
            self.request.version,
            self.keep_alive and not self.waiting_for_100_continue,
        )
        self._head = head
        self.keep_alive = head.keep_alive
        self._left_bytes = head.length or 0
        self.waiting_for_100_continue = False
        self.response_started = True
        if body is None:
            self.transport.write(head.data)
        else:
            self._continue(body, more_body, head.data)

    def _continue(self, body: bytes, more_body: bool, before: bytes = b"") -> None:
        """Write a part of the body, with what is to go `before` it in the same breath."""
        head = self._head
        if head.bodiless:
            body = b""
        elif head.chunked:
            if body:
                end = b"\r\n" if more_body else b"\r\n0\r\n\r\n"
                body = b"".join((b"%x\r\n" % len(body), body, end))
            elif not more_body:
                body = b"0\r\n\r\n"
        elif head.length is not None:
            self._left_bytes -= len(body)
            if self._left_bytes < 0 or (self._left_bytes and not more_body):
                raise RuntimeError("The response body is not as long as its Content-Length.")
        if before or body:
            self.transport.write(before + body)
        if not more_body:
            self.response_complete = True
            self.trip = None
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
        body = b"".join(self._pieces or ())
        self._pieces = None
        self._pieces_bytes = 0
        self._end_told = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def tunnel_opened(self) -> None:
        """The application answers with raw bytes from here on; the exchange is over, the connection is not."""
        if self.response_started:
            raise RuntimeError("A response has begun; the tunnel cannot be opened.")
        self.response_started = self.response_complete = True
        self.connection.tunnel_opened()
