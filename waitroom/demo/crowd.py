"""The crowd: simulated shoppers who come at once, wait if they must, browse, and order; some give up on the way.

What each of them will do is drawn beforehand from one seed, so that the same crowd can be sent twice. A shopper
knows the waiting room only as a browser does: the page that came is not the shop's and a queue cookie came with it;
then the page's script asks where one stands and navigates when it is one's turn.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .browser import Answer, Browser, Unanswered

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

ROOM = "default"
QUEUE_COOKIE = f"waitroom-queue-{ROOM}"
ME = f"/.waitroom/{ROOM}/me"
LEAVE = f"/.waitroom/{ROOM}/leave"
LONGEST_POLL_SECONDS = 1.0
"""The waiting page asks as often as it is told to; the demo is over in a minute, so its shoppers ask more often."""
GRACE_SECONDS = 8.0
"""When time is up, shoppers who are in the shop may still finish for this long."""


class Stage(StrEnum):
    """Where a shopper is."""

    COMING = "coming"
    WAITING = "waiting"
    SHOPPING = "shopping"
    ORDERED = "ordered"
    LEFT = "left"


class Reason(StrEnum):
    """Why somebody left without an order."""

    QUIT_WAITING = "quit waiting"
    CLOSED_TAB = "closed the tab when called"
    ONLY_LOOKED = "only looked"
    WANDERED_OFF = "wandered off while shopping"
    GAVE_UP = "gave up on errors"
    TIME_UP = "still waiting when the demo ended"


class Left(Exception):
    """The shopper is gone."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Plan:
    """What one shopper is going to do."""

    arrives_seconds: float
    thinks_seconds: tuple[float, ...]
    """A pause before each page after the first."""
    patience_seconds: float | None = None
    """How long they wait before they quit; for ever when None."""
    quits_politely: bool = False
    """Whether they say so (the leave button) or just close the tab."""
    closes_when_called: bool = False
    only_looks: bool = False
    wanders_off: bool = False
    reloads: int = 4
    """How many failed pages they bear in all, trying each again, before they give up."""
    reload_seconds: float = 1.0


def draw_crowd(chance: random.Random, shoppers: int, arrive_seconds: float) -> list[Plan]:
    """Return the plans of `shoppers` people who all arrive within `arrive_seconds`, earliest first."""
    return sorted((_draw_plan(chance, arrive_seconds) for _ in range(shoppers)), key=lambda plan: plan.arrives_seconds)


def _draw_plan(chance: random.Random, arrive_seconds: float) -> Plan:
    kind = chance.random()
    quits = kind < 0.06
    return Plan(
        arrives_seconds=chance.uniform(0, arrive_seconds),
        thinks_seconds=tuple(chance.uniform(0.6, 1.8) for _ in range(chance.randint(2, 4))),
        patience_seconds=chance.uniform(2, 15) if quits else None,
        quits_politely=chance.random() < 0.5,
        closes_when_called=0.06 <= kind < 0.10,
        only_looks=0.10 <= kind < 0.15,
        wanders_off=0.15 <= kind < 0.18,
        reloads=chance.randint(3, 6),
        reload_seconds=chance.uniform(0.6, 2.0),
    )


@dataclass(slots=True)
class Tally:
    """What the crowd felt, counted as it happens."""

    shoppers: int
    stages: Counter[Stage] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    waits_seconds: list[float] = field(default_factory=list)
    """From the first click to the first page of the shop, of all who got one."""
    errors_seen: int = 0
    """Error pages, and pages that never came."""

    def __post_init__(self) -> None:
        self.stages[Stage.COMING] = self.shoppers

    def move(self, was: Stage, now: Stage) -> None:
        """Count one shopper at another place."""
        self.stages[was] -= 1
        self.stages[now] += 1

    @property
    def arrived(self) -> int:
        """How many have come so far."""
        return self.shoppers - self.stages[Stage.COMING]


