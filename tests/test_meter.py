"""What a process measured is told once, and not lost."""

from __future__ import annotations

import pytest

from waitroom.errors import StoreUnavailable
from waitroom.meter import Meter
from waitroom.metrics import Metrics
from waitroom.recording import record


def test_what_was_told_is_not_told_again_and_what_was_not_heard_is() -> None:
    meter = Meter()
    assert meter.since("drop") == {}
    meter.requests(2, [0, 3])
    meter.requests(5, [1, 0])
    first = meter.since("drop")
    assert first == {"requests": 4, "errors": 1, "l0": 1, "l1": 3}
    assert meter.since("drop") == first, "it was not heard"
    meter.delivered("drop", first)
    meter.waited("drop", 61.6)
    assert meter.since("drop") == {"waits": 1, "waited_s": 62}


def test_a_room_that_comes_later_does_not_get_what_was_before() -> None:
    meter = Meter()
    meter.requests(2, [7])
    meter.waited("late", 3)
    assert meter.since("late") == {"waits": 1, "waited_s": 3}


async def recorded(meter: Meter, *rooms: list[str]) -> list[tuple[str, dict[str, int]]]:
    """What a store hears while these rooms are there, one second each."""
    heard: list[tuple[str, dict[str, int]]] = []
    seconds = iter(rooms)
    there: list[str] = []

    class Listening:
        async def sample(self, room: str, counts: dict[str, int]) -> None:
            heard.append((room, counts))

    async def sleep(_: float) -> None:
        nonlocal there
        following = next(seconds, None)
        if following is None:
            raise Ended
        meter.requests(2, [1])
        there = following

    with pytest.raises(Ended):
        await record(Listening(), lambda: there, meter, sleep=sleep)  # type: ignore[arg-type]
    return heard


@pytest.mark.anyio
async def test_a_room_made_again_does_not_get_what_was_while_it_was_gone() -> None:
    drop, more = ["drop"], {"requests": 1, "l0": 1}
    meter = Meter()
    assert await recorded(meter, drop, drop, [], [], drop, drop) == [
        ("drop", {}), ("drop", more), ("drop", {}), ("drop", more),
    ]  # fmt: skip


def test_what_the_metrics_count_is_measured() -> None:
    metrics = Metrics()
    metrics.request_finished("GET", 503, 0.004)
    metrics.wait_seconds("drop", 90)
    metrics.estimate("drop", "held", 0.0, (1, 2))
    metrics.estimate("drop", "shorter", 5.0, (60, None))
    metrics.estimate("drop", "unknown", 0.0, None)
    metrics.meter.since("drop")
    metrics.flush()
    counts = metrics.meter.since("drop")
    assert {name: count for name, count in counts.items() if count} == {
        "requests": 1, "errors": 1, "l0": 1, "waits": 1, "waited_s": 90, "held": 1, "shorter": 1,
        "shown_low_s": 3_660, "shown_high_s": 3_720,
    }  # fmt: skip


class Ended(Exception):
    """The test has seen enough."""


@pytest.mark.anyio
async def test_a_store_that_is_away_hears_it_later() -> None:
    heard: list[dict[str, int]] = []
    metrics = Metrics()
    meter = metrics.meter
    meter.since("drop")

    class Away:
        async def sample(self, room: str, counts: dict[str, int]) -> None:
            heard.append(counts)
            if len(heard) == 1:
                raise StoreUnavailable("away")

    async def sleep(seconds: float) -> None:
        if len(heard) == 3:
            raise Ended

    meter.waited("drop", 5)
    with pytest.raises(Ended):
        await record(Away(), lambda: ["drop"], meter, sleep=sleep)  # type: ignore[arg-type]
    assert heard == [{"waits": 1, "waited_s": 5}, {"waits": 1, "waited_s": 5}, {}]
