"""uvicorn's httptools protocol with what an edge needs: deadlines, limits, strict request heads, raw tunnels.

A connection reads requests (`request_reader`), has an exchange with the application about each, one after another
(`exchange`), and gives the client a deadline wherever it is the client's turn (`deadlines`).

**One timer.** A wake-up is never further away than the shortest of all limits, so a deadline, which is set at
least that far ahead, is always met exactly although no request ever sets or cancels a timer.

What cannot be answered by the application is answered here, from one table (`refusals`), in plain text, and the
connection is closed. Nothing a client sent is written to the log.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from waitroom.gateway.deadlines import TIMER_GRAIN_SECONDS, Deadline, Phase, UnreadAnswer
from waitroom.gateway.exchange import Exchange
from waitroom.gateway.refusals import WRITE_STALL, RequestRefused, refusal_response
from waitroom.gateway.request_reader import RequestReader
from waitroom.gateway.tunnel import ClientTunnel
from waitroom.read_buffer import READ_BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn._types import ASGI3Application, ASGIVersions, HTTPScope

    from waitroom.gateway.request_head import RequestHead

# Module globals: the data path compares these for every read.
_NEW, _HEADER, _BODY, _BUSY, _IDLE, _TUNNEL, _DISCARD = Phase


@dataclass(frozen=True, slots=True)
class ProtocolLimits:
    """What one client may take: time in seconds, sizes in bytes."""

    first_byte_seconds: float = 10.0
    header_seconds: float = 10.0
    body_rate_bytes_per_second: float = 500.0
    body_grace_seconds: float = 5.0
    body_stall_seconds: float = 30.0
    write_stall_seconds: float = 60.0
    linger_seconds: float = 5.0
    header_bytes: int = 65_536
    header_fields: int = 100
    header_line_bytes: int = 8_192
    request_line_bytes: int = 8_192
    connections_per_network: int | None = None

    @property
    def shortest_seconds(self) -> float:
        return min(
            self.first_byte_seconds,
            self.header_seconds,
            self.body_grace_seconds,
            self.body_stall_seconds,
            self.write_stall_seconds,
            self.linger_seconds,
        )


class _BoundedReads(asyncio.BufferedProtocol):
    """Stands between the transport and the protocol, which as uvicorn's child is not a BufferedProtocol itself."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: GatewayProtocol) -> None:
        self._protocol = protocol

    def get_buffer(self, sizehint: int) -> memoryview:
        return READ_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(READ_BUFFER[:nbytes])

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)


def _ignore(reason: str) -> None:
    """Count nothing."""


