"""Gateways on one store, and a stream of visitors who join and shop; what they were told is written down and compared."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from waitroom.domain.claims import QueueClaims
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer
from waitroom.errors import StoreUnavailable
from waitroom.store.base import Purpose
from waitroom.store.connect import open_store
from waitroom.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from waitroom.store.redis import RedisStore

CAPACITY, RATE, SHOPPERS = 40, 250, 400
JOINS_PER_SECOND = int(os.environ.get("WAITROOM_JOINS_PER_SECOND", "500"))
QUEUE, SALE = "queue", "sale"


@dataclass
class Found:
    """What became of a stream."""

    told_places: int = 0
    held_back: int = 0
    """Joins that could not be made safe, and got a provisional place."""
    lost_places: int = 0
    doubled_scores: int = 0
    out_of_order: int = 0
    lost_admissions: int = 0
    admitted: int = 0
    peak_active: int = 0
    longest_gap_seconds: float = 0.0
    """The longest time in which nobody was told a place."""

    def __str__(self) -> str:
        return (
            f"{self.told_places} joins told, {self.held_back} held back for up to {self.longest_gap_seconds:.2f} s; "
            f"lost: {self.lost_places} places, {self.lost_admissions} admissions; {self.out_of_order} out of order; "
            f"{self.admitted} admitted of {RATE} a minute, {self.peak_active} at once of {CAPACITY}"
        )


@dataclass
class Stream:
    """`per_second` visitors join the room `queue`, which lets nobody in; others shop in `sale`, which is full."""

    url: str
    per_second: int = JOINS_PER_SECOND
    replicas: int | None = None
    rooms: tuple[str, ...] = (QUEUE, SALE)
    found: Found = field(default_factory=Found)

    def __post_init__(self) -> None:
        rooms = [Room(name=QUEUE, rate=0), Room(name=SALE, rate=RATE, burst=RATE, capacity=CAPACITY)]
        self.gateways = [open_store(self.url, rooms, replicas=self.replicas) for _ in range(2)]
        self.chance = random.Random(7)
        self.tokens: dict[str, QueueClaims] = {}
        self.told_at: list[float] = []
        self.inside: set[str] = set()
        self.entered: set[str] = set()

    async def run(self, breaking: Callable[[], Awaitable[Any]], *, before: float = 1.0, after: float = 4.0) -> Found:
        """Let visitors come for `before` seconds, break something, go on for `after` seconds, then compare."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as at_the_end, asyncio.TaskGroup() as group:
            for gateway in self.gateways:
                at_the_end.push_async_callback(gateway.aclose)
            beats = [group.create_task(self._beat(gateway)) for gateway in self.gateways]
            joining = group.create_task(self._join(group, loop.time() + before + after))
            shopping = [group.create_task(self._shop(i)) for i in range(SHOPPERS)]
            await asyncio.sleep(before)
            await breaking()
            await joining
            while not all(gateway.available for gateway in self.gateways):
                await asyncio.sleep(0.05)
            for task in shopping:
                task.cancel()
            await asyncio.wait(shopping)
            await self._compare()
            for task in beats:
                task.cancel()
        return self.found

    # What visitors do.

    async def _beat(self, gateway: RedisStore) -> None:
        while True:
            for room in self.rooms:
                with suppress(StoreUnavailable):
                    await gateway.beat(room)
            await asyncio.sleep(0.1)

    async def _join(self, group: asyncio.TaskGroup, until: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        arriving: list[asyncio.Task[None]] = []
        while loop.time() < until:
            arriving.append(group.create_task(self._arrive(f"j{len(arriving):015}")))
            due += 1 / self.per_second
            await asyncio.sleep(max(0.0, due - loop.time()))
        await asyncio.gather(*arriving)

    async def _arrive(self, visitor: str) -> None:
        gateway = self.chance.choice(self.gateways)
        try:
            visit = await gateway.enter(QUEUE, visitor, claims=None, purpose=Purpose.JOIN)
        except StoreUnavailable:
            self.found.held_back += 1
            self.tokens[visitor] = QueueClaims(
                room=QUEUE, visitor=visitor, score_us=gateway.now_ms() * 1000, epoch=1, generation="", provisional=True
            )
            return
        self.told_at.append(asyncio.get_running_loop().time())
        self.tokens[visitor] = QueueClaims(
            room=QUEUE, visitor=visitor, score_us=visit.score_us, epoch=visit.epoch, generation=visit.generation
        )

    async def _shop(self, number: int) -> None:
        """Come until let in, shop for a moment, leave by the till."""
        visitor = f"s{number:015}"
        token: QueueClaims | None = None
        while True:
            await asyncio.sleep(self.chance.uniform(0.2, 0.6))
            gateway = self.chance.choice(self.gateways)
            with suppress(StoreUnavailable):
                visit = await gateway.enter(SALE, visitor, claims=token, purpose=Purpose.CLAIM)
                if visit.answer is Answer.ADMITTED:
                    break
                token = QueueClaims(
                    room=SALE, visitor=visitor, score_us=visit.score_us, epoch=visit.epoch, generation=visit.generation
                )
        self.inside.add(visitor)
        self.entered.add(visitor)
        self.found.peak_active = max(self.found.peak_active, len(self.inside))
        await asyncio.sleep(self.chance.uniform(0.3, 1.2))
        self.inside.discard(visitor)
        while True:
            with suppress(StoreUnavailable):
                await gateway.release(SALE, visitor)
                return
            await asyncio.sleep(0.1)

    # What is true afterwards.

    async def _compare(self) -> None:
        found = self.found
        told = {visitor: token for visitor, token in self.tokens.items() if not token.provisional}
        found.told_places, found.admitted = len(told), len(self.entered)
        times = sorted(self.told_at)
        found.longest_gap_seconds = max((b - a for a, b in itertools.pairwise(times)), default=0.0)
        found.doubled_scores = len(told) - len({token.score_us for token in told.values()})
        kept = {visitor: int(float(score)) for visitor, score in await self._kept(QUEUE, "queue")}
        found.lost_places = sum(kept.get(visitor) != token.score_us for visitor, token in told.items())
        active = {visitor for visitor, _ in await self._kept(SALE, "active")}
        found.lost_admissions = len(self.inside - active)
        await self._everybody_comes_back()

    async def _kept(self, room: str, part: str) -> list[tuple[str, bytes]]:
        """Return what the store keeps of a room: visitors and their scores, in order."""
        while True:
            with suppress(StoreUnavailable):
                flat = await self.gateways[0].command("look", "ZRANGE", key(room, part), 0, -1, "WITHSCORES")
                return [(visitor.decode(), score) for visitor, score in zip(flat[::2], flat[1::2], strict=True)]
            await asyncio.sleep(0.1)

    async def _everybody_comes_back(self) -> None:
        """Everyone who joined asks again with their token, in any order; then they stand by the scores of the tokens."""
        tokens = list(self.tokens.values())
        self.chance.shuffle(tokens)
        for start in range(0, len(tokens), 100):
            await asyncio.gather(*(self._ask_again(token) for token in tokens[start : start + 100]))
        queue = await self._kept(QUEUE, "queue")
        standing = [self.tokens[visitor].score_us for visitor, _ in queue if visitor in self.tokens]
        self.found.out_of_order = sum(b < a for a, b in itertools.pairwise(standing))
        self.found.out_of_order += len(tokens) - len(standing)

    async def _ask_again(self, token: QueueClaims) -> None:
        while True:
            with suppress(StoreUnavailable):
                gateway = self.chance.choice(self.gateways)
                visit = await gateway.enter(QUEUE, token.visitor, claims=token, purpose=Purpose.JOIN)
                if token.provisional and 0 <= token.score_us - visit.score_us < 10_000_000:
                    # It was done in time, only nobody could say so.
                    self.tokens[token.visitor] = token._replace(score_us=visit.score_us)
                return
            await asyncio.sleep(0.1)


def check(found: Found) -> None:
    """Nothing was lost, no limit was passed, and something happened; how much, is the machine's pace."""
    assert found.told_places > 100, found
    assert found.lost_places == found.lost_admissions == found.doubled_scores == found.out_of_order == 0, found
    assert 0 < found.peak_active <= CAPACITY, found
    assert 0 < found.admitted <= RATE, found
