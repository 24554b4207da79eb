"""Client: how the verbs reach whatever the store runs on; one server, over one wire, is the plainest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .wire import Wire

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Sequence

    from .scripts import Script
    from .server import Server
    from .wire import Word


class Client(Protocol):
    """Runs scripts and single commands, each at most once.

    An answer is the server's: bytes, int, None, or a list of these. It comes within a deadline, or fails with
    `ServerError` (what the server said) or OSError (no answer; TimeoutError when the deadline passed). Cancelling one
    never disturbs another.
    """

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Awaitable[Any]:
        """Run a script on `keys`, which all have one hash tag."""
        ...

    def command(self, *words: Word) -> Awaitable[Any]:
        """Run a command; its second word is its key."""
        ...

    async def aclose(self) -> None:
        """Close connections; what is under way fails."""
        ...


class OneServer:
    """`Client` of one server. It connects when it is first asked, and again after a connection was lost or stalled."""

    def __init__(self, server: Server, *, deadline_seconds: float) -> None:
        self._server = server
        self._deadline_seconds = deadline_seconds
        self._wire: Wire | None = None
        self._wires: set[Wire] = set()
        """With those that stalled and are still waited for."""

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> asyncio.Future[Any]:
        return self._ready().send(("EVALSHA", script.digest, len(keys), *keys, *arguments), script.source)

    def command(self, *words: Word) -> asyncio.Future[Any]:
        return self._ready().send(words)

    async def aclose(self) -> None:
        for wire in tuple(self._wires):
            await wire.aclose()

    def _ready(self) -> Wire:
        if self._wire is None or not self._wire.usable:
            self._wire = Wire(self._server, self._deadline_seconds, self._wires.discard)
            self._wires.add(self._wire)
        return self._wire
