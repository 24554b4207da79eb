"""Visitors who arrive, wait, are called and shop all the while, and write down what they were told.

As many are under way at any time: who leaves is followed by somebody new. Each request goes to a gateway drawn by chance, as a
load balancer would have it, and a connection that gives no answer is followed by another try elsewhere; but an order is sent once.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from tests.journeys.experiment.shop import page
from tests.journeys.stage import on_site
from waitroom.demo.browser import Answer, Browser, Unanswered

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

PASS_COOKIE = "waitroom-pass-sale"
HOLD_TITLE = b"The shop is catching up"


class Stage(StrEnum):
    """Where a visitor is."""

    COMING = "coming"
    WAITING = "waiting"
    SHOPPING = "shopping"


@dataclass
class Trouble:
    """Something that a visitor noticed, from the first failure to the next success."""

    stage: Stage
    began: float
    ended: float
    what: set[str]
    tries: int = 0
    """How many requests in a row failed."""


class Told(NamedTuple):
    """An answer: when it was asked for and when it was heard. The store said it at some moment between."""

    asked: float
    heard: float


@dataclass
class Story:
    """What one visitor did and was told; times are those of `time.monotonic`."""

    number: int
    came: float
    placed: float = 0.0
    """When they were first told of a place, or let in. A place told while the store was away counts from when a gateway that
    reaches the store has heard of it: nobody can be called by what the store does not know."""
    still_waiting: list[Told] = field(default_factory=list)
    """Each request that was answered "waiting"."""
    turn: Told | None = None
    """The request to which they first were told of their turn, or let in."""
    entered: float = 0.0
    left: float = 0.0
    troubles: list[Trouble] = field(default_factory=list)
    lost_place: list[float] = field(default_factory=list)
    """When they were taken for somebody new."""
    rises: list[tuple[float, int, int]] = field(default_factory=list)
    """When a position told was higher than the one before, and both."""
    thrown_out: list[float] = field(default_factory=list)
    not_whole: list[float] = field(default_factory=list)
    """When an answer of the shop came that was not the shop's."""
    served: list[str] = field(default_factory=list)
    """Targets that the shop answered."""
    orders: dict[str, bool] = field(default_factory=dict)
    """Targets of orders sent, and whether they were answered."""