class GatewayProtocol(HttpToolsProtocol):
    """One connection of a client. Made by uvicorn, so what it is to know of its surroundings are class attributes."""

    # With these in its dictionary a connection would take 1 kB more.
    __slots__ = (
        "_asgi",
        "_counted_by",
        "_deadline",
        "_raw_root_path",
        "_reader",
        "_running",
        "_step_seconds",
        "_stopping",
        "_timer",
        "_tunnel",
        "_unread",
    )

    limits: ClassVar[ProtocolLimits] = ProtocolLimits()
    on_refused: ClassVar[Callable[[str], None]] = staticmethod(_ignore)
    set_out: ClassVar[Callable[[Exchange], bool] | None] = None
    network_of: ClassVar[Callable[[str], str]] = staticmethod(str)
    open_from: ClassVar[dict[str, int]] = {}
    """Open connections of this process by network."""

    cycle: Exchange

    # From the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the parent has it
        super().connection_made(transport)
        transport.set_protocol(_BoundedReads(self))
        transport.set_write_buffer_limits(high=0)  # what the kernel does not take at once is all that waits here
        self.parser = None  # type: ignore[assignment]  # the reader has its own
        self._reader = RequestReader(self, self.limits)
        self._running: Exchange | None = None
        self._tunnel: ClientTunnel | None = None
        self._stopping = False
        self._asgi: ASGIVersions = {"version": self.asgi_version, "spec_version": "2.3"}
        self._raw_root_path = self.root_path.encode("ascii")
        now = self.loop.time()
        self._deadline = Deadline(self.limits, self.timeout_keep_alive, now)
        self._unread = UnreadAnswer(self.limits.write_stall_seconds)
        self._step_seconds = max(min(self.limits.shortest_seconds, self.timeout_keep_alive), 0.01)
        self._timer = self.loop.call_at(now + self._step_seconds, self._look)
        self._counted_by = ""
        if self.limits.connections_per_network is not None and self.client is not None:
            self._count(self.limits.connections_per_network, type(self).network_of(self.client[0]))

    def _count(self, most: int, network: str) -> None:
        """Count the connection, or refuse it when its network has enough."""
        known = type(self).open_from
        if network and known.get(network, 0) >= most:
            self._refuse("connections")
        elif network:
            known[network] = known.get(network, 0) + 1
            self._counted_by = network

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self._timer.cancel()
        if self._counted_by:
            known = type(self).open_from
            known[self._counted_by] -= 1
            if not known[self._counted_by]:
                del known[self._counted_by]
        for exchange in {self.cycle, self._running, *(waiting for waiting, _ in self.pipeline)}:
            if exchange is not None:
                exchange.disconnect()  # type: ignore[attr-defined]  # the pipeline holds nothing but ours
        self.pipeline.clear()
        self.flow.resume_writing()
        if self._tunnel is not None:
            self._tunnel.lose()
        # What is over is let go of: a circle would stand in memory until the collector comes by, which is seldom.
        self.cycle = self._running = self._tunnel = None  # type: ignore[assignment]
        self._reader.close()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # the parent never keeps it open
        if self._deadline.phase is _TUNNEL and self._tunnel is not None:
            # A TLS transport cannot stay half open.
            return self._tunnel.end() and self.scheme == "http"
        return None

    def data_received(self, data: memoryview) -> None:  # type: ignore[override]  # it is overwritten by the next read
        deadline = self._deadline
        if deadline.phase is _TUNNEL:
            cast("ClientTunnel", self._tunnel).feed(bytes(data))
            return
        if deadline.phase is _DISCARD:
            return
        try:
            rest = self._reader.feed(data)
        except RequestRefused as refused:
            self._refuse(refused.reason)
            return
        if rest:
            cast("ClientTunnel", self._tunnel).feed(rest)
        phase = deadline.phase
        # Empty lines may come before a request; when nothing else is going on, they have its deadline too.
        if phase is not _HEADER and (self._reader.in_head or phase is _NEW or phase is _IDLE):
            deadline.enter(_HEADER)
        if deadline.unset:
            self.restart_clock()

    def shutdown(self) -> None:
        self._stopping = True
        super().shutdown()

    # From the reader

    def request_came(self, head: RequestHead) -> None:
        previous = self.cycle
        exchange = self.cycle = Exchange(self, head)
        if head.is_websocket:
            self._tunnel = exchange.tunnel = ClientTunnel(self.transport, self.flow, self.loop, exchange.tunnel_opened)
        if head.plain:  # it is whole, so the steps of a body are spared
            exchange.more_body = False
            self._deadline.enter(_BUSY)
        else:
            self._deadline.enter(_BODY)
        app = self.app
        if self.limit_concurrency is not None and max(len(self.connections), len(self.tasks)) >= self.limit_concurrency:
            app = service_unavailable
        if previous is None or previous.response_complete:
            self._begin(exchange, app)
        else:
            self.pause_reading()
            self.pipeline.appendleft((exchange, app))

    def _scope(self, exchange: Exchange) -> HTTPScope:
        head = exchange.request
        extensions: dict[str, Any] = {
            "waitroom.target": head.target,
            "waitroom.body_in_start": True,
            "waitroom.pass_on": exchange.pass_on,
        }
        if exchange.tunnel is not None:
            extensions["waitroom.tunnel"] = exchange.tunnel
        if exchange.decision is not None:
            extensions["waitroom.decision"] = exchange.decision
        if exchange.trip is not None:
            extensions["waitroom.trip"] = exchange.trip
            exchange.trip = None
        return {
            "type": "http",
            "asgi": self._asgi,
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": self.root_path,
            "method": head.method,
            "path": self.root_path + head.decoded_path(),
            "raw_path": self._raw_root_path + head.path,
            "query_string": head.query,
            "headers": head.headers,
            "state": self.app_state.copy(),
            "extensions": extensions,
        }

    def body_came(self, body: bytes) -> None:
        exchange = self.cycle
        if exchange.waiting_for_100_continue:  # it did not wait
            exchange.waiting_for_100_continue = False
            self._deadline.restart()
        else:
            self._deadline.body_came(len(body), self.loop.time())
        exchange.add_body(body)

    def request_ended(self) -> None:
        exchange = self.cycle
        if exchange.more_body:
            exchange.end_body()
            self._deadline.enter(_BUSY if exchange.tunnel is None else _TUNNEL)

    # From an exchange

    def _begin(self, exchange: Exchange, app: ASGI3Application) -> None:
        self._running = exchange
        set_out = type(self).set_out
        if set_out is None or app is not self.app or not exchange.request.plain or not set_out(exchange):
            self.run(exchange, app)

    def run(self, exchange: Exchange, app: ASGI3Application) -> None:
        """Let the application answer."""
        # Named, or asyncio makes up a name each time.
        running = exchange.run_asgi(app, self._scope(exchange))
        exchange.task = task = asyncio.Task(running, loop=self.loop, name="request")
        self.tasks.add(task)

    def exchange_finished(self, exchange: Exchange) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or exchange.more_body:
            # Closing with bytes unread would reset the connection, and the answer could be lost with it.
            self._close(linger=self._deadline.phase is not _BUSY)
        elif self.pipeline:
            following, app = self.pipeline.pop()
            self._begin(cast("Exchange", following), app)
            if not self.pipeline:
                self._resume_reading()
        else:
            self._resume_reading()
            if self._deadline.phase is _BUSY:
                self._deadline.enter_idle(self.loop.time())

    def tunnel_opened(self) -> None:
        self.server_state.total_requests += 1
        if self._stopping:
            self.loop.call_soon(self.transport.close)

    def break_off(self) -> None:
        """Cut the connection so that the client cannot take what it got for the whole: with a reset, not an end."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._running is not None:
            self._running.writing_resumed()

    def pause_reading(self) -> None:
        self.flow.pause_reading()
        self._deadline.pause()

    def resume_reading_for(self, exchange: Exchange) -> None:
        """The application wants more of this request; another one read behind it would wait in memory."""
        if exchange is self.cycle:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if self.flow.read_paused and not self.transport.is_closing():
            self.flow.resume_reading()
            self.restart_clock()

    # Time

    def restart_clock(self) -> None:
        """Give the phase its full time from now, if it is the client's turn at all."""
        deadline = self._deadline
        if self.flow.read_paused or (deadline.phase is _BODY and self.cycle.waiting_for_100_continue):
            deadline.stop()
        else:
            deadline.start(self.loop.time())

    def _look(self) -> None:
        """The one timer: is anything overdue?"""
        now = self.loop.time()
        if self._deadline.is_over(now):
            self._overdue()
        adding = not (self.flow.write_paused or self.transport.is_closing())
        if self._unread.is_over(None if adding else self.transport.get_write_buffer_size(), now):
            type(self).on_refused(WRITE_STALL)
            self.transport.abort()
        soonest = min(self._deadline.at, self._unread.at, now + self._step_seconds)
        self._timer = self.loop.call_at(max(soonest, now + TIMER_GRAIN_SECONDS), self._look)

    def _overdue(self) -> None:
        phase = self._deadline.phase
        if phase is _NEW:
            self._refuse("first_byte_timeout", linger=False)
        elif phase is _HEADER:
            self._refuse("header_timeout")
        elif phase is _BODY:
            self._refuse("body_timeout")
        else:
            self._close(linger=False)

    # Endings

    def _refuse(self, reason: str, *, linger: bool = True) -> None:
        type(self).on_refused(reason)
        exchange = self.cycle
        answering = exchange is not None and not exchange.response_complete
        in_body = self._deadline.phase is _BODY
        if answering and in_body and exchange is not self._running:
            # Its body came behind a request that is still being answered: it never began.
            self.pipeline.popleft()
            exchange = self.cycle = cast("Exchange", self.pipeline[0][0] if self.pipeline else self._running)
            in_body = False
        if answering and not in_body:
            # An earlier request is still being answered: that answer is the last thing said here.
            exchange.keep_alive = False
            self._deadline.enter(_DISCARD)
            return
        if answering:
            exchange.disconnect()
            if exchange.response_started:
                self.break_off()
                return
        self.transport.write(refusal_response(reason, self.server_state.default_headers))
        self._close(linger=linger)

    def _close(self, *, linger: bool) -> None:
        """Close once all is written; with `linger`, go on reading for a while so that what was written arrives."""
        self._deadline.enter(_DISCARD)
        if linger and self.transport.can_write_eof():
            self.transport.write_eof()
            self._resume_reading()
            self._deadline.linger(self.loop.time())
        else:
            self.transport.close()


def protocol_class(
    limits: ProtocolLimits,
    on_refused: Callable[[str], None] | None = None,
    set_out: Callable[[Exchange], bool] | None = None,
    network_of: Callable[[str], str] = str,
) -> type[GatewayProtocol]:
    """The class for uvicorn's `Config(http=…)`.

    `on_refused` is called with one of REASONS for each refusal, `set_out` with each plain request: True if it sent it
    off by the direct way.
    `network_of` names the network of an address, by which connections are counted; "" for one that is not.
    """
    members = {
        "__slots__": (),
        "limits": limits,
        "on_refused": staticmethod(on_refused or _ignore),
        "network_of": staticmethod(network_of),
        "open_from": {},
        "set_out": None if set_out is None else staticmethod(set_out),
    }
    return type("BoundGatewayProtocol", (GatewayProtocol,), members)
