"""The observer of the experiments finds each broken promise, and none where all were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.journeys.experiment.crowd import Stage, Story, Told, Trouble
from tests.journeys.experiment.judge import judge
from tests.journeys.experiment.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable


def told() -> tuple[list[Story], Shop]:
    """Two who came one after the other, waited, entered in order, ordered and left."""
    shop = Shop()
    stories = []
    for number in range(2):
        at = 10.0 * number
        order = f"/order/{number}-2"
        story = Story(
            number, at, placed=at + 1, still_waiting=[Told(at + 2, at + 2.1)], turn=Told(at + 19.9, at + 20),
            entered=at + 21, left=at + 25, served=[f"/page/{number}-1", order], orders={order: True},
        )  # fmt: skip
        stories.append(story)
        shop.asked.update(story.served)
        shop.first_seen[number], shop.done[number] = at + 21, at + 24
    return stories, shop


def lost(
    stories: list[Story], shop: Shop, *, rate: int = 2, capacity: int = 1, emptied: tuple[float, ...] = ()
) -> object:
    return judge(stories, shop, 0.0, rate=rate, capacity=capacity, emptied=emptied).lost


def test_nothing_is_found_where_all_promises_were_kept() -> None:
    stories, shop = told()
    assert lost(stories, shop) == {}


BROKEN: dict[str, Callable[[list[Story], Shop], object]] = {
    "over_capacity": lambda stories, shop: shop.done.update({0: 32.0}),
    "out_of_order": lambda stories, shop: stories[0].still_waiting.append(Told(31.0, 31.1)),
    "places_lost": lambda stories, shop: stories[0].lost_place.append(5.0),
    "thrown_out": lambda stories, shop: stories[0].thrown_out.append(22.0),
    "sent_twice": lambda stories, shop: shop.asked.update(["/order/0-2"]),
    "vanished": lambda stories, shop: stories[0].served.append("/page/0-9"),
    "not_whole": lambda stories, shop: stories[0].not_whole.append(22.0),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_broken_promise_is_found(what: str) -> None:
    stories, shop = told()
    BROKEN[what](stories, shop)
    assert lost(stories, shop) == {what: 1}


def test_more_than_the_rate_in_a_rolling_minute_is_found() -> None:
    stories, shop = told()
    assert lost(stories, shop, rate=1) == {"over_rate": 1}
    for seen, found in ((79.8, {"over_rate": 1}), (79.95, {})):
        shop.first_seen[1] = stories[1].entered = seen
        assert lost(stories, shop, rate=1) == found, "the first one asked at 19.9"


def test_who_was_sent_off_by_the_shop_itself_was_not_thrown_out() -> None:
    stories, shop = told()
    stories[0].thrown_out.append(24.5)
    assert lost(stories, shop) == {}


@pytest.mark.parametrize(
    ("emptied", "found"),
    [(29.5, 1), (29.95, 0), (30.5, 0), (31.05, 0), (31.5, 1)],
    ids=["before both", "under the turn", "between", "under the waiting", "after both"],
)
def test_a_turn_that_the_emptied_store_forgot_before_it_was_told_is_not_held_against_the_order(
    emptied: float, found: int
) -> None:
    """The second one's turn was asked for at 29.9 and heard at 30; at 31 the first one asks, and hears "waiting" at 31.1."""
    stories, shop = told()
    stories[0].still_waiting.append(Told(31.0, 31.1))
    assert lost(stories, shop, emptied=(emptied,)) == ({"out_of_order": 1} if found else {})


def test_what_was_noticed_is_told_by_where_one_was_and_only_from_then_on() -> None:
    stories, shop = told()
    stories[0].troubles = [
        Trouble(Stage.WAITING, 3.0, 5.0, set(), 4), Trouble(Stage.SHOPPING, 21.0, 21.5, set(), 2),
        Trouble(Stage.SHOPPING, 2.0, 3.0, set(), 9),
    ]  # fmt: skip
    verdict = judge(stories, shop, 4.0, rate=2, capacity=1)
    assert (verdict.waiting_seconds, verdict.shopping_seconds, verdict.coming_seconds) == (1.0, 0.5, 0.0)
    assert (verdict.shopping_tries, verdict.troubled, verdict.entered) == (2, 1, 2)
