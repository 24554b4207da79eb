"""What charts make of a room's samples."""

from __future__ import annotations

from typing import Any

import pytest

from waitroom.domain.history import LATENCY_BOUNDS_MS, STEPS, Sample, chart, quantile, step_for
from waitroom.metrics import BACKEND_SECONDS

NOTHING = {"rate": -1, "capacity": -1, "waiting": 0, "called_now": 0, "active": 0}


def sample(at_s: int, **counts: int) -> Sample:
    return Sample(at_s * 1000, NOTHING | counts)


def points(*samples: Sample) -> list[dict[str, Any]]:
    return chart(samples)


def test_what_happened_is_the_difference_of_two_samples() -> None:
    (point,) = points(
        sample(10, joined=5, direct=1, admitted=7),
        sample(20, joined=9, direct=3, admitted=8, rate=600, capacity=50, waiting=4, active=2),
    )
    assert (point["arrivals_per_minute"], point["admitted_per_minute"]) == (36.0, 6.0)
    assert (point["rate"], point["capacity"], point["waiting"], point["active"]) == (600, 50, 4, 2)


def test_a_counter_that_fell_began_anew() -> None:
    (point,) = points(sample(10, joined=500), sample(20, joined=3))
    assert point["arrivals_per_minute"] == 18.0


def test_what_nobody_can_say_is_none() -> None:
    (point,) = points(sample(10), sample(11))
    silent = {name for name, value in point.items() if value is None}
    assert silent == {
        "rate", "capacity", "shop_p50_ms", "shop_p95_ms", "shop_error_share", "waited_seconds", "shown_low_seconds",
        "shown_high_seconds", "estimates_held_share",
    }  # fmt: skip
    assert points(sample(10)) == points() == []


def test_waits_shown_and_true_are_means_of_those_who_entered() -> None:
    (point,) = points(
        sample(10), sample(11, waits=2, waited_s=300, held=1, longer=1, shown_low_s=120, shown_high_s=600)
    )
    assert (point["waited_seconds"], point["shown_low_seconds"], point["shown_high_seconds"]) == (150, 60, 300)
    assert point["estimates_held_share"] == 0.5


def test_latencies_are_read_off_the_buckets() -> None:
    assert quantile([0, 0, 10, 0], 0.5) == 17.5
    assert quantile([5, 0, 0, 5], 0.95) == 47.5
    assert quantile([0] * 13 + [1], 0.5) == 60_000
    assert quantile([0] * 14, 0.5) is None


def test_the_buckets_are_those_of_the_metric() -> None:
    assert tuple(round(bound * 1000) for bound in BACKEND_SECONDS) == LATENCY_BOUNDS_MS


@pytest.mark.parametrize(("minutes", "step"), [(1, 1), (15, 1), (16, 10), (240, 10), (241, 60), (9_999, 60)])
def test_the_finest_samples_that_reach_back_are_taken(minutes: int, step: int) -> None:
    assert step_for(minutes * 60_000)[1] == step


def test_two_days_are_kept() -> None:
    assert STEPS[-1][1] * STEPS[-1][2] == 48 * 3_600
