"""Client: how the verbs reach whatever the store runs on; one server, over one wire, is the plainest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .acknowledgement import Acknowledgement
from .wire import Wire

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from .scripts import Script
    from .server import Destination
    from .wire import Word


class Client(Protocol):
    """Runs scripts and single commands, each at most once.

    An answer is the server's: bytes, int, None, or a list of these. It comes within a deadline, or fails with
    `ServerError` (what the server said) or OSError (no answer; TimeoutError when the deadline passed; `Unacknowledged`
    when it ran but too few replicas have it). Cancelling one never disturbs another.
    """

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Awaitable[Any]:
        """Run a script on `keys`, which all have one hash tag."""
        ...

    def command(self, *words: Word) -> Awaitable[Any]:
        """Run a command; its second word is its key."""
        ...

    def part(self, key: str) -> str:
        """Return which part of the store has `key`, as far as is known: parts fail one by one. Never blocks."""
        ...

    async def masters(self) -> Sequence[Client]:
        """Return a client of each server that holds a part of the memory, to look at it; raises OSError."""
        ...

    async def aclose(self) -> None:
        """Close connections; what is under way fails."""
        ...


class OneServer:
    """`Client` of one server. It connects when it is first asked, and again after a connection was lost or stalled.

    `replicas` is how many must acknowledge what a script wrote at least; `connecting` is told of each new connection.
    """

    def __init__(
        self,
        server: Destination,
        *,
        deadline_seconds: float,
        replicas: int = 0,
        connecting: Callable[[], None] | None = None,
    ) -> None:
        self._server = server
        self._deadline_seconds = deadline_seconds
        self._acknowledgement = Acknowledgement(replicas) if replicas else None
        self._connecting = connecting
        self._wire: Wire | None = None
        self._wires: set[Wire] = set()
        """With those that stalled and are still waited for."""

    def __str__(self) -> str:
        return str(self._server)

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> asyncio.Future[Any]:
        words = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        return self.ready().send(words, script.source, writes=True)

    def command(self, *words: Word) -> asyncio.Future[Any]:
        return self.ready().send(words)

    def part(self, key: str) -> str:
        return ""

    async def masters(self) -> Sequence[Client]:
        return (self,)

    async def aclose(self) -> None:
        for wire in tuple(self._wires):
            await wire.aclose()

    def ready(self) -> Wire:
        """Return a wire that takes calls: the one there is, or a new one."""
        if self._wire is None or not self._wire.usable:
            self._wire = Wire(self._server, self._deadline_seconds, self._wires.discard, self._acknowledgement)
            self._wires.add(self._wire)
            if self._connecting is not None:
                self._connecting()
        return self._wire
