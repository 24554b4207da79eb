"""The observer: whether the promises were kept, from what visitors were told and what the shop saw. Pure.

It sees no store and no log. The rate and the capacity are judged over the whole run, everything else from `since` on.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from tests.journeys.experiment.crowd import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.journeys.experiment.crowd import Story
    from tests.journeys.experiment.shop import Shop

SAME_MOMENT_SECONDS = 0.05
"""Who comes within it of another may be put before or behind: the clocks of two gateways agree that far."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an experiment cost. All but the counts of what happened must be 0."""

    over_rate: int
    over_capacity: int
    out_of_order: int
    places_lost: int
    thrown_out: int
    sent_twice: int
    vanished: int
    not_whole: int
    entered: int
    served: int
    waiting_seconds: float
    """The longest that somebody who waited was without a true answer."""
    shopping_seconds: float
    """The longest that somebody in the shop was without a page."""
    shopping_tries: int
    """The most requests of one in the shop that failed in a row."""
    coming_seconds: float
    troubled: int
    """How many noticed anything."""

    @property
    def lost(self) -> dict[str, int]:
        """What must not be, and was."""
        names = (
            "over_rate", "over_capacity", "out_of_order", "places_lost", "thrown_out", "sent_twice", "vanished",
            "not_whole",
        )  # fmt: skip
        return {name: count for name in names if (count := getattr(self, name))}

    def row(self) -> dict[str, object]:
        """What a table shows of it."""
        return {
            "lost": sum(self.lost.values()),
            "entered": self.entered,
            "served": self.served,
            "noticed by": self.troubled,
            "waiting": f"{self.waiting_seconds:.1f} s",
            "shopping": f"{self.shopping_seconds:.1f} s",
            "coming": f"{self.coming_seconds:.1f} s",
        }


def judge(
    stories: Sequence[Story], shop: Shop, since: float, *, rate: int, capacity: int, emptied: Sequence[float] = ()
) -> Verdict:
    """Return the verdict on what happened from `since` on. Times are those of `time.monotonic`.

    `emptied`: when the store lost its memory. A turn that came just before and that its visitor had not heard of is lost with
    it, the place is not; so what may be a turn of before (asked for before) is not held against what may be waiting after (heard
    after).
    """
    entries = [(_asked(story, entered), entered) for story in stories if (entered := _entered(story, shop))]
    troubles = [(story, t) for story in stories for t in story.troubles if t.ended >= since]

    def longest(stage: Stage) -> float:
        return max((t.ended - max(t.began, since) for _, t in troubles if t.stage is stage), default=0.0)

    def count(of: Callable[[Story], Sequence[float]]) -> int:
        return sum(at >= since for story in stories for at in of(story))

    orders = {target: told for story in stories for target, told in story.orders.items()}
    return Verdict(
        over_rate=max(0, _busiest_minute(entries) - rate),
        over_capacity=max(0, _peak(stories, shop) - capacity),
        out_of_order=_inversions(stories, since, emptied),
        places_lost=count(lambda story: story.lost_place),
        thrown_out=count(lambda story: [at for at in story.thrown_out if at < shop.done.get(story.number, at + 1)]),
        sent_twice=sum(shop.asked[target] > 1 for target in orders),
        vanished=sum(not shop.asked[target] for story in stories for target in story.served),
        not_whole=count(lambda story: story.not_whole),
        entered=sum(at >= since for _, at in entries),
        served=sum(len(story.served) for story in stories if story.left >= since),
        waiting_seconds=longest(Stage.WAITING),
        shopping_seconds=longest(Stage.SHOPPING),
        shopping_tries=max((t.tries for _, t in troubles if t.stage is Stage.SHOPPING), default=0),
        coming_seconds=longest(Stage.COMING),
        troubled=len({story.number for story, _ in troubles}),
    )


def _entered(story: Story, shop: Shop) -> float:
    """When somebody entered, as the shop saw it or they were told, whichever came first; 0.0 if not yet."""
    times = [at for at in (story.entered, shop.first_seen.get(story.number, 0.0)) if at]
    return min(times, default=0.0)


def _asked(story: Story, entered: float) -> float:
    """When somebody asked who `entered` then: the store let them in at some moment between."""
    return story.turn.asked if story.turn is not None and story.turn.asked <= entered else story.came


def _busiest_minute(entries: Sequence[tuple[float, float]]) -> int:
    """The most that entered within 60 s for certain: they asked and entered within. Who took longer counts in none."""
    asked, entered = sorted(at for at, _ in entries), sorted(at for _, at in entries)
    return max((bisect_left(entered, at + 60) - i for i, at in enumerate(asked)), default=0)


def _peak(stories: Sequence[Story], shop: Shop) -> int:
    """The most that were in the shop at once: from the entry to the order's confirmation."""
    steps = []
    for story in stories:
        if entered := _entered(story, shop):
            steps.append((entered, 1))
            if done := shop.done.get(story.number):
                steps.append((done, -1))
    inside = peak = 0
    for _, step in sorted(steps):
        inside += step
        peak = max(peak, inside)
    return peak


def _inversions(stories: Sequence[Story], since: float, emptied: Sequence[float]) -> int:
    """How many were told "waiting" to a request sent after somebody had been let in who came only after they had a place."""
    memories = {begun: _Turns(stories, begun) for begun in (0.0, *emptied)}
    overtaken = 0
    for story in stories:
        for told in story.still_waiting:
            turns = memories[max((at for at in emptied if at < told.heard), default=0.0)]
            if told.asked >= since and turns.latest_comer(told.asked) > story.placed + SAME_MOMENT_SECONDS:
                overtaken += 1
                break
    return overtaken


class _Turns:
    """The turns that a memory of the store gave, if it began at `begun`: those asked for after that."""

    def __init__(self, stories: Sequence[Story], begun: float) -> None:
        turns = sorted((s.turn.heard, s.came) for s in stories if s.turn is not None and s.turn.asked >= begun)
        self._heard = [heard for heard, _ in turns]
        self._latest_comers = list(accumulate((came for _, came in turns), max, initial=0.0))

    def latest_comer(self, at: float) -> float:
        """When the last came of those who had heard of their turn by then; 0.0 when none had."""
        return self._latest_comers[bisect_left(self._heard, at)]
