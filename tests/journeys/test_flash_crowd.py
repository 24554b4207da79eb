"""A flash crowd: everybody gets a page with a place, nobody an error, places in the order they came, and who shops hardly notices."""

from __future__ import annotations

import asyncio
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median, quantiles
from typing import TYPE_CHECKING

import pytest

from tests.journeys.experiment.flash import flash_crowd
from tests.journeys.experiment.shop import a_shop
from tests.journeys.stage import AS_SHIPPED_MS, HOUR, Visitor, breakable_store, on_site, serving, visitors, write_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.journeys.experiment.flash import Told

pytestmark = [pytest.mark.anyio, pytest.mark.journey, pytest.mark.alone, pytest.mark.scaled]

LONG = "WAITROOM_LONG_FAULTS" in os.environ
VISITORS, SECONDS = (50_000, 30.0) if LONG else (3_000, 5.0)
ASKED_AGAIN = 300
SHOPPERS = 10


async def shop_on(shoppers: list[Visitor], until: float) -> list[float]:
    """Open pages again and again, not in a hurry; how many seconds each took."""
    took = []

    async def one(number: int, shopper: Visitor) -> None:
        count = 0
        while time.monotonic() < until:
            began = time.perf_counter()
            assert on_site(await shopper.navigate(f"/page/{number}-{count}s"))
            took.append(time.perf_counter() - began)
            count += 1
            await asyncio.sleep(0.1)

    await asyncio.gather(*(one(number, shopper) for number, shopper in enumerate(shoppers)))
    return took


def told_in_ms(times: list[float]) -> str:
    return f"{median(times) * 1_000:.1f} / {quantiles(times, n=100)[98] * 1_000:.1f} ms"


async def test_everybody_in_a_flash_crowd_gets_a_page_and_a_place_in_order(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with breakable_store(tmp_path) as store:
        async with a_shop() as shop:
            config = write_config(
                tmp_path, backend=f"http://127.0.0.1:{shop.port}", store=store.url, deadline_ms=AS_SHIPPED_MS, workers=2,
                rate=60, burst=SHOPPERS, capacity=SHOPPERS, **HOUR,
            )  # fmt: skip
            with serving(config, tmp_path, ready=2) as running:
                async with visitors(running.port, SHOPPERS, timeout_seconds=30) as shoppers:
                    for number, shopper in enumerate(shoppers):
                        assert on_site(await shopper.navigate(f"/page/{number}-in"))
                    calm = await shop_on(shoppers, time.monotonic() + 3)
                    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
                        coming = asyncio.get_running_loop().run_in_executor(
                            apart, flash_crowd, running.port, SHOPPERS, VISITORS, SECONDS
                        )
                        await asyncio.sleep(1.0)
                        rush = await shop_on(shoppers, time.monotonic() + SECONDS)
                        crowd = await coming
                    waits = [told.answered - told.due for told in crowd]
                    record_property("visitors", f"{VISITORS} in {SECONDS:.0f} s")
                    record_property("without a page", sum(told.status != 200 for told in crowd))
                    record_property("page after (median / p99)", told_in_ms(waits))
                    record_property("shoppers before", told_in_ms(calm))
                    record_property("during", told_in_ms(rush))
                    assert {told.status for told in crowd} == {200}
                    assert all(told.cookie.startswith("waitroom-queue-sale=") for told in crowd)
                    places = await positions(running.port, crowd)
                    record_property("out of order", overtaken(places))
                    assert overtaken(places) == 0
                    assert len({position for _, position in places}) == len(places), "nobody shares a place"
                    assert max(position for _, position in places) <= VISITORS


async def positions(port: int, crowd: list[Told]) -> list[tuple[Told, int]]:
    """Ask for some of the crowd where they stand."""
    asked = []
    for told in random.Random(9).sample(crowd, ASKED_AGAIN):
        async with Visitor("127.0.0.1", port) as visitor:
            name, _, value = told.cookie.partition("=")
            visitor.cookies[name] = value
            state = await visitor.me()
            assert state["state"] == "waiting", state
            asked.append((told, int(state["position"])))
    return asked


def overtaken(places: list[tuple[Told, int]]) -> int:
    """How many stand behind somebody whose request was sent only after they had been answered."""
    return sum(
        any(later.sent > earlier.answered and behind < ahead for later, behind in places) for earlier, ahead in places
    )
