"""The proxy as an ASGI app: one request there, one response back; it has never heard of rooms."""

from __future__ import annotations

import asyncio
import random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from waitroom.errors import BackendError, Refused
from waitroom.proxy.answers import is_navigation, own_answer
from waitroom.proxy.back_off import BackOff
from waitroom.proxy.direct import Trip
from waitroom.proxy.exchange import SWITCHING, Exchange
from waitroom.proxy.failures import CLIENT_CLOSED_REQUEST, ClientGone, ResponseBroken, kind_of
from waitroom.proxy.headers import RequestRewriter
from waitroom.proxy.observer import ProxyObserver, Unobserved
from waitroom.proxy.options import ProxyOptions, parse_origin, tls_context
from waitroom.proxy.pool import ConnectionPool
from waitroom.proxy.websocket import run_tunnel

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from waitroom.proxy.direct import Edit, Visitor
    from waitroom.proxy.exchange import Receive, Send
    from waitroom.proxy.headers import Header
    from waitroom.proxy.websocket import Tunnel

__all__ = ["Proxy", "ProxyObserver", "ProxyOptions", "ResponseBroken"]

SWEEP_SECONDS = 0.25
"""How often time limits are looked at. One timer for all, instead of one for each request."""


class Proxy:
    """An ASGI app for scopes of type http.

    The scope is what the gate hands over: `client` the immediate peer, `scheme` resolved, forwarding fields of
    untrusted peers removed. `extensions` may hold `waitroom.target`, the target's bytes as received, and
    `waitroom.tunnel`, a Tunnel, when the request asks for a WebSocket, and `waitroom.trip`, a Trip of `set_out` that
    could not be ended on the direct way.

    Raises ResponseBroken when an answer broke off after its head was sent.
    """

    def __init__(self, options: ProxyOptions, observer: ProxyObserver | None = None) -> None:
        origin = parse_origin(options.backend)
        self._options = options
        self._observer: ProxyObserver = observer or Unobserved()
        self._rewriter = RequestRewriter(origin, options.host_header, options.secret)
        tls = tls_context(options) if origin.scheme == "https" else None
        self.pool = ConnectionPool(options, origin, tls, self._observer)
        self._back_off = BackOff(random.uniform)
        self._live: set[Exchange] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None
        limits = (options.read_timeout_seconds, options.idle_timeout_seconds)
        self._sweep_seconds = min(SWEEP_SECONDS, *(limit / 4 for limit in limits))
        self._tunnels = 0

    def __repr__(self) -> str:
        return f"<Proxy to {self._options.backend}: {len(self._live)} requests, {self.pool!r}>"

    async def aclose(self) -> None:
        """Close all connections to the backend; requests in flight end with an error."""
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        await self.pool.aclose()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        extensions = scope.get("extensions") or {}
        trip: Trip | None = extensions.get("waitroom.trip")
        begun, started = (None, perf_counter()) if trip is None else (trip.hand_over(), trip.started)
        tunnel: Tunnel | None = extensions.get("waitroom.tunnel")
        target: bytes | None = extensions.get("waitroom.target")
        if target is None:
            query = scope["query_string"]
            target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        client = scope["client"]
        exchange: Exchange | None = None
        status = CLIENT_CLOSED_REQUEST
        try:
            request = self._rewriter.rewrite(
                method,
                target,
                scope["headers"],
                client[0] if client else None,
                scope["scheme"],
                scope["http_version"],
                may_upgrade=tunnel is not None,
            )
            exchange = Exchange(
                method,
                request,
                receive,
                send,
                self.pool,
                self._observer,
                self._options.body_limit_bytes,
                body_in_start="waitroom.body_in_start" in extensions,
                pass_on=extensions.get("waitroom.pass_on"),
                begun=begun,
            )
            self._live.add(exchange)
            if self._sweep_timer is None:
                self._start_sweep()
            await exchange.run()
            status = exchange.status
            if tunnel is not None and status == SWITCHING:
                self._observer.request_finished(method, status, perf_counter() - started)
                await self._tunnel(exchange, tunnel)
        except (BackendError, Refused) as raised:
            error = raised if exchange is None else exchange.error or raised
            if not isinstance(error, (BackendError, Refused)):
                raise error from None
            if not isinstance(error, ClientGone):
                status = error.status
                await self._fail(error, scope, exchange, send)
        except OSError:  # what ASGI servers may raise from `send` when the visitor has left
            status = CLIENT_CLOSED_REQUEST
        finally:
            if exchange is not None:
                self._live.discard(exchange)
                exchange.close()
            if status != SWITCHING:
                self._observer.request_finished(method, status, perf_counter() - started)

    def set_out(
        self,
        visitor: Visitor,
        method: str,
        target: bytes,
        headers: Sequence[Header],
        edit: Edit,
        peer: str | None,
        scheme: str,
        http_version: str,
    ) -> Trip | None:
        """Send a request without a body on an idle connection, and its answer to `visitor` by plain calls.

        None if that cannot be: nothing has happened then, and the request is to come as an ASGI request.
        """
        started = perf_counter()
        if not self.pool.idle:
            return None
        try:
            request = self._rewriter.rewrite(method, target, headers, peer, scheme, http_version)
        except Refused:
            return None
        connection = self.pool.take() if request.repeatable else None
        if connection is None:
            return None
        if self._sweep_timer is None:
            self._start_sweep()
        connection.begin(method)
        connection.write(request.head)
        connection.request_sent = True
        return Trip(visitor, method, connection, edit, self.pool, self._observer, started)

    async def _fail(
        self, error: BackendError | Refused, scope: MutableMapping[str, Any], exchange: Exchange | None, send: Send
    ) -> None:
        """Answer in our words, or, when the shop's answer has begun, break it off."""
        if isinstance(error, BackendError):
            self._observer.backend_failed(kind_of(error), error.reason)
        if exchange is not None and exchange.status:
            if isinstance(error, ResponseBroken):
                raise error
            raise ResponseBroken(error.reason) from error
        headers = scope["headers"]
        answer = own_answer(
            error,
            method=scope["method"],
            navigation=is_navigation(headers),
            sent=exchange is not None and exchange.sent,
            unread=exchange is None or not exchange.uploaded,
            retry_seconds=self._back_off.failed(asyncio.get_running_loop().time(), self.pool.answered_at),
        )
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _tunnel(self, exchange: Exchange, tunnel: Tunnel) -> None:
        self._live.discard(exchange)
        exchange.stop_watching()
        assert exchange.connection is not None
        self._count_tunnels(1)
        try:
            await run_tunnel(tunnel, exchange.connection)
        finally:
            self._count_tunnels(-1)

    def _count_tunnels(self, by: int) -> None:
        self._tunnels += by
        self._observer.tunnels_changed(self._tunnels)

    def _start_sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self.pool.sweep(loop.time())  # before the first connection grows idle: it tells the pool the time
        self._sweep_timer = loop.call_later(self._sweep_seconds, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for exchange in self._live:
            exchange.sweep()
        self._sweep_timer = None
        if self._live or self.pool.slots:
            self._start_sweep()
        else:
            self.pool.sweep(now)
