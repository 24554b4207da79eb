"""One request on its way to the backend and the answer on its way back.

The coroutine that the server runs for the request does the work. A second task (`_inbound`) exists only where one is
needed: to carry a body that is not all here yet, and to notice that the visitor has left. For a request without a
body the sweep starts it when the answer is still not through after one or two sweeps, so quick requests need none.

When may a request be sent again? Only if the connection had served before (so that the backend may have closed it
unasked), no byte of an answer came, and either no byte of the request was written or repeating it is harmless: an
idempotent method without a body. Once, on a new connection. Never after a time-out: the backend may be at work on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from waitroom.errors import BackendError, Refused
from waitroom.proxy.failures import CLIENT_CLOSED_REQUEST, ClientGone, ResponseBroken, Vanished
from waitroom.proxy.headers import CHUNKED, ForwardedRequest

if TYPE_CHECKING:
    from waitroom.proxy.connection import BackendConnection
    from waitroom.proxy.observer import ProxyObserver
    from waitroom.proxy.pool import ConnectionPool

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

WHOLE_BODY_BYTES = 16 * 1024
"""Bodies up to this size are awaited whole before a connection is taken, so that none is held by a slow visitor."""
SWITCHING = 101
CONTINUE_WAIT_SECONDS = 0.8
"""How long the backend may think about `Expect: 100-continue` before the visitor is asked for the body all the same."""


class Exchange:
    """A request, its answer, and what is known of both.

    `body_in_start`: what starts an answer may bring of its body what is there (see gateway.exchange, which offers it).
    `pass_on`: parts of a body may be handed on by a call, which says whether more can be taken at once (the same).
    `begun`: where the whole request has been sent already (see direct).
    """

    # How every exchange begins.
    connection: BackendConnection | None = None
    error: Exception | None = None
    gone = False
    sent = False
    status = 0
    """Of the answer whose head has arrived."""
    _holds_upload = False
    _inbound_task: asyncio.Task[None] | None = None
    _received_bytes = 0
    _aged = False

    def __init__(
        self,
        method: str,
        request: ForwardedRequest,
        receive: Receive,
        send: Send,
        pool: ConnectionPool,
        observer: ProxyObserver,
        limit_bytes: int | None,
        *,
        body_in_start: bool = False,
        pass_on: Callable[[bytes], bool] | None = None,
        begun: BackendConnection | None = None,
    ) -> None:
        self._method = method
        self._request = request
        self._receive = receive
        self._send = send
        self._pool = pool
        self._observer = observer
        self._limit_bytes = limit_bytes
        self._body_in_start = body_in_start
        self._pass_on = pass_on
        self.uploaded = self._watchable = request.length == 0
        if begun is not None:
            self.connection = begun
            self.sent = True

    async def run(self) -> None:
        """Carry it out, up to the switch if there is one: then `status` is SWITCHING and `connection` stays held.

        Raises BackendError or Refused, or ResponseBroken once `status` has been set. Returns quietly when the visitor
        has `gone`, with `status` CLIENT_CLOSED_REQUEST.
        """
        request = self._request
        if self._limit_bytes is not None and request.length > self._limit_bytes:
            raise self._too_large()
        body = b""
        if 0 < request.length <= WHOLE_BODY_BYTES and not request.expects_continue:
            body = await self._whole_body()
        if not (self.uploaded or self.gone):
            await self._pool.begin_upload()
            self._holds_upload = True
        connection = None if self.gone else await self._answered(body)
        if connection is None or self.gone:
            self.status = CLIENT_CLOSED_REQUEST
            return
        self.status = connection.status
        if not connection.switched:
            await self._relay(connection)

    def stop_watching(self) -> None:
        """No longer read from the visitor's side."""
        self._watchable = False
        if self._inbound_task is not None:
            self._inbound_task.cancel()

    def close(self) -> None:
        """Let go of everything, however it ended."""
        if self._inbound_task is not None:
            self._inbound_task.cancel()
        connection, self.connection = self.connection, None
        if connection is not None:
            self._pool.release(connection)
        self._end_upload()

    def sweep(self) -> None:
        """Called every now and then: watch for the visitor's leaving once it has taken a while."""
        if self._inbound_task is None and self._watchable:
            if self._aged:
                self._start_inbound()
            self._aged = True

    # --- to the backend ---

    async def _answered(self, body: bytes) -> BackendConnection | None:
        """Send the request, with its `body` if that is here.

        Returns the connection on which the head of its answer has arrived, or None: nobody waits.
        """
        request = self._request
        repeated = False
        while True:
            connection = self.connection or await self._begun(body, fresh=repeated)
            if connection is None:
                return None
            new = connection.uses == 1
            try:
                while not connection.head_done:
                    if connection.failure is not None:
                        raise connection.failure
                    await connection.wait()
            except Vanished:
                if repeated or not request.repeatable or new or connection.got_bytes:
                    raise
                repeated = True
                self._observer.request_repeated(self._method)
                self._let_go()
            else:
                return connection

    async def _begun(self, body: bytes, *, fresh: bool) -> BackendConnection | None:
        """The connection on which the request has been sent as far as it is here, or None: nobody waits."""
        request = self._request
        while True:
            connection = (None if fresh else self._pool.take()) or await self._pool.acquire(fresh=fresh)
            self.connection = connection
            if self.gone:
                return None
            new = connection.uses == 0
            if connection.alive and (new or request.repeatable or connection.nothing_to_read()):
                break
            self._let_go()
            if new:
                raise Vanished("the backend closed a new connection at once")
        connection.begin(self._method, upgrading=request.upgrade)
        connection.write(request.head + body if body else request.head)
        self.sent = True
        if self.uploaded:
            connection.request_sent = True
        elif request.expects_continue:
            await self._continued(connection)
        else:
            self._start_inbound()
        return connection

    async def _continued(self, connection: BackendConnection) -> None:
        """Leave it to the backend whether the visitor shall send the body.

        Receiving it is what makes the server say 100 Continue, so that comes after the backend's own.
        """
        try:
            async with asyncio.timeout(CONTINUE_WAIT_SECONDS):
                while not (connection.head_done or connection.continued or connection.failure is not None):
                    await connection.wait()
        except TimeoutError:
            pass  # RFC 9110 §10.1.1: a backend that knows no Expect waits for the body
        if not connection.head_done and connection.failure is None:
            self._start_inbound()

    def _start_inbound(self) -> None:
        self._watchable = False
        self._inbound_task = asyncio.get_running_loop().create_task(self._inbound())

    async def _inbound(self) -> None:
        """Carry the body to the backend, then watch for the visitor's leaving."""
        try:
            connection = self.connection
            chunked = self._request.length == CHUNKED
            while not self.uploaded and connection is not None and self.connection is connection:
                part = await self._next_part()
                if self.gone:
                    return
                if part:
                    connection.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                if self.uploaded and chunked:
                    connection.write(b"0\r\n\r\n")
                connection.request_sent = self.uploaded
                if self.uploaded:
                    self._end_upload()
                if connection.write_paused:
                    await connection.drain()
            while (await self._receive())["type"] != "http.disconnect":
                pass
            self._leave()
        except Exception as error:  # noqa: BLE001 - it belongs to the coroutine that the server waits for
            self.error = error
            if self.connection is not None:
                self.connection.fail(BackendError("the request broke off"))

    async def _whole_body(self) -> bytes:
        parts = []
        while not (self.uploaded or self.gone):
            parts.append(await self._next_part())
        self._watchable = True
        return b"".join(parts)

    async def _next_part(self) -> bytes:
        """The next part of the body; sets `uploaded` with the last one, `gone` when the visitor has left."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._leave()
            return b""
        part: bytes = message.get("body", b"")
        self._received_bytes += len(part)
        if self._limit_bytes is not None and self._received_bytes > self._limit_bytes:
            raise self._too_large()
        self.uploaded = not message.get("more_body", False)
        if self.uploaded and self._request.length not in {CHUNKED, self._received_bytes}:
            raise Refused("The body is not as long as its Content-Length says.")
        return part

    def _too_large(self) -> Refused:
        return Refused(f"The request's body is larger than the {self._limit_bytes} bytes allowed.", status=413)

    def _end_upload(self) -> None:
        if self._holds_upload:
            self._holds_upload = False
            self._pool.end_upload()

    def _leave(self) -> None:
        self.gone = True
        if self.connection is not None:
            self.connection.fail(ClientGone("the visitor left"))

    def _let_go(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.keep_alive = False
            self._pool.release(connection)

    # --- to the visitor ---

    def _give_back(self, connection: BackendConnection) -> None:
        """Before the last bytes are handed on: a slow visitor holds no connection."""
        self.connection = None
        self._pool.release(connection)
        self._end_upload()

    async def _relay(self, connection: BackendConnection) -> None:
        send = self._send
        headers = connection.headers
        if not self.uploaded:  # the rest of the body will not be read: no other request can follow it
            headers.append((b"connection", b"close"))
        start: Message = {"type": "http.response.start", "status": connection.status, "headers": headers}
        if self._body_in_start:
            start["body"] = connection.take()
            start["more_body"] = not connection.complete
            if connection.complete:
                self._give_back(connection)
                await send(start)
                return
        await send(start)
        del start  # or its part of the body is held as long as the rest takes
        while True:
            body = connection.take()
            if connection.complete:
                self._give_back(connection)
                await send({"type": "http.response.body", "body": body, "more_body": False})
                return
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": True})
            elif self.gone:
                self.status = CLIENT_CLOSED_REQUEST
                return
            elif connection.failure is not None:
                raise ResponseBroken(f"after the answer had begun: {connection.failure.reason}") from connection.failure
            else:
                await connection.wait(self._pass_on)
                if self._pass_on is not None and not connection.complete:  # it takes no more for the moment
                    await send({"type": "http.response.body", "body": b"", "more_body": True})
