"""The offset to the store's clock."""

from __future__ import annotations

import pytest

from waitroom.store.clock import StoreClock


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_before_the_first_answer_the_own_clock_is_the_best_guess() -> None:
    assert StoreClock(Time(), 5_000_000).now_ms() == 5_000_000


def test_the_middle_of_the_round_trip_is_when_the_store_spoke() -> None:
    time = Time()
    clock = StoreClock(time, 0)
    time.now = 100.010
    clock.learn(100.0, 7_000_000)
    assert clock.now_ms() == pytest.approx(7_000_005.5)


def test_the_quickest_round_trip_lately_is_believed() -> None:
    time = Time()
    clock = StoreClock(time, 0)
    time.now = 100.002
    clock.learn(100.0, 1_000)
    time.now = 101.202
    clock.learn(101.0, 9_999)
    assert clock.now_ms() == pytest.approx(1_000.5 - 1 + 1_202)


def test_a_slow_round_trip_is_better_than_one_of_long_ago() -> None:
    time = Time()
    clock = StoreClock(time, 0)
    time.now = 100.002
    clock.learn(100.0, 1_000)
    time.now = 111.100
    clock.learn(111.0, 50_000)
    assert clock.now_ms() == pytest.approx(50_050.5)
