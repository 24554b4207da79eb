"""The connections to the backend: how many, who gets which, who waits.

A slot is a connection that is open or being opened; there are never more than `most_slots`. It is freed in one place
only, when its connection has really ended (`_ended`), so no way of leaving a request, cancelling it included, can
lose one. A freed slot or a returned connection goes straight to the one who has waited longest, so nobody overtakes.
The connection used last is used next: in quiet times the rest grow old and are closed.

A request whose body is not here yet holds its connection for as long as the visitor likes, within the body's time
limits. So only UPLOADS_SHARE of the connections are for those, and however many there are, the rest serves all others.

A connection also stands still while its visitor does not read. Then it is work for the backend no more, and is not
counted: up to `pool_size` more may be open for that, so that slow readers keep nobody else waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from waitroom.errors import BackendBusy, BackendTimeout
from waitroom.proxy.connection import BackendConnection
from waitroom.proxy.failures import Unreachable

if TYPE_CHECKING:
    import ssl

    from waitroom.proxy.observer import ProxyObserver
    from waitroom.proxy.options import Origin, ProxyOptions


UPLOADS_SHARE = 3 / 4


class ConnectionPool:
    """Connections to one backend, within one event loop."""

    def __init__(
        self, options: ProxyOptions, origin: Origin, tls: ssl.SSLContext | None, observer: ProxyObserver
    ) -> None:
        self._options = options
        self._origin = origin
        self._tls = tls
        self._observer = observer
        self._idle: list[BackendConnection] = []
        self._open: set[BackendConnection] = set()
        self._waiters: OrderedDict[asyncio.Future[BackendConnection | None], None] = OrderedDict()
        self._uploads = asyncio.Semaphore(self.most_uploads)
        self._slots = 0
        self._standing_still = 0
        self._now = 0.0
        self.answered_at = 0.0
        """When the last whole answer came, to a quarter of a second, by the clock of `sweep`."""
        self._closing = False
        self._emptied: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<ConnectionPool {self.slots} of {self._options.pool_size}: {self.idle} idle, {self.waiting} waiting>"

    @property
    def most_uploads(self) -> int:
        """How many requests whose body is not here yet may have a connection at once."""
        return max(1, int(self._options.pool_size * UPLOADS_SHARE))

    @property
    def most_slots(self) -> int:
        """How many connections there may be, going by how many stood still at the last sweep."""
        return self._options.pool_size + min(self._standing_still, self._options.pool_size)

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    async def begin_upload(self) -> None:
        """To be awaited before a connection is taken for a request whose body is not here yet.

        Raises BackendBusy after pool_wait_seconds.
        """
        if not self._uploads.locked():
            await self._uploads.acquire()
            return
        limit_seconds = self._options.pool_wait_seconds
        since = time.monotonic()
        try:
            async with asyncio.timeout(limit_seconds):
                await self._uploads.acquire()
        except TimeoutError:
            raise BackendBusy(
                f"all {self.most_uploads} connections for requests whose body is on its way were in use for "
                f"{limit_seconds:g} s"
            ) from None
        finally:
            self._observer.connection_awaited(time.monotonic() - since)

    def end_upload(self) -> None:
        """The body has been sent, or nobody wants it any more: the next may begin."""
        self._uploads.release()

    def take(self) -> BackendConnection | None:
        """The idle connection used last, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
        return None

    async def acquire(self, *, fresh: bool = False) -> BackendConnection:
        """A connection: an idle one unless `fresh`, else a new one, when need be after waiting for a slot.

        Raises BackendBusy after pool_wait_seconds without one, Unreachable or BackendTimeout when the backend cannot
        be connected to.
        """
        if self._closing:
            raise BackendBusy("the proxy is stopping")
        if not fresh:
            connection = self.take()
            if connection is not None:
                return connection
        if self._slots < self.most_slots:
            self._change_slots(1)
        else:
            if self._idle:
                self._idle.pop(0).abort()
            handed = await self._wait()
            if handed is not None:
                return handed
        return await self._connect()

    def release(self, connection: BackendConnection) -> None:
        """Give a connection back: it is kept for the next if it can be, else ended."""
        if connection.complete and connection.alive:
            self.answered_at = self._now
        connection.finish()
        if not connection.reusable or self._closing:
            connection.abort()
            return
        waiter = self._next_waiter() if self._waiters else None
        if waiter is not None:
            waiter.set_result(connection)
        elif self._slots > self.most_slots:
            connection.abort()
        else:
            connection.idle_since = self._now
            self._idle.append(connection)

    def sweep(self, now: float) -> None:
        """Fail what the backend keeps waiting, make up for what stands still, and close what has been idle too long.

        `now` is the loop's time, and what counts as now until the next call.
        """
        self._now = now
        for connection in tuple(self._open):
            connection.check_time(now, self._options.read_timeout_seconds)
        self._standing_still = sum(connection.reading_paused for connection in self._open)
        while self._slots < self.most_slots and (waiter := self._next_waiter()) is not None:
            self._change_slots(1)
            waiter.set_result(None)
        oldest_kept = now - self._options.idle_timeout_seconds
        while self._idle and self._idle[0].idle_since <= oldest_kept:
            self._idle.pop(0).abort()

    async def aclose(self) -> None:
        """End every connection, those in use too, and turn away who waits."""
        self._closing = True
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(BackendBusy("the proxy is stopping"))
        self._idle.clear()
        for connection in tuple(self._open):
            connection.abort()
        if self._slots:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    async def _wait(self) -> BackendConnection | None:
        """A connection of somebody who is done, or None for a slot to open one in."""
        waiter: asyncio.Future[BackendConnection | None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        limit_seconds = self._options.pool_wait_seconds
        since = time.monotonic()
        try:
            async with asyncio.timeout(limit_seconds):
                return await waiter
        except BaseException as error:
            self._take_back(waiter)
            if isinstance(error, TimeoutError):
                size = self._options.pool_size
                raise BackendBusy(f"all {size} connections were in use for {limit_seconds:g} s") from None
            raise
        finally:
            self._waiters.pop(waiter, None)
            self._observer.connection_awaited(time.monotonic() - since)

    def _take_back(self, waiter: asyncio.Future[BackendConnection | None]) -> None:
        """Nobody will look at this future any more; what it was handed goes to the next."""
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            waiter.cancel()
            return
        handed = waiter.result()
        if handed is None:
            self._free_slot()
        else:
            self.release(handed)

    def _next_waiter(self) -> asyncio.Future[BackendConnection | None] | None:
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                return waiter
        return None

    async def _connect(self) -> BackendConnection:
        """Open a connection in the slot that the caller holds."""
        loop = asyncio.get_running_loop()
        connection = BackendConnection(loop, self._ended)
        self._open.add(connection)
        host, port = self._origin.host, self._origin.port
        limit_seconds = self._options.connect_timeout_seconds
        try:
            async with asyncio.timeout(limit_seconds):
                await loop.create_connection(lambda: connection, host, port, ssl=self._tls)
        except BaseException as error:
            connection.abort()
            self._ended(connection)
            if isinstance(error, TimeoutError):
                raise BackendTimeout(f"no connection to {host}:{port} within {limit_seconds:g} s") from None
            if isinstance(error, OSError):
                raise Unreachable(f"no connection to {host}:{port}: {error}") from None
            raise
        return connection

    def _ended(self, connection: BackendConnection) -> None:
        if not connection.holds_slot:
            return
        connection.holds_slot = False
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def _free_slot(self) -> None:
        waiter = None if self._closing or self._slots > self.most_slots else self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self._change_slots(-1)

    def _change_slots(self, by: int) -> None:
        self._slots += by
        self._observer.connections_changed(self._slots)
        if self._emptied is not None and not self._slots and not self._emptied.done():
            self._emptied.set_result(None)
