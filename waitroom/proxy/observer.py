"""Who is told what the proxy did: facts for metrics and logs, wired by the assembly."""

from __future__ import annotations

from typing import Protocol


class ProxyObserver(Protocol):
    """Called in the event loop, on the way of requests: must be quick and must not raise."""

    def request_finished(self, method: str, status: int, seconds: float) -> None:
        """The answer has been handed over. 499: the visitor left first. 101: `seconds` is until the switch."""

    def request_repeated(self, method: str) -> None:
        """A reused connection turned out to be closed; the request is sent once more on a new one."""

    def backend_failed(self, kind: str, reason: str) -> None:
        """`kind` is one of failures.KINDS; `reason` is for the log and names no visitor."""

    def connections_changed(self, count: int) -> None:
        """So many connections to the backend are open or being opened."""

    def connection_awaited(self, seconds: float) -> None:
        """A request waited that long because every connection was in use, whether it got one or not."""

    def tunnels_changed(self, count: int) -> None:
        """So many WebSockets are open."""


class Unobserved:
    """Tells nobody."""

    def request_finished(self, method: str, status: int, seconds: float) -> None: ...

    def request_repeated(self, method: str) -> None: ...

    def backend_failed(self, kind: str, reason: str) -> None: ...

    def connections_changed(self, count: int) -> None: ...

    def connection_awaited(self, seconds: float) -> None: ...

    def tunnels_changed(self, count: int) -> None: ...
