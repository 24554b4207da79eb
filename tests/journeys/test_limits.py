"""Promises 1 to 3 on real processes: never over, never idle, in order, while a gateway is killed."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.journeys.stage import Site, Visitor, breakable_store, observing_site, on_site, serving, write_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.journey, pytest.mark.alone]

VISITORS, RATE, CAPACITY = 2_000, 6_000, 300


async def shop(port: int, chance: random.Random) -> None:
    """Come within two seconds, stay a moment, go."""
    await asyncio.sleep(chance.uniform(0, 2))
    async with Visitor("127.0.0.1", port, timeout_seconds=30) as visitor:
        await visitor.enter(poll_seconds=0.5)
        await asyncio.sleep(chance.uniform(0.3, 1.2))
        assert on_site(await visitor.patiently("/done"))


async def test_a_burst_over_four_gateways_with_one_killed_keeps_every_limit_and_the_order(tmp_path: Path) -> None:
    chance = random.Random(1)
    with breakable_store(tmp_path) as store:
        async with observing_site() as site:
            config = write_config(
                tmp_path, backend=f"http://127.0.0.1:{site.port}", store=store.url, workers=4,
                rate=RATE, capacity=CAPACITY, session_seconds=60,
            )  # fmt: skip
            with serving(config, tmp_path, ready=4) as running:
                port = running.port
                crowd = [asyncio.create_task(shop(port, chance)) for _ in range(VISITORS)]
                await asyncio.sleep(8)
                os.kill(running.worker_pids()[0], signal.SIGKILL)
                async with asyncio.timeout(120):
                    await asyncio.gather(*crowd)
                journal = store.journal()
                check(site, journal)
                died = [e for e in running.events() if e["event"] == "child_died"]
                assert [e["how"] for e in died] == ["SIGKILL"]


def check(site: Site, journal: list[tuple[int, str, str, int]]) -> None:
    """Replay what the store wrote down, and compare with what the site saw."""
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
            longest_idle_ms = max(longest_idle_ms, at - idle_since)
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
    seconds = (paced[-1] - paced[0]) / 1_000
    per_minute = (len(paced) - 1) / seconds * 60
    print(
        f"calls {len(calls)}, paced {len(paced)} in {seconds:.1f} s: {per_minute:.0f}/min; idle {longest_idle_ms} ms; peak {site.peak_active}"
    )
    assert seconds > 2
    # Between two calls and two beats: as many as one beat calls, more or less.
    assert per_minute == pytest.approx(RATE, rel=0.01, abs=RATE * 0.1 / seconds)
