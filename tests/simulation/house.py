"""A room with its crowd, second by second, in the model that the store is compared with: what was told, and what came true.

Each second some arrive, the room beats, and those called come, or do not. Whoever gets a place is told the range of the
shared document of the last three seconds.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.store.model import WINDOW_MS, Model
from waitroom.domain.claims import QueueClaims
from waitroom.domain.estimate import Estimate, estimate, wait_range
from waitroom.domain.outcome import Outcome, outcome_of
from waitroom.domain.room import Mode, Room
from waitroom.domain.snapshot import Pulse, Snapshot
from waitroom.domain.visit import Answer, Census
from waitroom.store.base import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

START_MS = 1_800_000_000_000
PULSE_MS, PULSES = 5_000, 61
DOCUMENT_SECONDS = 3
"""How old a document may be that a cache hands out."""
MOST_CALLED = 1_000
"""A beat calls no more."""
GENERATION = "simulated"


class Ordered(dict[str, int]):
    """A queue that knows its order, so that nobody sorts it."""

    def __init__(self) -> None:
        super().__init__()
        self.ordered: list[tuple[int, str]] = []

    def __setitem__(self, visitor: str, score: int) -> None:
        self.pop(visitor, None)
        super().__setitem__(visitor, score)
        insort(self.ordered, (score, visitor))

    def pop(self, visitor: str, *default: Any) -> Any:
        score = super().pop(visitor, *default)
        if score is not None:
            del self.ordered[bisect_left(self.ordered, (score, visitor))]
        return score


class SwiftModel(Model):
    """The model, made fast enough for a crowd."""

    queue: Ordered

    def begin(self, generation: str) -> None:
        super().begin(generation)
        self.queue = Ordered()

    def accrue(self) -> None:
        """As the model, but a remainder of up to a second's worth is not lost: here beats are that far apart."""
        per_ms = (self.room.rate or 0) / 60_000
        grown = self.credit + (self.now_ms - self.credit_ms) * per_ms
        super().accrue()
        if self.queue and self.room.rate is not None:
            self.credit = min(grown, self.credit + per_ms * 1000)

    @property
    def active_count(self) -> int:
        now_ms = self.session_now
        return sum(end > now_ms for end in self.active.values())

    @property
    def entered(self) -> int:
        return len(self.entries) - bisect_left(self.entries, self.now_ms - WINDOW_MS)

    def order(self) -> list[str]:
        return [visitor for _, visitor in self.queue.ordered[:MOST_CALLED]]

    def waiting(self, visitor: str) -> tuple[Answer, int, int, int]:
        score = self.queue[visitor]
        return Answer.WAITING, score, bisect_left(self.queue.ordered, (score, visitor)) + 1, 0


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who comes and how they behave. Times in seconds."""

    arrivals: Callable[[int], float]
    """How many come in a second, on average."""
    shopping_seconds: float = 240.0
    """How long a session lasts on average until the site ends it; drawn from an exponential distribution."""
    absent_share: float = 0.05
    """Of those called, who do not come: their tab is closed."""
    returning_share: float = 0.0
    """Of those absent, who come back later, to the front."""
    leaving_per_minute: float = 0.0
    """Share of those waiting who say each minute that they leave."""
    slow_share: float = 0.1
    """Of those who come, whose page is hidden, so that they come up to a minute late."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A crowd at a room, and what an operator does meanwhile."""

    name: str
    about: str
    room: dict[str, Any]
    crowd: Crowd
    changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Second → what is changed."""
    away: range = range(0)
    """Seconds in which the store is away."""
    minutes: int = 40


@dataclass(slots=True)
class Told:
    """What one visitor was told, and what came true."""

    joined_s: int
    range: tuple[int, int | None] | None
    called_s: int | None = None

    @property
    def outcome(self) -> Outcome:
        assert self.called_s is not None
        return outcome_of(self.range, self.called_s - self.joined_s)


class House:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.chance = random.Random(scenario.name)
        self.room = Room(name="simulated", claim_seconds=60, renew="fixed", **scenario.room)
        self.model = SwiftModel(self.room, START_MS * 1000)
        self.model.begin(GENERATION)
        self.told: dict[str, Told] = {}
        self.coming: dict[int, list[str]] = defaultdict(list)
        self.ending: dict[int, list[str]] = defaultdict(list)
        self.returning: dict[int, list[str]] = defaultdict(list)
        self.totals: dict[str, int] = defaultdict(int)
        self.pulses: list[Pulse] = []
        self.estimate: Estimate | None = None
        self.visitors = 0

    def run(self) -> list[Told]:
        """Return everybody who was given a place and called."""
        for second in range(self.scenario.minutes * 60):
            self.model.now_us = (START_MS + second * 1000) * 1000
            if second in self.scenario.away:
                continue
            self.model.touch(GENERATION, None)
            if second in self.scenario.changes:
                before, self.room = self.room, self.room.changed(self.scenario.changes[second])
                self.model.configure(self.room)
                if (before.mode, before.capacity) != (self.room.mode, self.room.capacity):
                    self.pulses.clear()
            del self.model.entries[: -self.model.entered or None]
            self.beat(second)
            self.note_pulse()
            if second % DOCUMENT_SECONDS == 0:
                self.estimate = None
            self.arrive(second)
            self.come(second)
            self.go(second)
        return [told for told in self.told.values() if told.called_s is not None]

    def beat(self, second: int) -> None:
        model, chance, crowd = self.model, self.chance, self.scenario.crowd
        called, active = set(model.called), set(model.active)
        model.beat()
        for visitor in [visitor for visitor in model.called if visitor not in called]:
            self.totals["called"] += 1
            told = self.told[visitor]
            if told.called_s is None:
                told.called_s = second
            if chance.random() >= crowd.absent_share or visitor in self.returning[-1]:
                late = chance.uniform(5, 55) if chance.random() < crowd.slow_share else chance.uniform(0, 2)
                self.coming[second + int(late)].append(visitor)
            elif chance.random() < crowd.returning_share:
                self.returning[second + 61 + int(chance.uniform(0, 600))].append(visitor)
        self.totals["missed"] += len(called - model.called.keys())
        self.totals["ended"] += len(active - model.active.keys())

    def arrive(self, second: int) -> None:
        mean = self.scenario.crowd.arrivals(second)
        for _ in range(self._poisson(mean)):
            self.visitors += 1
            visitor = f"v{self.visitors}"
            answer, _, position, _ = self.model.enter(visitor, None, Purpose.CLAIM)
            if answer is Answer.ADMITTED:
                self.admitted(visitor, second)
            elif answer is Answer.WAITING:
                if self.estimate is None:
                    self.estimate = estimate(self.room, self.snapshot())
                self.told[visitor] = Told(second, wait_range(position, self.estimate.waits))
        for visitor in self.returning.pop(second, ()):
            if visitor in self.model.missed:
                score = (START_MS + self.told[visitor].joined_s * 1000) * 1000
                self.model.enter(visitor, QueueClaims("simulated", visitor, score, 1, GENERATION), Purpose.CLAIM)
                self.returning[-1].append(visitor)
                self.totals["returned"] += 1

    def come(self, second: int) -> None:
        for visitor in self.coming.pop(second, ()):
            if visitor not in self.model.called:
                continue
            answer, *_ = self.model.enter(visitor, None, Purpose.CLAIM)
            if answer is Answer.ADMITTED:
                self.admitted(visitor, second)
            else:
                self.coming[second + 2].append(visitor)

    def go(self, second: int) -> None:
        for visitor in self.ending.pop(second, ()):
            self.totals["released"] += self.model.release(visitor, GENERATION)
        leaving = self.scenario.crowd.leaving_per_minute / 60
        if leaving:
            for _ in range(self._poisson(leaving * len(self.model.queue))):
                _, visitor = self.chance.choice(self.model.queue.ordered)
                self.totals["left"] += self.model.leave(visitor)
                if not self.model.queue:
                    break

    def admitted(self, visitor: str, second: int) -> None:
        self.totals["admitted"] += 1
        shopping = self.chance.expovariate(1 / self.scenario.crowd.shopping_seconds)
        self.ending[second + 1 + int(shopping)].append(visitor)

    def note_pulse(self) -> None:
        if self.room.mode is not Mode.ON:
            self.pulses.clear()
        if not self.pulses or self.model.now_ms - self.pulses[-1].at_ms >= PULSE_MS:
            self.pulses = [*self.pulses, self.snapshot().now][-PULSES:]

    def snapshot(self) -> Snapshot:
        model, totals = self.model, self.totals
        census = Census(
            self.room.mode, 1, GENERATION, 1, model.now_ms, len(model.queue), len(model.called), len(model.missed),
            model.active_count, model.entered, model.reserved, max(0, model.recover_until_ms - model.now_ms),
            model.missed_share, self.visitors, totals["called"], totals["admitted"], totals["missed"], totals["returned"],
            totals["left"], totals["released"], totals["ended"],
        )  # fmt: skip
        return Snapshot(census, model.frontier_us, (), tuple(self.pulses))

    def _poisson(self, mean: float) -> int:
        """How many of many, each unlikely."""
        count, left = 0, self.chance.expovariate(1.0)
        while left < mean:
            count += 1
            left += self.chance.expovariate(1.0)
        return count