class Shopper:
    """One of the crowd, carrying out a plan."""

    def __init__(
        self, plan: Plan, browser: Browser, tally: Tally, *, longest_poll_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._plan = plan
        self._longest_poll_seconds = longest_poll_seconds
        self._browser = browser
        self._tally = tally
        self._clock = clock
        self._stage = Stage.COMING
        self._came = 0.0
        self._failures = 0
        self.time_up = False

    async def run(self) -> None:
        """Come, wait, shop, and go; the tally hears of each step."""
        await asyncio.sleep(self._plan.arrives_seconds)
        try:
            async with self._browser:
                await self._visit()
        except Left as left:
            self._tally.reasons[left.reason] += 1
            self._go(Stage.LEFT)
        else:
            self._go(Stage.ORDERED)

    async def _visit(self) -> None:
        self._came = self._clock()
        self._go(Stage.WAITING)
        await self._open("/")
        self._tally.waits_seconds.append(self._clock() - self._came)
        self._go(Stage.SHOPPING)
        for number, think_seconds in enumerate(self._plan.thinks_seconds):
            await asyncio.sleep(think_seconds)
            if self._plan.wanders_off and number:
                raise Left(Reason.WANDERED_OFF)
            await self._open(f"/product?n={number}")
        if self._plan.only_looks:
            await self._open("/leave", method="POST")
            raise Left(Reason.ONLY_LOOKED)
        await self._open("/cart", method="POST")
        await asyncio.sleep(self._plan.thinks_seconds[0])
        await self._open("/order", method="POST")

    async def _open(self, path: str, *, method: str = "GET") -> Answer:
        """Open a page of the shop, through the waiting room and past errors if need be."""
        while True:
            try:
                answer = await self._browser.navigate(path, method=method)
                while self._in_waiting_room(answer):
                    await self._wait_for_turn()
                    # After waiting a page is opened anew: a form is never sent on behalf of somebody.
                    answer = await self._browser.navigate(path)
                    if method == "POST" and not self._in_waiting_room(answer):
                        answer = await self._browser.navigate(path, method=method)
                if answer.status < 400:
                    return answer
            except Unanswered:
                pass  # as good as an error page
            self._tally.errors_seen += 1
            self._failures += 1
            if self._failures > self._plan.reloads:
                raise Left(Reason.GAVE_UP)
            await asyncio.sleep(self._plan.reload_seconds)

    def _in_waiting_room(self, answer: Answer) -> bool:
        return QUEUE_COOKIE in self._browser.cookies and not answer.header("shop-page")

    async def _wait_for_turn(self) -> None:
        """Ask again and again, as the waiting page does, until a navigation is worth it."""
        pause = self._longest_poll_seconds
        while True:
            await asyncio.sleep(pause)
            await self._perhaps_quit()
            try:
                mine = json.loads((await self._browser.fetch(ME)).body)
            except (Unanswered, ValueError):
                self._tally.errors_seen += 1
                mine = {}
            state = mine.get("state")
            if state == "called" and self._plan.closes_when_called:
                raise Left(Reason.CLOSED_TAB)
            if state in {"called", "active", "new", "off"}:
                return
            pause = min(self._longest_poll_seconds, float(mine.get("poll_after_seconds", self._longest_poll_seconds)))

    async def _perhaps_quit(self) -> None:
        if self.time_up:
            reason = Reason.TIME_UP
        elif self._plan.patience_seconds is not None and self._clock() - self._came > self._plan.patience_seconds:
            reason = Reason.QUIT_WAITING
        else:
            return
        if self._plan.quits_politely or self.time_up:
            try:
                await self._browser.fetch(LEAVE, method="POST")
            except Unanswered:
                self._tally.errors_seen += 1
        raise Left(reason)

    def _go(self, stage: Stage) -> None:
        self._tally.move(self._stage, stage)
        self._stage = stage


async def send_crowd(
    plans: list[Plan],
    tally: Tally,
    *,
    host: str,
    port: int,
    limit_seconds: float,
    grace_seconds: float = GRACE_SECONDS,
    longest_poll_seconds: float = LONGEST_POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Send the whole crowd to the site; returns when everybody is gone, at the latest a little after the limit."""
    shoppers = [
        Shopper(plan, Browser(host, port), tally, longest_poll_seconds=longest_poll_seconds, clock=clock)
        for plan in plans
    ]
    tasks = [asyncio.create_task(shopper.run()) for shopper in shoppers]
    try:
        if await _still_running(tasks, limit_seconds):
            for shopper in shoppers:
                shopper.time_up = True
            await _still_running(tasks, grace_seconds)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _still_running(tasks: list[asyncio.Task[None]], seconds: float) -> set[asyncio.Task[None]]:
    return (await asyncio.wait(tasks, timeout=seconds))[1]
