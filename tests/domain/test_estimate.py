"""A room's numbers → how fast its queue moves, and the range of waiting time of each position."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.front import NOW_MS, census
from waitroom.domain.estimate import UNKNOWN, entering, estimate, wait_range
from waitroom.domain.room import Mode, Room
from waitroom.domain.snapshot import Pulse, Snapshot


def snapshot(*pulses: Pulse, **counts: Any) -> Snapshot:
    return Snapshot(census(**counts), 0, (), pulses)


def pulse(seconds_ago: float, *, called: int = 0, freed: int = 0, admitted: int = 0) -> Pulse:
    return Pulse(NOW_MS - round(seconds_ago * 1000), called, 0, 0, freed, admitted)


LONG_CALLING = pulse(200, called=60)


@pytest.mark.parametrize("counts", [{"mode": Mode.PAUSED}, {"mode": Mode.CLOSED}, {"recovering_ms": 9_000}])
def test_nothing_is_known_while_nobody_enters(counts: dict[str, Any]) -> None:
    assert estimate(Room(name="r", rate=60), snapshot(waiting=9, **counts)) == UNKNOWN


@pytest.mark.parametrize("limits", [{"rate": 0}, {"capacity": 0}])
def test_nothing_is_known_where_nobody_is_to_enter(limits: dict[str, Any]) -> None:
    assert estimate(Room(name="r", **limits), snapshot(waiting=9)) == UNKNOWN


@pytest.mark.parametrize(
    ("position", "wait"),
    [
        (1, (0, 1)),
        (500, (0, 1)),
        (600, (0, 2)),
        (900, (1, 2)),
        (2_000, (2, 5)),
        (4_000, (5, 10)),
        (6_000, (5, 15)),
        (30_000, (30, 60)),
        (90_000, (60, None)),
        (0, None),
    ],
)
def test_where_the_rate_limits_the_rate_tells(position: int, wait: tuple[int, int | None] | None) -> None:
    found = estimate(Room(name="r", rate=600), snapshot(LONG_CALLING, waiting=9_000))
    assert found.speed_per_minute == 600
    assert wait_range(position, found.waits) == wait


def test_absent_visitors_make_a_queue_faster() -> None:
    found = estimate(Room(name="r", rate=600), snapshot(LONG_CALLING, waiting=9_000, missed_share=0.5))
    assert found.speed_per_minute == 1_200
    assert wait_range(4_000, found.waits) == (2, 5)


def test_until_the_absent_are_known_the_range_allows_for_some() -> None:
    found = estimate(Room(name="r", rate=600), snapshot(pulse(20, called=60), waiting=9_000))
    assert wait_range(3_500, found.waits) == (2, 10)


def test_where_the_capacity_limits_and_nothing_became_free_yet_nothing_is_known() -> None:
    room = Room(name="r", rate=600, capacity=100)
    assert estimate(room, snapshot(LONG_CALLING, waiting=9, active=100)) == UNKNOWN


def test_what_fits_into_free_slots_is_known_even_so() -> None:
    found = estimate(Room(name="r", rate=60, capacity=100), snapshot(LONG_CALLING, waiting=90, active=70))
    assert [wait_range(position, found.waits) for position in (20, 30, 31)] == [(0, 1), (0, 1), None]


def test_where_the_capacity_limits_sessions_that_end_tell() -> None:
    room = Room(name="r", rate=600, capacity=1_000)
    pulses = [pulse(300, called=1_000, freed=0), pulse(60, called=1_000, freed=800)]
    found = estimate(room, snapshot(*pulses, waiting=2_000, active=1_000, ended_total=600, released_total=400))
    assert found.speed_per_minute == 200
    assert wait_range(1_400, found.waits) == (5, 10)


def test_where_nothing_limits_everybody_enters_now() -> None:
    assert wait_range(500, estimate(Room(name="r"), snapshot(waiting=9)).waits) == (0, 1)


@pytest.mark.parametrize(
    ("pulses", "admitted", "rate", "told"),
    [
        ([], 40, 60, None),
        ([pulse(9)], 40, 60, None),
        ([pulse(20)], 20, 60, 60),
        ([pulse(20)], 60, 60, 60),
        ([pulse(20)], 60, None, 180),
        ([pulse(65, admitted=100), pulse(60, admitted=110), pulse(5)], 160, 600, 50),
    ],
    ids=[
        "nothing measured",
        "too short",
        "of less than a minute",
        "a burst does not go on",
        "no rate",
        "of one minute",
    ],
)
def test_how_many_enter_a_minute_is_measured_whatever_began_to_count_anew(
    pulses: list[Pulse], admitted: int, rate: int | None, told: int | None
) -> None:
    room = Room(name="r", rate=rate)
    assert entering(room, snapshot(*pulses, waiting=9, entries=0, admitted_total=admitted)) == told
