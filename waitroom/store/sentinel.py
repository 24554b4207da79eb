"""Sentinels: they know which server is the master just now, and are asked each time a connection to it is opened.

All are asked at once. Sentinels number their decisions (the configuration epoch), so the one that names the highest
number knows best, as they hold it among themselves. An older one than was heard before is believed only when more than
half of the sentinels say so, that is, when they were set up anew. The server named must itself say that it is a master.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from .client import OneServer
from .wire import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .server import Greeting, Server

PATIENCE_SHARE: Final = 0.3
"""How much of the deadline the sentinels have: one that is dead must not use it up."""


@dataclass(frozen=True, slots=True, order=True)
class Master:
    """What a sentinel says: who is the master since which decision."""

    epoch: int
    host: str
    port: int


class Sentinels:
    """`Destination`: the master called `name` of `sentinels`, greeted as `master` says but for its host and port."""

    def __init__(self, name: str, sentinels: Sequence[Server], master: Server, *, deadline_seconds: float) -> None:
        self._name = name
        self._sentinels = tuple(sentinels)
        self._master = master
        self._patience_seconds = deadline_seconds * PATIENCE_SHARE
        self._epoch = 0
        self._last: Server | None = None

    def __str__(self) -> str:
        where = f" at {self.address}" if self._last else ""
        return f"the store{where}, master '{self._name}' of {len(self._sentinels)} sentinels"

    @property
    def address(self) -> str:
        return self._last.address if self._last else ""

    @property
    def greeting(self) -> Greeting:
        return (*self._master.greeting, ("ROLE",))

    def objection(self, answers: Sequence[Any]) -> str:
        role = answers[-1][0].decode("latin-1")
        return "" if role == "master" else f"it is no master but a {role}; the sentinels do not know it yet"

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._last = None
        heard = await asyncio.gather(*map(self._ask, self._sentinels))
        best = chosen(heard, self._epoch)
        if isinstance(best, str):
            raise ConnectionError(best)
        self._epoch = best.epoch
        self._last = replace(self._master, host=best.host, port=best.port)
        await self._last.connect(protocol)

    async def _ask(self, sentinel: Server) -> Master | str:
        """Return what `sentinel` says, or why it says nothing."""
        client = OneServer(sentinel, deadline_seconds=self._patience_seconds)
        try:
            where, facts = await asyncio.gather(
                client.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name),
                client.command("SENTINEL", "MASTER", self._name),
            )
        except (OSError, ServerError) as error:
            return f"{sentinel.host}:{sentinel.port}: {error}"
        finally:
            await client.aclose()
        epoch = dict(zip(facts[::2], facts[1::2], strict=False)).get(b"config-epoch", b"0")
        return Master(int(epoch), where[0].decode(), int(where[1]))


def chosen(heard: Sequence[Master | str], known_epoch: int) -> Master | str:
    """Return the master to believe in of what each sentinel said, or why there is none.

    `known_epoch` is the newest decision heard before.
    """
    masters = [answer for answer in heard if isinstance(answer, Master)]
    if not masters:
        return "no sentinel names it: " + "; ".join(answer for answer in heard if isinstance(answer, str))
    best = max(masters)
    if best.epoch < known_epoch and len(masters) * 2 <= len(heard):
        return f"the sentinels that answer know an older master only (epoch {best.epoch}, {known_epoch} was heard)"
    return best
