"""Calls: what a process asks of the store. Each part of it has a breaker; each call is told to an observer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from waitroom.errors import StoreUnavailable

from .breaker import Breaker
from .wire import ServerError, Unacknowledged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from .client import Client
    from .scripts import Script
    from .wire import Word


class StoreObserver(Protocol):
    """Who wants to know how the store does."""

    def store_call(self, verb: str, seconds: float, outcome: str) -> None:
        """`outcome`: ok, timeout, error, unacknowledged (by replicas), refused (the breaker was open)."""

    def store_connecting(self) -> None:
        """A connection is opened."""

    def breaker(self, *, opened: bool) -> None:
        """A breaker opened, or the last one closed."""


class _Nobody:
    def store_call(self, verb: str, seconds: float, outcome: str) -> None:
        pass

    def store_connecting(self) -> None:
        pass

    def breaker(self, *, opened: bool) -> None:
        pass


class Calls:
    """Asks through `client`. A part of the store that is away does not take the others along.

    `needed()` names keys in those parts that this process cannot do without; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        client: Client,
        observer: StoreObserver | None,
        clock: Callable[[], float],
        needed: Callable[[], Iterable[str]],
    ) -> None:
        self._client = client
        self._observer: StoreObserver = observer or _Nobody()
        self._clock = clock
        self._needed = needed
        self._breakers: dict[str, Breaker] = {}
        self._away = False

    @property
    def available(self) -> bool:
        """Whether no breaker to a part that is needed is open."""
        parts = {self._client.part(key) for key in self._needed()}
        return not any(breaker.open for part, breaker in self._breakers.items() if part in parts)

    def script(self, verb: str, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Awaitable[Any]:
        """Run a script; `verb` names the call in metrics. Raises `StoreUnavailable`."""
        return self._ask(verb, keys[0], self._client.call, script, keys, arguments)

    def command(self, verb: str, command: str, key: str, *words: Word) -> Awaitable[Any]:
        """Run one command on a key; `verb` names the call in metrics. Raises `StoreUnavailable`."""
        return self._ask(verb, key, self._client.command, command, key, *words)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _ask(self, verb: str, key: str, ask: Callable[..., Awaitable[Any]], *question: Any) -> Any:
        """Return what `ask` answers, unless the breaker is open; every failure is a `StoreUnavailable`."""
        began = self._clock()
        part = self._client.part(key)
        breaker = self._breakers.get(part)
        if breaker is None:
            breaker = self._breakers[part] = Breaker()
        if not breaker.allows(began):
            self._observer.store_call(verb, 0.0, "refused")
            raise StoreUnavailable("the store did not answer lately; not asked again yet")
        try:
            reply = await ask(*question)
        except (OSError, ServerError) as error:
            ended = self._clock()
            self._observer.store_call(verb, ended - began, _outcome(error))
            if breaker.failed(ended):
                self._away = True
                self._observer.breaker(opened=True)
            raise StoreUnavailable(f"{verb}: {type(error).__name__}: {error}") from error
        self._observer.store_call(verb, self._clock() - began, "ok")
        breaker.succeeded()
        if self._away and self.available:
            self._away = False
            self._observer.breaker(opened=False)
        return reply


def _outcome(error: Exception) -> str:
    if isinstance(error, Unacknowledged):
        return "unacknowledged"
    return "timeout" if isinstance(error, TimeoutError) else "error"
