"""A request without a body on an idle connection, and its answer to the visitor by plain calls: no task, no coroutine.

The connection calls the trip whenever something has changed; the trip calls the visitor with what there is to write.
What is not an answer that is simply to be passed on, it hands over before the answer begins (`Visitor.take_over`): the
visitor's side runs the ASGI app then, which goes on from where the trip was (`Trip.hand_over`). So failing, repeating
and answering in our words are in `exchange` and `app` alone.

Back-pressure: while the visitor's side takes no more, nothing is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from waitroom.proxy.failures import CLIENT_CLOSED_REQUEST, ClientGone, ResponseBroken, kind_of

if TYPE_CHECKING:
    from waitroom.proxy.connection import BackendConnection
    from waitroom.proxy.headers import Header
    from waitroom.proxy.observer import ProxyObserver
    from waitroom.proxy.pool import ConnectionPool

Edit = Callable[[Sequence["Header"]], "Sequence[Header] | None"]
"""The headers of an answer as the visitor gets them; None: the answer has to be handed over."""


class Flow(Protocol):
    """Whether the visitor's side takes bytes."""

    @property
    def write_paused(self) -> bool: ...


class Visitor(Protocol):
    """Who gets the answer."""

    @property
    def flow(self) -> Flow: ...

    def answer(self, status: int, headers: Sequence[Header], body: bytes, more_body: bool) -> None:
        """Begin the answer, and end it unless there is more."""

    def go_on(self, body: bytes, more_body: bool) -> None: ...

    def take_over(self) -> None:
        """Run the ASGI app for this request, with the trip in its scope. The answer has not begun."""

    def break_off(self) -> None:
        """The rest of the answer will never come."""


class Trip:
    """A request that has been sent, and the answer on its way."""

    __slots__ = ("_connection", "_edit", "_method", "_observer", "_pool", "_status", "_visitor", "started")

    def __init__(
        self,
        visitor: Visitor,
        method: str,
        connection: BackendConnection,
        edit: Edit,
        pool: ConnectionPool,
        observer: ProxyObserver,
        started: float,
    ) -> None:
        self._visitor = visitor
        self._method = method
        self._connection: BackendConnection | None = connection
        self._edit = edit
        self._pool = pool
        self._observer = observer
        self._status = 0
        self.started = started
        connection.watcher = self._moved

    def leave(self) -> None:
        """The visitor has left."""
        if self._connection is not None:
            connection = self._end(CLIENT_CLOSED_REQUEST)
            connection.fail(ClientGone("the visitor left"))
            self._pool.release(connection)

    def resume(self) -> None:
        """The visitor takes bytes again."""
        if self._connection is not None:
            self._moved()

    def hand_over(self) -> BackendConnection:
        """The connection, and with it all that remains to be done."""
        connection, self._connection = self._connection, None
        assert connection is not None
        return connection

    def _moved(self) -> None:
        """Something has changed on the connection."""
        connection, visitor = self._connection, self._visitor
        if connection is None or visitor.flow.write_paused:
            return
        if not self._status:
            if not connection.head_done and connection.failure is None:
                return
            headers = self._edit(connection.headers) if connection.head_done else None
            if headers is None:
                connection.watcher = None
                visitor.take_over()
                return
            self._status = connection.status
            body, complete = connection.take(), connection.complete
            if complete:
                self._give_back(connection)
            visitor.answer(self._status, headers, body, not complete)
        else:
            body, complete = connection.take(), connection.complete
            if complete:
                self._give_back(connection)
            if body or complete:
                visitor.go_on(body, not complete)
        if self._connection is None:
            return
        if connection.failure is not None:
            self._break_off(connection)
        elif visitor.flow.write_paused:
            connection.pause_reading()
        else:
            connection.resume_reading()

    def _give_back(self, connection: BackendConnection) -> None:
        """Before the last bytes are handed on: a slow visitor holds no connection."""
        self._end(self._status)
        self._pool.release(connection)

    def _break_off(self, connection: BackendConnection) -> None:
        assert connection.failure is not None
        error = ResponseBroken(f"after the answer had begun: {connection.failure.reason}")
        self._observer.backend_failed(kind_of(error), error.reason)
        self._end(self._status)
        self._pool.release(connection)
        self._visitor.break_off()

    def _end(self, status: int) -> BackendConnection:
        connection = self.hand_over()
        connection.watcher = None
        self._observer.request_finished(self._method, status, perf_counter() - self.started)
        return connection
