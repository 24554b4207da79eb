"""Promises 1 to 3 on real processes: never over, never idle, in order, while a gateway is killed."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from tests.journeys.stage import Site, Visitor, breakable_store, observing_site, on_site, serving, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journeys.stage import BreakableStore

pytestmark = [pytest.mark.anyio, pytest.mark.journey, pytest.mark.alone]

VISITORS, RATE, CAPACITY = 2_000, 6_000, 300


async def shop(port: int, chance: random.Random) -> None:
    """Come within two seconds, stay a moment, go."""
    await asyncio.sleep(chance.uniform(0, 2))
    async with Visitor("127.0.0.1", port, timeout_seconds=30) as visitor:
        await visitor.enter(poll_seconds=0.5)
        await asyncio.sleep(chance.uniform(0.3, 1.2))
        assert on_site(await visitor.patiently("/done"))


@contextmanager
def heartbeat(store: BreakableStore) -> Iterator[list[int]]:
    """Note the store's ms again and again; where two are more than 100 ms apart, the machine stood still."""
    beats: list[int] = []
    over = Event()

    def beat() -> None:
        with store.client() as client:
            while not over.wait(0.05):
                seconds, us = client.time()
                beats.append(seconds * 1_000 + us // 1_000)

    thread = Thread(target=beat)
    thread.start()
    try:
        yield beats
    finally:
        over.set()
        thread.join()


async def test_a_burst_over_four_gateways_with_one_killed_keeps_every_limit_and_the_order(tmp_path: Path) -> None:
    chance = random.Random(1)
    with breakable_store(tmp_path) as store:
        async with observing_site() as site:
            config = write_config(
                tmp_path, backend=f"http://127.0.0.1:{site.port}", store=store.url, workers=4,
                rate=RATE, capacity=CAPACITY, session_seconds=60,
            )  # fmt: skip
            with serving(config, tmp_path, ready=4) as running, heartbeat(store) as beats:
                async with asyncio.timeout(180), asyncio.TaskGroup() as crowd:
                    for _ in range(VISITORS):
                        crowd.create_task(shop(running.port, chance))
                    await asyncio.sleep(8)
                    os.kill(running.worker_pids()[0], signal.SIGKILL)
                journal = store.journal()
                check(site, journal, beats)
                died = [e for e in running.events() if e["event"] == "child_died"]
                assert [e["how"] for e in died] == ["SIGKILL"]


def check(site: Site, journal: list[tuple[int, str, str, int]], beats: list[int]) -> None:
    """Replay what the store wrote down, and compare with what the site saw; what took time counts while the machine ran."""
    stalls = [(a, b) for a, b in itertools.pairwise(beats) if b - a > 100]

    def ran_ms(since: int, until: int) -> int:
        return until - since - sum(max(0, min(b, until) - max(a, since)) for a, b in stalls)

    assert len(site.first_seen) == VISITORS
    assert site.peak_active <= CAPACITY
    assert site.busiest_minute() <= RATE

    calls = [(at, score) for at, kind, _, score in journal if kind == "called"]
    scores = [score for _, score in calls]
    inversions = sum(later < earlier for earlier, later in itertools.pairwise(scores))
    assert inversions == 0

    waiting = active = called = 0
    idle_since: int | None = None
    longest_idle_ms = 0
    limited: list[tuple[int, int]] = []
    for at, kind, _, score in journal:
        if idle_since is not None:
            longest_idle_ms = max(longest_idle_ms, ran_ms(idle_since, at))
        match kind:
            case "joined" | "returned":
                waiting += 1
            case "called":
                waiting, called = waiting - 1, called + 1
                idle_since = None
            case "admitted":
                active += 1
                called -= score > 0
            case "released":
                active -= 1
        assert active <= CAPACITY
        room = waiting > 0 and active + called < CAPACITY
        if not room:
            idle_since = None
        elif idle_since is None:
            idle_since = at
        limited.append((at, active + called if waiting else -1))
    assert longest_idle_ms <= 300

    # The long-run rate, over the stretch in which the rate alone limits: from the first moment after which capacity
    # no longer binds to the last call.
    last_full = max((at for at, taken in limited if taken >= CAPACITY), default=0)
    paced = [at for at, _ in calls if at > last_full + 1_000]
    seconds, ran_seconds = (paced[-1] - paced[0]) / 1_000, ran_ms(paced[0], paced[-1]) / 1_000
    # Up to a second's worth that a stall just before kept from being called is called within the stretch.
    late_seconds = (2_000 - ran_ms(paced[0] - 2_000, paced[0])) / 1_000
    per_minute, least_per_minute = ((len(paced) - 1) * 60 / length for length in (ran_seconds, seconds + late_seconds))
    print(
        f"calls {len(calls)}, paced {len(paced)} in {seconds:.1f} s, of which the machine ran {ran_seconds:.1f} s: "
        f"{least_per_minute:.0f} to {per_minute:.0f}/min; idle {longest_idle_ms} ms; peak {site.peak_active}"
    )
    assert seconds > 2
    # Between two calls and two beats: as many as one beat calls, more or less.
    tolerance = RATE * max(0.01, 0.1 / seconds)
    assert least_per_minute <= RATE + tolerance
    assert per_minute >= RATE - tolerance
