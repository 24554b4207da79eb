"""The beat: each room each 100 ms, whatever happens."""

from __future__ import annotations

import asyncio
import io
import json
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import pytest

from waitroom import logs
from waitroom.beat import PERIOD_SECONDS, Beat
from waitroom.errors import RoomUnknown, StoreUnavailable
from waitroom.metrics import Metrics

if TYPE_CHECKING:
    from waitroom.store.base import Store

pytestmark = pytest.mark.anyio


class Hearts:
    """A store that takes beats, as long as told, or fails as told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.beats: list[tuple[float, str]] = []
        self.takes_seconds = 0.0
        self.failure: Exception | None = None

    async def beat(self, room: str) -> None:
        self.beats.append((round(self.now, 3), room))
        self.now += self.takes_seconds
        if self.failure:
            raise self.failure


class Bench:
    def __init__(self, *rooms: str) -> None:
        self.rooms = rooms
        self.hearts = Hearts()
        self.metrics = Metrics()
        self.written = io.StringIO()
        self.slept: list[float] = []
        self.left = 5
        self.beat = Beat(
            cast("Store", self.hearts),
            lambda: self.rooms,
            self.metrics,
            logs.Log("beat", logs.Sink(self.written, style="json")),
            clock=lambda: self.hearts.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.hearts.now += seconds
        self.left -= 1
        if not self.left:
            raise asyncio.CancelledError

    async def run(self, beats: int = 5) -> None:
        self.left = beats
        with pytest.raises(asyncio.CancelledError):
            await self.beat.run()

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.written.getvalue().splitlines()]


async def test_every_room_has_a_beat_each_period() -> None:
    bench = Bench("drop", "vip")
    await bench.run(3)
    assert bench.hearts.beats == [
        (round(turn * PERIOD_SECONDS, 3), room) for turn in range(3) for room in ("drop", "vip")
    ]


async def test_the_time_of_a_beat_is_no_part_of_the_pause() -> None:
    bench = Bench("drop")
    bench.hearts.takes_seconds = 0.03
    await bench.run(3)
    assert [when for when, _ in bench.hearts.beats] == [0.0, 0.1, 0.2]
    assert bench.slept == [0.07, 0.07, 0.07]


async def test_late_beats_are_not_made_up_for() -> None:
    bench = Bench("drop")
    bench.hearts.takes_seconds = 0.25
    await bench.run(3)
    bench.hearts.takes_seconds = 0.0
    bench.hearts.beats.clear()
    await bench.run(3)
    starts = [when for when, _ in bench.hearts.beats]
    assert bench.slept[:3] == [0, 0, 0]
    assert [round(b - a, 3) for a, b in pairwise(starts)] == [0.1, 0.1]


async def test_an_outage_is_counted_each_beat_and_told_once_with_its_end() -> None:
    bench = Bench("drop")
    bench.hearts.failure = StoreUnavailable("no answer in 250 ms")
    await bench.run(3)
    bench.hearts.failure = None
    await bench.run(2)
    assert bench.events == ["beat_lost", "beat_back"]
    assert b'waitroom_beat_failures_total{room="drop"} 3.0' in bench.metrics.render()


async def test_what_nobody_foresaw_does_not_stop_it_either() -> None:
    bench = Bench("drop", "vip")
    bench.hearts.failure = ZeroDivisionError()
    await bench.run(3)
    assert len(bench.hearts.beats) == 6
    assert bench.events == ["beat_broke", "beat_lost"] * 2


async def test_rooms_come_and_go_between_beats() -> None:
    bench = Bench("drop")
    bench.hearts.failure = RoomUnknown("no room")
    await bench.run(1)
    bench.rooms = ("vip",)
    bench.hearts.failure = None
    await bench.run(1)
    bench.rooms = ()
    await bench.run(1)
    assert [room for _, room in bench.hearts.beats] == ["drop", "vip"]
    assert bench.events == ["beat_lost"]
