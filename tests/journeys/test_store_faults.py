"""Promises 1, 4 and 5 while the store forgets everything, and while it is away."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.stage import (
    AS_SHIPPED_MS,
    Site,
    Visitor,
    breakable_store,
    observing_site,
    on_site,
    serving,
    visitors,
    write_config,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.journey, pytest.mark.alone]

WAITING, ACTIVE, RATE = 1_000, 200, 600


async def in_turn(crowd: list[Visitor], action: Any, at_once: int = 50) -> list[Any]:
    """Do `action` for each of a crowd, some at once, results in its order."""
    gate = asyncio.Semaphore(at_once)

    async def one(visitor: Visitor) -> Any:
        async with gate:
            return await action(visitor)

    return await asyncio.gather(*map(one, crowd))


async def test_an_emptied_store_costs_nobody_their_place_or_their_session(tmp_path: Path) -> None:
    chance = random.Random(4)
    with breakable_store(tmp_path) as store:
        async with observing_site() as site:
            config = write_config(
                tmp_path, backend=f"http://127.0.0.1:{site.port}", store=store.url, workers=2,
                rate=RATE, capacity=ACTIVE, burst=ACTIVE, session_seconds=600, refresh_seconds=3,
            )  # fmt: skip
            with serving(config, tmp_path, ready=2) as running:
                async with visitors(running.port, WAITING + ACTIVE, timeout_seconds=30) as crowd:
                    first = await in_turn(crowd[:ACTIVE], lambda v: v.navigate("/"))
                    assert all(on_site(answer) for answer in first)
                    for visitor in crowd[ACTIVE:]:
                        await visitor.patiently("/")
                    states = await in_turn(crowd[ACTIVE:], lambda v: v.me())
                    assert [state["position"] for state in states] == list(range(1, WAITING + 1))

                    store.flush()

                    everybody = crowd[:]
                    chance.shuffle(everybody)
                    shoppers = set(map(id, crowd[:ACTIVE]))
                    answers = await in_turn(everybody, lambda v: v.navigate("/page") if id(v) in shoppers else v.me())
                    shopping = [
                        answer for visitor, answer in zip(everybody, answers, strict=True) if id(visitor) in shoppers
                    ]
                    assert all(on_site(answer) for answer in shopping)
                    states = await in_turn(crowd[ACTIVE:], lambda v: v.me())
                    positions = [state["position"] for state in states]
                    assert positions == list(range(1, WAITING + 1))

                    # The room recovers, and goes on within its limits: some finish, the first in the queue follow.
                    async with asyncio.timeout(60):
                        while (await crowd[ACTIVE].me())["recovering"]:
                            await asyncio.sleep(0.3)
                    assert site.peak_active == ACTIVE
                    await in_turn(crowd[:40], lambda v: v.navigate("/done"))
                    entered = await in_turn(crowd[ACTIVE : ACTIVE + 40], lambda v: v.enter(poll_seconds=0.2))
                    assert all(on_site(answer) for answer in entered)
                    check_limits(site)


def check_limits(site: Site) -> None:
    assert site.peak_active <= ACTIVE
    assert site.busiest_minute() <= RATE


async def test_with_the_store_away_shopping_goes_on_and_newcomers_keep_their_order(tmp_path: Path) -> None:
    with breakable_store(tmp_path) as store:
        async with observing_site() as site:
            config = write_config(
                tmp_path, backend=f"http://127.0.0.1:{site.port}", store=store.url, deadline_ms=AS_SHIPPED_MS, workers=2,
                rate=RATE, capacity=20, session_seconds=8, refresh_seconds=1,
            )  # fmt: skip
            with serving(config, tmp_path, ready=2) as running:
                async with visitors(running.port, 90) as crowd:
                    shoppers, before, during = crowd[:20], crowd[20:50], crowd[50:]
                    assert all(on_site(answer) for answer in await in_turn(shoppers, lambda v: v.enter()))
                    for visitor in before:
                        assert not on_site(await visitor.navigate("/"))

                    store.kill()
                    loop = asyncio.get_running_loop()
                    away_until = loop.time() + 10
                    coming = iter(during)
                    while (newcomer := next(coming, None)) or loop.time() < away_until:
                        for visitor in shoppers:
                            assert on_site(await visitor.navigate("/page"))
                        if newcomer:
                            page = await newcomer.navigate("/")
                            assert page.status == 200
                            assert b"reconnecting" in page.body.lower()
                        assert (await before[0].me())["state"] in {"reconnecting", "waiting"}
                        await asyncio.sleep(0.1)
                    store.start()

                    assert all(on_site(answer) for answer in await in_turn(shoppers, lambda v: v.navigate("/page")))
                    async with asyncio.timeout(60):
                        await in_turn([*during[::-1], *before[::-1]], lambda v: v.standing())
                        states = await in_turn([*before, *during], lambda v: v.standing())
                    assert [state["state"] for state in states] == ["waiting"] * 70
                    assert [state["position"] for state in states] == list(range(1, 71))
                    assert site.peak_active <= 20
