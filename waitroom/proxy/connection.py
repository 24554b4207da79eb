"""One HTTP/1.1 connection to the backend: bytes in, one answer at a time out.

Life of a connection: `begin` an exchange, `write` the request, `wait` until something has arrived, read `status` and
`headers` once `head_done`, `take` the body until `complete`; then the pool either keeps it (`reusable`) or aborts it.
One coroutine, or whoever is called (`watcher`), reads; nothing here awaits but `wait` and `drain`, so nothing races.

The parser is llhttp in its strict mode (httptools). What it lets through and we do not: transfer codings other than
chunked, versions other than 1.0 and 1.1, statuses above 599, a 101 nobody asked for, long header blocks, and anything
after the end of the answer: that is never shown to a visitor, and the connection is not used again. It knows no HEAD:
its view of such an answer's body is ignored, and a fresh parser is made for the next.

Back-pressure: once BODY_HIGH_WATER_BYTES wait to be taken, reading stops until somebody waits for more; so as long as
what was taken is on its way to a slow visitor, nothing more is held. What the backend does not take at once is as much
as one call of `write` brought: `write_paused` says so from the first byte.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, cast

import httptools

from waitroom.errors import BackendError, BackendTimeout
from waitroom.proxy.failures import BadAnswer, Vanished
from waitroom.proxy.headers import HOP_BY_HOP, Header, connection_tokens, without_listed
from waitroom.read_buffer import NEXT_READ_BUFFER, NEXT_READ_BYTES, READ_BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_LIMIT_BYTES = 64 * 1024
BODY_HIGH_WATER_BYTES = NEXT_READ_BYTES // 2

_KEEP_ALIVE = (b"keep-alive",)
_LOOKED_AT = HOP_BY_HOP | {b"content-length"}


class BackendConnection(asyncio.BufferedProtocol):
    """A connection, made by a pool, which is told by `closed` when it has ended."""

    __slots__ = (
        "_body_expected",
        "_buffered_bytes",
        "_chunks",
        "_closed",
        "_codings",
        "_connection",
        "_drain_waiter",
        "_ended_by_backend",
        "_fresh",
        "_head_fed_bytes",
        "_is_head",
        "_loop",
        "_loose_bytes",
        "_parser",
        "_pass_on",
        "_quiet_since",
        "_raw_data",
        "_raw_end",
        "_raw_writable",
        "_reading_paused",
        "_surplus",
        "_transport",
        "_until_close",
        "_upgrade",
        "_upgrading",
        "_waiter",
        "_write_backlog_bytes",
        "busy",
        "complete",
        "continued",
        "failure",
        "got_bytes",
        "head_done",
        "headers",
        "holds_slot",
        "idle_since",
        "keep_alive",
        "lost",
        "request_sent",
        "status",
        "switched",
        "uses",
        "watcher",
        "write_paused",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, closed: Callable[[BackendConnection], None]) -> None:
        self._loop = loop
        self._closed = closed
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pass_on: Callable[[bytes], bool] | None = None
        self.watcher: Callable[[], None] | None = None
        """Called whenever `wait` would end, instead."""
        self._drain_waiter: asyncio.Future[None] | None = None
        self._raw_data: Callable[[bytes], None] | None = None
        self._raw_end: Callable[[], None] | None = None
        self._raw_writable: Callable[[], None] | None = None
        self._chunks: list[bytes] = []
        self._reading_paused = False
        self._ended_by_backend = False
        self.holds_slot = True
        self.idle_since = 0.0
        self.uses = 0
        self.lost = False
        self.write_paused = False
        self.busy = False
        self.failure: BackendError | None = None
        self._clear(method="")
        # Never used is as good as used and read to the end.
        self.complete = self.keep_alive = self.request_sent = True

    def __repr__(self) -> str:
        state = "lost" if self.lost else "busy" if self.busy else "idle"
        return f"<BackendConnection {state}, used {self.uses}×>"

    # --- the exchange ---

    def begin(self, method: str, *, upgrading: bool = False) -> None:
        """Start over for the answer to one request."""
        self.uses += 1
        self.busy = True
        self._clear(method, upgrading)
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)

    def _clear(self, method: str, upgrading: bool = False) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.head_done = self.complete = self.switched = self.continued = False
        self.got_bytes = False
        self.request_sent = False
        self.keep_alive = False
        self.failure = None
        self._is_head = method == "HEAD"
        self._upgrading = upgrading
        self._surplus = self._until_close = self._body_expected = False
        self._connection: tuple[bytes, ...] = ()
        self._codings: tuple[bytes, ...] = ()
        self._upgrade = b""
        self._buffered_bytes = self._head_fed_bytes = self._loose_bytes = 0
        self._fresh = True
        self._quiet_since = 0.0
        self._write_backlog_bytes = 0

    def write(self, data: bytes) -> None:
        """Send bytes of the request; see `write_paused` and `drain`."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Until the backend has taken enough of what was written, or is gone."""
        while self.write_paused and not self.lost:
            self._drain_waiter = self._loop.create_future()
            await self._drain_waiter

    def wait(self, pass_on: Callable[[bytes], bool] | None = None) -> asyncio.Future[None]:
        """To be awaited: until something has changed: the head, more body, the end, a 100 Continue or a failure.

        Reading goes on if it was stopped. Parts of a body that are not the last go to `pass_on`, if there is one, and
        end the wait, and the reading, only when it says that it can take no more.
        """
        if self._reading_paused:
            self.resume_reading()
        self._pass_on = pass_on
        self._waiter = self._loop.create_future()
        return self._waiter

    def take(self) -> bytes:
        """All of the body that has arrived and was not taken yet. It does not make reading go on: `wait` does."""
        chunks = self._chunks
        if not chunks:
            return b""
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered_bytes = 0
        return body

    def fail(self, error: BackendError) -> None:
        """End the exchange with an error, and the connection with it; the first error stays."""
        if self.failure is None and not self.complete:
            self.failure = error
        self._wake()
        self.abort()

    def finish(self) -> None:
        """The exchange is over; `reusable` says what can become of the connection."""
        self.busy = False

    @property
    def reusable(self) -> bool:
        """A whole answer has been read, nothing is left over on either side, and the backend keeps the connection."""
        transport = self._transport
        return (
            self.complete
            and self.keep_alive
            and self.request_sent
            and not (self._surplus or self._until_close or self.switched or self.lost)
            and self.failure is None
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    @property
    def alive(self) -> bool:
        """As far as the event loop has been told."""
        return not self.lost and self._transport is not None and not self._transport.is_closing()

    def nothing_to_read(self) -> bool:
        """As far as the kernel knows: False for an idle connection that the backend has closed or written to.

        A system call, so only for requests that must not be repeated.
        """
        if not self.alive or self._transport is None:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def check_time(self, now: float, limit_seconds: float) -> None:
        """Fail when the backend has owed us something, an answer or taking the request, for too long.

        Time in which the visitor is the slow one, sending or reading, does not count.
        """
        backlog_bytes = self._transport.get_write_buffer_size() if self._transport is not None else 0
        moved = self._fresh or backlog_bytes < self._write_backlog_bytes
        owed = self.busy and not self.complete and not self._reading_paused and (self.request_sent or backlog_bytes)
        self._fresh = False
        self._write_backlog_bytes = backlog_bytes
        if moved or not owed:
            self._quiet_since = now
        elif now - self._quiet_since >= limit_seconds:
            what = "took no byte of the request" if backlog_bytes else "sent no byte"
            self.fail(BackendTimeout(f"the backend {what} for {limit_seconds:g} s"))

    # --- after a 101 ---

    def tunnel(
        self, on_data: Callable[[bytes], None], on_end: Callable[[], None], on_writable: Callable[[], None]
    ) -> None:
        """From here on bytes are passed on as they come; what came already is given at once."""
        self._raw_data, self._raw_end, self._raw_writable = on_data, on_end, on_writable
        early = self.take()
        self.resume_reading()
        if early:
            on_data(early)
        if self.lost:
            on_end()

    def write_eof(self) -> None:
        """Nothing more will be written. Over TLS there is no half-close: the connection ends."""
        if self._transport is None or self.lost:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # --- transport ---

    @property
    def reading_paused(self) -> bool:
        """Nothing more is read, for what has been read is not taken."""
        return self._reading_paused

    def pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._reading_paused = False

    def abort(self) -> None:
        """End at once; the pool hears of it when the loop has closed the socket."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)
        if not self.holds_slot:  # the connect was cancelled in this very turn of the loop
            self.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return NEXT_READ_BUFFER if self.head_done else READ_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        data = READ_BUFFER[:nbytes]
        if self._raw_data is not None:
            self._raw_data(bytes(data))
            return
        if not self.busy:  # nobody asked: whatever it is, no later request may get it as its answer
            self.abort()
            return
        self.got_bytes = self._fresh = True
        if self.switched:
            self._keep(bytes(data))
        else:
            self._parse(data)
        if self.head_done or self.continued or self.failure is not None:
            self._wake()
        if self._buffered_bytes >= BODY_HIGH_WATER_BYTES and (self.switched or not self.complete):
            self.pause_reading()

    def eof_received(self) -> bool | None:
        self._ended_by_backend = True
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._parser = None
        if self._raw_end is not None:
            self._raw_end()
        elif self.busy and not self.complete:
            if self._until_close and self._ended_by_backend and exc is None:
                self.complete = True
            elif self.failure is None:
                where = "in the middle of its answer" if self.got_bytes else "before any answer"
                self.failure = Vanished(f"the backend closed the connection {where}")
        self._wake()
        self._wake_writer()
        self._closed(self)

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        self._wake_writer()
        if self._raw_writable is not None:
            self._raw_writable()

    def _wake(self) -> None:
        if self.watcher is not None:
            self.watcher()
            return
        waiter = self._waiter
        if waiter is None:
            return
        if self._pass_on is not None and self._chunks and not self.complete and self.failure is None:
            if self._pass_on(self.take()):
                return
            self.pause_reading()
        self._waiter = None
        if not waiter.done():
            waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    def _keep(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered_bytes += len(data)

    # --- parser ---

    def _parse(self, data: memoryview) -> None:
        if self._parser is None:  # the answer to a HEAD ended with its head
            self._surplus = True
            return
        if not self.head_done:
            self._head_fed_bytes += len(data)
        buffered_bytes = self._buffered_bytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switch:
            self._parser = None
            if self.switched:
                rest = data[switch.args[0] :]
                if rest:
                    self._keep(bytes(rest))
        except httptools.HttpParserError as error:
            self._parser = None
            if self.complete:
                self._surplus = True
            else:
                cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
                self.fail(cause if isinstance(cause, BackendError) else BadAnswer(f"not an HTTP answer: {error}"))
        else:
            if not self.head_done and self._head_fed_bytes > HEAD_LIMIT_BYTES:
                self.fail(_head_too_long())
            elif self.complete:
                if self._is_head:
                    self._parser = None
            elif self._buffered_bytes != buffered_bytes:
                self._loose_bytes = 0
            else:
                self._loose_bytes += len(data)
                if self._loose_bytes > HEAD_LIMIT_BYTES:  # the parser keeps a trailer until it is whole
                    self.fail(BadAnswer(f"the backend sent {HEAD_LIMIT_BYTES} bytes that are no part of a body"))

    def on_message_begin(self) -> None:
        if self.complete:
            raise BadAnswer("the backend sent more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        value = value.rstrip(b" \t")  # llhttp leaves what stands behind a value to us
        if name not in _LOOKED_AT:
            if not self.head_done:  # else a trailer: dropped, for a field after the body may not act as one before it
                self.headers.append((name, value))
        elif not self.head_done:
            if name == b"content-length":
                self.headers.append((name, value))
                self._body_expected = True
            elif name == b"connection":
                self._connection += (value,)
            elif name == b"transfer-encoding":
                self._codings += (value,)
            elif name == b"upgrade":
                self._upgrade = value

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        assert self._parser is not None
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in {"1.1", "1.0"} or status > 599:
            raise BadAnswer(f"the backend answered with HTTP/{version} and status {status}")
        if self._head_fed_bytes > HEAD_LIMIT_BYTES and self._head_size() > HEAD_LIMIT_BYTES:
            raise _head_too_long()
        if status < 200 and status != 101:
            self.continued = self.continued or status == 100
            self.headers.clear()
            self._connection = self._codings = ()
            self._body_expected = False
            return
        if self._codings and [coding.lower() for coding in self._codings] != [b"chunked"]:
            raise BadAnswer("the backend used a transfer coding other than chunked")
        if status == 101:
            asked = self._upgrading and self._upgrade.lower() == b"websocket"
            if not asked or not self._parser.should_upgrade():
                raise BadAnswer("the backend switched protocols without being asked")
            self.switched = True
        self.keep_alive = version == "1.1"
        connection = self._connection
        if connection == _KEEP_ALIVE:
            self.keep_alive = True
        elif connection:
            self.headers = without_listed(self.headers, connection)
            tokens = connection_tokens(connection)
            self.keep_alive = b"close" not in tokens and (self.keep_alive or b"keep-alive" in tokens)
        if self._codings and version == "1.0":
            self.keep_alive = False  # RFC 9112 §6.1: its framing is faulty, so nothing may follow it
        if self.keep_alive and not self._is_head and not self._parser.should_keep_alive():
            self.keep_alive = False  # llhttp listens to Proxy-Connection too, and would take no other answer
        self.status = status
        self.head_done = True
        if self._is_head or self.switched:
            self.complete = True
        elif not (self._body_expected or self._codings or status in {204, 304}):
            self._until_close = True

    def on_body(self, body: bytes) -> None:
        if self.complete:
            self._surplus = True
            return
        self._chunks.append(body)
        self._buffered_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.head_done:
            self.complete = True

    def _head_size(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers)


def _head_too_long() -> BadAnswer:
    return BadAnswer(f"the backend's header block is longer than {HEAD_LIMIT_BYTES} bytes")
