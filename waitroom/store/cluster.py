"""Cluster: many masters, each with the rooms whose hash tag falls into its slots; one wire to each.

Which master has which slots is a map, asked of any node, and again whenever an answer or a lost connection says that
it is old. An answer that redirects means that nothing was run, so asking the node it names is no repetition. A call
whose connection is lost is never sent again.

| answer        | means                                  | what is done                                        |
|---------------|----------------------------------------|-----------------------------------------------------|
| `MOVED`       | the slot lives at another node         | ask that one; ask for the map again                 |
| `ASK`         | this key has left, the slot has not yet | ask that one, this once (`ASKING`)                  |
| `TRYAGAIN`    | the room's keys are on both sides      | again after a pause, as long as the deadline allows |
| `CLUSTERDOWN` | nobody has the slot just now           | fail; ask for the map again                         |
"""

from __future__ import annotations

import asyncio
import random
from binascii import crc_hqx
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .client import OneServer
from .wire import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .client import Client
    from .scripts import Script
    from .server import Server
    from .wire import Word

Address = tuple[str, int]

SLOTS: Final = 16_384
REDIRECTS: Final = 5
"""So many nodes a call is sent on to at most."""
PAUSE_SECONDS: Final = 0.02
"""Before trying again."""
MAP_SECONDS: Final = 0.1
"""At least so long between two askings for the map."""
ASKED_AT_ONCE: Final = 3
"""So many nodes are asked for the map at the same time; the first answer counts."""


def slot_of(key: str) -> int:
    """Return the slot of `key`: of what stands in its first braces, if anything does.

    Source: Redis cluster specification, "Hash tags"; the sum is CRC-16/XMODEM.
    """
    _, brace, rest = key.partition("{")
    tag, closed, _ = rest.partition("}")
    return crc_hqx((tag if brace and closed and tag else key).encode(), 0) % SLOTS


