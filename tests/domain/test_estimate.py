"""Position → range of waiting time, and how soon to ask again."""

from __future__ import annotations

import pytest

from tests.gateway.front import census
from waitroom.domain.estimate import poll_after_seconds, speed_per_minute, wait_range
from waitroom.domain.room import Mode, Room


@pytest.mark.parametrize(
    ("room", "counted", "speed"),
    [
        ({"rate": 600}, {"entries": 3}, 600.0),
        ({"rate": 600, "capacity": 100}, {"active": 50, "entries": 3}, 600.0),
        ({"rate": 600, "capacity": 100}, {"active": 90, "called": 5, "reserved": 5, "entries": 30}, 30.0),
        ({"rate": 20, "capacity": 100}, {"active": 100, "entries": 30}, 20.0),
        ({"capacity": 100}, {"active": 100, "entries": 30}, 30.0),
        ({"capacity": 100}, {"active": 100, "entries": 0}, None),
        ({}, {"entries": 30}, 30.0),
        ({}, None, None),
        ({"rate": 0}, {"entries": 30}, None),
        ({"capacity": 0}, {"entries": 30}, None),
        ({"rate": 600, "mode": Mode.PAUSED}, {}, None),
        ({"rate": 600}, None, 600.0),
    ],
)
def test_the_limit_that_decides_tells_the_speed(
    room: dict[str, object], counted: dict[str, object] | None, speed: float | None
) -> None:
    known = None if counted is None else census(**counted)
    assert speed_per_minute(Room(name="r", **room), known) == speed


@pytest.mark.parametrize(
    ("position", "speed", "wait"),
    [
        (1, 60.0, (0, 1)),
        (59, 60.0, (0, 1)),
        (60, 60.0, (1, 2)),
        (120, 60.0, (2, 5)),
        (300, 60.0, (5, 10)),
        (600, 60.0, (10, 15)),
        (900, 60.0, (15, 30)),
        (1800, 60.0, (30, 60)),
        (3600, 60.0, (60, None)),
        (10**9, 60.0, (60, None)),
        (5, None, None),
        (5, 0.0, None),
        (0, 60.0, None),
    ],
)
def test_a_wait_is_told_as_a_coarse_range_or_not_at_all(
    position: int, speed: float | None, wait: tuple[int, int | None] | None
) -> None:
    assert wait_range(position, speed) == wait


@pytest.mark.parametrize(
    ("position", "speed", "mode", "seconds"),
    [
        (1, 60.0, Mode.ON, 2),
        (90, 60.0, Mode.ON, 7),
        (10_000, 60.0, Mode.ON, 20),
        (0, 60.0, Mode.ON, 2),
        (3, None, Mode.ON, 2),
        (300, None, Mode.ON, 10),
        (10, 1.0, Mode.ON, 4),
        (11, 1.0, Mode.ON, 20),
        (3, 60.0, Mode.PAUSED, 15),
        (0, None, Mode.CLOSED, 15),
    ],
)
def test_who_is_near_the_front_asks_soon_and_nobody_asks_often_in_vain(
    position: int, speed: float | None, mode: Mode, seconds: int
) -> None:
    assert poll_after_seconds(position, speed, mode) == seconds
