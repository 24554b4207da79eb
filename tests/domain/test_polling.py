"""How soon to ask again: soon near the front, rarely far back, and never too many at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitroom.domain.polling import (
    CALLED_SECONDS,
    JITTER_MOST,
    LAST_POSITION,
    MEAN_JITTER,
    SHORTEST_SECONDS,
    near,
    poll_seconds,
    polls,
    requests_per_second,
)

SPEEDS = st.one_of(st.none(), st.floats(0.1, 600_000))


@settings(max_examples=300, deadline=None)
@given(waiting=st.integers(0, 5_000_000), called=st.integers(0, 50_000), speed=SPEEDS, budget=st.integers(10, 100_000))
def test_no_crowd_asks_more_than_the_budget(waiting: int, called: int, speed: float | None, budget: int) -> None:
    rows = polls(waiting, called, speed, budget)
    assert requests_per_second(rows, waiting) + min(budget / 2, called / CALLED_SECONDS) <= budget
    assert len(rows) <= 100
    assert rows[-1][0] == LAST_POSITION
    assert all(before[0] < after[0] and before[1] <= after[1] for before, after in pairwise(rows))


@settings(max_examples=20, deadline=None)
@given(waiting=st.integers(0, 30_000), speed=SPEEDS, budget=st.integers(10, 2_000))
def test_the_sum_over_all_positions_is_what_is_reckoned(waiting: int, speed: float | None, budget: int) -> None:
    rows = polls(waiting, 0, speed, budget)
    told = sum(1 / (poll_seconds(position, rows) * MEAN_JITTER) for position in range(1, waiting + 1))
    assert told == pytest.approx(requests_per_second(rows, waiting))


@pytest.mark.parametrize("speed", [None, 1.0, 600.0])
def test_a_small_crowd_sees_a_new_message_within_two_seconds(speed: float | None) -> None:
    rows = polls(900, 10, speed, 1_000)
    assert {poll_seconds(position, rows) * JITTER_MOST <= 2 for position in range(1, 901)} == {True}


@pytest.mark.parametrize(("waiting", "speed"), [(10_000, 600.0), (100_000, 600.0), (100_000, 5_000.0)])
def test_nobody_asks_later_than_their_turn(waiting: int, speed: float) -> None:
    rows = polls(waiting, 0, speed, 1_000)
    for position in range(200, waiting, 97):
        assert poll_seconds(position, rows) * JITTER_MOST < position / speed * 60


def test_the_front_asks_soon_and_the_back_seldom() -> None:
    rows = polls(1_000_000, 0, 600.0, 1_000)
    assert poll_seconds(1, rows) == SHORTEST_SECONDS
    assert poll_seconds(1_000_000, rows) > 600


def test_a_rush_after_the_snapshot_does_not_ask_as_the_few_did_who_were_there() -> None:
    rows = polls(5, 0, 600.0, 1_000)
    assert poll_seconds(5, rows) == SHORTEST_SECONDS
    assert requests_per_second(rows, 100_000) < 10_000


def test_near_are_those_whose_turn_may_come_before_they_read_of_it() -> None:
    assert (near(None, 1_000), near(60.0, 1_000), near(6_000.0, 1_000), near(600_000.0, 1_000)) == (10, 10, 375, 375)