class Cluster:
    """`Client` of a cluster, found through `seeds`, whose user, password and TLS are every node's."""

    def __init__(
        self,
        seeds: Sequence[Server],
        *,
        deadline_seconds: float,
        replicas: int = 0,
        connecting: Callable[[], None] | None = None,
    ) -> None:
        self._seeds = [(seed.host, seed.port) for seed in seeds]
        self._like = seeds[0]
        self._deadline_seconds = deadline_seconds
        self._replicas = replicas
        self._connecting = connecting
        self._nodes: dict[Address, OneServer] = {}
        self._owners: list[Address | None] = []
        """By slot; empty until the map was heard."""
        self._mapping: asyncio.Task[None] | None = None
        self._mapped_at = 0.0
        self._why_unmapped = ""
        self._leaving: set[asyncio.Task[None]] = set()

    def __str__(self) -> str:
        return "the store, a cluster at " + ", ".join(f"{host}:{port}" for host, port in self._seeds)

    async def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        rest = (len(keys), *keys, *arguments)
        return await self._ask(keys[0], ("EVALSHA", script.digest, *rest), script.source)

    async def command(self, *words: Word) -> Any:
        return await self._ask(str(words[1]), words, None)

    def part(self, key: str) -> str:
        owner = self._owners[slot_of(key)] if self._owners else None
        return f"{owner[0]}:{owner[1]}" if owner else ""

    async def masters(self) -> Sequence[Client]:
        await self._mapped(asyncio.get_running_loop().time() + self._deadline_seconds)
        return [self._node(address) for address in dict.fromkeys(self._owners) if address is not None]

    async def aclose(self) -> None:
        if self._mapping is not None:
            self._mapping.cancel()
            await asyncio.wait([self._mapping])
        for node in self._nodes.values():
            await node.aclose()
        if self._leaving:
            await asyncio.wait(self._leaving)

    # Asking.

    async def _ask(self, key: str, words: tuple[Word, ...], source: str | None) -> Any:
        clock = asyncio.get_running_loop().time
        due = clock() + self._deadline_seconds
        slot = slot_of(key)
        if not self._owners:
            await self._mapped(due)
        address, asking, redirects = self._owners[slot], False, 0
        while True:
            if address is None:
                self._look_again()
                raise ConnectionError(f"{self}: no node has slot {slot}")
            try:
                return await self._send(self._node(address), words, source, due, asking=asking)
            except ServerError as error:
                kind, _, where = str(error).partition(" ")
                if kind in {"MOVED", "ASK"} and redirects < REDIRECTS:
                    redirects += 1
                    asking = kind == "ASK"
                    address = _named(where, address)
                    if not asking:
                        self._owners[slot] = address
                        self._look_again()
                elif kind == "TRYAGAIN" and clock() + PAUSE_SECONDS < due:
                    await asyncio.sleep(PAUSE_SECONDS)
                    address, asking = self._owners[slot], False
                else:
                    if kind in {"CLUSTERDOWN", "MOVED"}:
                        self._look_again()
                    raise
            except OSError:
                self._look_again()
                raise

    def _send(
        self, node: OneServer, words: tuple[Word, ...], source: str | None, due: float, *, asking: bool
    ) -> asyncio.Future[Any]:
        wire, writes = node.ready(), source is not None
        if asking:
            wire.send(("ASKING",), due=due).add_done_callback(_hear)
            if source is not None:  # whole, because a second attempt would need a second ASKING
                words, source = ("EVAL", source, *words[2:]), None
        return wire.send(words, source, writes=writes, due=due)

    def _node(self, address: Address) -> OneServer:
        node = self._nodes.get(address)
        if node is None:
            server = replace(self._like, host=address[0], port=address[1])
            node = self._nodes[address] = OneServer(
                server, deadline_seconds=self._deadline_seconds, replicas=self._replicas, connecting=self._connecting
            )
        return node

    # The map.

    async def _mapped(self, due: float) -> None:
        """Return when there is a map; raises OSError when none came by `due`."""
        clock = asyncio.get_running_loop().time
        while not self._owners:
            self._look_again()
            if self._mapping is not None:
                await asyncio.wait([self._mapping], timeout=max(0.0, due - clock()))
            if self._owners:
                return
            if self._mapping is None or self._mapping.done():
                raise ConnectionError(f"{self}: no node gives the map of the slots: {self._why_unmapped}")
            raise TimeoutError("no map of the cluster in time")

    def _look_again(self) -> None:
        """Ask for the map, unless that is under way or was done a moment ago."""
        now = asyncio.get_running_loop().time()
        if (self._mapping is None or self._mapping.done()) and now - self._mapped_at >= MAP_SECONDS:
            self._mapped_at = now
            self._mapping = asyncio.create_task(self._map())

    async def _map(self) -> None:
        known = [address for address in dict.fromkeys(self._owners) if address is not None]
        random.shuffle(known)
        candidates = list(dict.fromkeys([*known, *self._seeds]))
        for start in range(0, len(candidates), ASKED_AT_ONCE):
            asked = [asyncio.create_task(self._ask_map(at)) for at in candidates[start : start + ASKED_AT_ONCE]]
            try:
                for answer in asyncio.as_completed(asked):
                    if owners := await answer:
                        self._take(owners)
                        return
            finally:
                for task in asked:
                    task.cancel()

    async def _ask_map(self, address: Address) -> list[Address | None]:
        """Return the owner of each slot as the node at `address` knows it; empty when it knows none."""
        try:
            ranges = await self._node(address).command("CLUSTER", "SLOTS")
        except (OSError, ServerError) as error:
            self._why_unmapped = f"{address[0]}:{address[1]}: {error}"
            return []
        if not ranges:
            self._why_unmapped = f"{address[0]}:{address[1]}: it belongs to no cluster yet"
        return owners_of(ranges, address[0])

    def _take(self, owners: list[Address | None]) -> None:
        self._owners = owners
        kept = {*owners}
        for address in [address for address in self._nodes if address not in kept]:
            leaving = asyncio.create_task(self._nodes.pop(address).aclose())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


def owners_of(ranges: Iterable[Any], asked_host: str) -> list[Address | None]:
    """Return the master of each slot from an answer to CLUSTER SLOTS; empty when no slot has one.

    A node that does not know its own name means the host it was asked at.
    """
    owners: list[Address | None] = [None] * SLOTS
    some = False
    for first, last, (host, port, *_), *_replicas in ranges:
        address = ((host or b"").decode() or asked_host, int(port))
        owners[int(first) : int(last) + 1] = [address] * (int(last) - int(first) + 1)
        some = True
    return owners if some else []


def _named(redirection: str, asked: Address) -> Address:
    """Return the address in `slot host:port`; without a host it is the one that was asked."""
    host, _, port = redirection.rpartition(" ")[2].rpartition(":")
    return (host if host not in {"", "?"} else asked[0]), int(port)


def _hear(answer: asyncio.Future[Any]) -> None:
    """Take note of an answer that nobody waits for."""
    if not answer.cancelled():
        answer.exception()
