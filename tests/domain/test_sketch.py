"""A queue of any length in 200 numbers: how true a position read back from them is."""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitroom.domain.sketch import FRONT, MOST_POINTS, position_of, ranks, sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

START_US = 1_763_756_603_000_000
LENGTHS = [10, 1_000, 100_000, 1_000_000]


def sketched(waiting: int, score: Callable[[int], int]) -> list[tuple[int, int]]:
    """The sketch of a queue whose member at a rank has a score, made as the store and a gateway do."""
    asked = sorted({*range(min(FRONT, waiting)), *ranks(waiting), waiting - 1})
    return sketch([(score(rank), rank + 1) for rank in asked])


def check(waiting: int, score: Callable[[int], int], positions: Iterable[int]) -> None:
    """No position read back is wrong by more than is promised, and the sketch is small and rises."""
    points = sketched(waiting, score)
    assert len(points) <= MOST_POINTS
    assert points == sorted(points)
    for position in positions:
        read = position_of(score(position - 1), points, waiting)
        if position <= 10:
            assert read == position
        elif position < 30:
            assert abs(read - position) <= 1
        else:
            assert abs(read - position) <= 0.03 * position, (position, read)


class Arrivals:
    """Stretches of arrivals, each with its share of the queue and its gap in µs between two visitors, and pauses."""

    def __init__(self, waiting: int, stretches: list[tuple[int, int, int]]) -> None:
        whole = sum(share for share, _, _ in stretches)
        counts = [waiting * share // whole for share, _, _ in stretches]
        counts[-1] += waiting - sum(counts)
        self._gaps = [gap for _, gap, _ in stretches]
        self.firsts = [0, *accumulate(counts)]
        spans = [count * gap + pause for count, (_, gap, pause) in zip(counts, stretches, strict=True)]
        self._starts = [START_US, *accumulate(spans, initial=START_US)][1:]

    def score(self, rank: int) -> int:
        stretch = min(bisect_right(self.firsts, rank) - 1, len(self._gaps) - 1)
        return self._starts[stretch] + (rank - self.firsts[stretch]) * self._gaps[stretch]


STRETCHES = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 3, 10, 100]),
        st.sampled_from([1, 20, 1_000, 50_000, 2_000_000]),
        st.sampled_from([0, 1_000_000, 600_000_000]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("waiting", LENGTHS)
@settings(max_examples=60, deadline=None)
@given(stretches=STRETCHES, seed=st.integers(0, 10_000))
def test_a_position_read_back_is_nearly_true_for_smooth_and_bursty_arrivals(
    waiting: int, stretches: list[tuple[int, int, int]], seed: int
) -> None:
    arrivals = Arrivals(waiting, stretches)
    chance = random.Random(seed)
    ends = [first + off for first in arrivals.firsts for off in (-1, 0, 1, 2)]
    some = [round(waiting ** chance.random()) for _ in range(300)]
    check(waiting, arrivals.score, [p for p in (*range(1, 100), *ends, *some) if 1 <= p <= waiting])


@pytest.mark.parametrize("waiting", LENGTHS[:3])
@pytest.mark.parametrize("abandoning", [0.0, 0.3, 0.8])
def test_a_position_read_back_is_nearly_true_when_many_have_gone(waiting: int, abandoning: float) -> None:
    """Arrivals by chance, in waves; of those who have waited longer more are gone."""
    chance = random.Random(f"{waiting} {abandoning}")
    scores: list[int] = []
    at = START_US
    while len(scores) < waiting:
        wave = 20 if len(scores) // (waiting // 5) % 2 else 1
        at += round(chance.expovariate(1 / (200 * wave))) + 1
        if chance.random() >= abandoning * (1 - len(scores) / waiting):
            scores.append(at)
    check(waiting, scores.__getitem__, range(1, waiting + 1))


def test_an_empty_queue_has_an_empty_sketch() -> None:
    assert sketch([]) == []
    assert position_of(START_US, [], 0) == 1


def test_whoever_came_after_the_sketch_is_behind_all_in_it() -> None:
    points = sketched(50, lambda rank: START_US + rank)
    assert position_of(START_US + 50, points, 50) == 51
    assert position_of(START_US - 1, points, 50) == 1


def test_two_with_one_score_are_one_point() -> None:
    points = [(START_US + at // 2, at + 1) for at in range(40)]
    assert sketch(points)[:10] == [(START_US + at, 2 * at + 1) for at in range(10)]


def test_arrivals_too_uneven_for_200_points_are_told_less_exactly_not_at_length() -> None:
    chance = random.Random(7)
    scores = list(accumulate((10 ** chance.randrange(9) for _ in range(100_000)), initial=START_US))
    assert len(sketched(100_000, scores.__getitem__)) <= MOST_POINTS


def test_few_ranks_are_asked_for() -> None:
    assert (ranks(FRONT), ranks(90)) == ((), (81, 83, 85, 87, 89))
    assert len(ranks(1_000_000)) < 400