class Person:
    """One visitor."""

    def __init__(self, story: Story, ports: Sequence[int], chance: random.Random, poll_seconds: float) -> None:
        self.story = story
        self._browsers = [Browser("127.0.0.1", port, timeout_seconds=8.0) for port in ports]
        self._cookies = self._browsers[0].cookies
        for browser in self._browsers:
            browser.cookies = self._cookies
        self._chance = chance
        self._poll_seconds = poll_seconds
        self._confirmed = False
        self._failed: Browser | None = None
        """By which no answer came just now: the next try goes elsewhere, as load balancers see to it."""
        self._position = 0
        self._requests = 0
        self._last = Told(0.0, 0.0)
        """The last request that was answered."""

    async def run(self) -> None:
        """Come, wait, shop, order, leave by the till."""
        story = self.story
        try:
            await self._come_in()
            for _ in range(2):
                await self._pause()
                await self._shop("page")
            await self._pause()
            await self._order()
            await self._pause()
            await self._shop("done")
            story.left = time.monotonic()
        finally:
            for browser in self._browsers:
                await browser.close()

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.3, 0.7))

    async def _come_in(self) -> None:
        story = self.story
        answer = await self._page(Stage.COMING, self._target("page"))
        story.placed = time.monotonic()
        poll_seconds = self._poll_seconds * self._chance.uniform(0.2, 1.0)
        while PASS_COOKIE not in self._cookies:
            await asyncio.sleep(poll_seconds)
            poll_seconds = self._poll_seconds
            state = await self._me()
            if state == "new":
                story.lost_place.append(time.monotonic())
            if state in {"called", "active", "new", "missed"}:
                story.turn = story.turn or self._last
                answer = await self._page(Stage.WAITING, self._target("page"))
        story.entered = time.monotonic()
        story.turn = story.turn or self._last
        if not on_site(answer):
            await self._shop("page")

    def _target(self, kind: str) -> str:
        self._requests += 1
        return f"/{kind}/{self.story.number}-{self._requests}"

    async def _ask(self, path: str, *, method: str = "GET", fetch: bool = False) -> Answer:
        browser = self._chance.choice([one for one in self._browsers if one is not self._failed] or self._browsers)
        self._failed = browser
        asked = time.monotonic()
        answer = await (browser.fetch(path) if fetch else browser.navigate(path, method=method))
        self._failed = None
        self._last = Told(asked, time.monotonic())
        if on_site(answer):
            self.story.served.append(path)
            if answer.body != page(path):
                self.story.not_whole.append(time.monotonic())
        return answer

    async def _page(self, stage: Stage, target: str) -> Answer:
        """Open a page, again and again until it is there: the shop's or the waiting page."""
        trouble: Trouble | None = None
        while True:
            try:
                answer = await self._ask(target)
            except Unanswered as error:
                what = str(error)
            else:
                if trouble is not None:
                    trouble.ended = time.monotonic()
                if answer.status < 500 or (HOLD_TITLE in answer.body and stage is not Stage.SHOPPING):
                    return answer
                what = f"{answer.status}{' hold page' if HOLD_TITLE in answer.body else ''}"
            trouble = self._troubled(trouble, stage, what)
            await asyncio.sleep(0.2)

    def _troubled(self, trouble: Trouble | None, stage: Stage, what: str) -> Trouble:
        now = time.monotonic()
        if trouble is None:
            trouble = Trouble(stage, now, now, set())
            self.story.troubles.append(trouble)
        trouble.ended = now
        trouble.tries += 1
        trouble.what.add(what)
        return trouble

    async def _me(self) -> str:
        """Ask where one stands, until the queue is reached."""
        trouble: Trouble | None = None
        while True:
            try:
                answer = await self._ask("/.waitroom/sale/me", fetch=True)
                said = json.loads(answer.body)
                state = str(said["state"])
            except (Unanswered, ValueError, KeyError) as error:
                trouble = self._troubled(trouble, Stage.WAITING, str(error))
                await asyncio.sleep(0.2)
                continue
            if state == "reconnecting":
                if not self._confirmed:
                    self.story.placed = inf
                trouble = self._troubled(trouble, Stage.WAITING, state)
                await asyncio.sleep(0.5)
                continue
            if trouble is not None:
                trouble.ended = time.monotonic()
            self._confirmed = True
            self.story.placed = min(self.story.placed, time.monotonic())
            if state == "waiting":
                self.story.still_waiting.append(self._last)
                position = 0 if said["recovering"] else int(said["position"])
                if 0 < self._position < position:
                    self.story.rises.append((time.monotonic(), self._position, position))
                self._position = position
            return state

    async def _shop(self, kind: str) -> None:
        """Open a page of the shop; anything but that and a failure means being thrown out."""
        while True:
            answer = await self._page(Stage.SHOPPING, self._target(kind))
            if on_site(answer):
                return
            self.story.thrown_out.append(time.monotonic())
            if kind == "done":
                return
            await asyncio.sleep(0.5)

    async def _order(self) -> None:
        target = self._target("order")
        self.story.orders[target] = False
        try:
            answer = await self._ask(target, method="POST")
        except Unanswered as error:
            self._troubled(None, Stage.SHOPPING, str(error))
            return
        self.story.orders[target] = on_site(answer)
        if answer.status >= 500:
            self._troubled(None, Stage.SHOPPING, f"order {answer.status}")
        elif not on_site(answer):
            self.story.thrown_out.append(time.monotonic())


class Crowd:
    """`size` visitors, and a new one for each who leaves."""

    def __init__(self, size: int, ports: Sequence[int], chance: random.Random, *, poll_seconds: float = 1.0) -> None:
        self.stories: list[Story] = []
        self._size = size
        self._ports = ports
        self._chance = chance
        self._poll_seconds = poll_seconds
        self._open = True
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let them come, within a second."""
        self._tasks = [asyncio.create_task(self._one_after_another(i / self._size)) for i in range(self._size)]

    async def drain(self, seconds: float) -> None:
        """Let nobody new come and wait until everybody has left the shop; raises TimeoutError."""
        self._open = False
        async with asyncio.timeout(seconds):
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Send everybody away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _one_after_another(self, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        while self._open:
            story = Story(len(self.stories), time.monotonic())
            self.stories.append(story)
            await Person(story, self._ports, self._chance, self._poll_seconds).run()
