"""Half an hour at 70 % of what it can do: memory stays flat, no descriptor is left behind, and answers take no longer."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

import pytest

from tests.journeys.compare import Case, ask, pass_of
from tests.journeys.experiment.house import House
from tests.journeys.experiment.shop import a_shop
from tests.journeys.memory import memory_bytes
from tests.journeys.stage import HOUR, breakable_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.journeys.stage import Serving

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

MINUTES = float(os.environ.get("WAITROOM_SOAK_MINUTES", "30"))
SETTLING_MINUTES = min(5.0, MINUTES / 2)
"""Until all that gateways remember is full: 20 visitors a second make 140 requests with as many addresses, a quarter of them to
each gateway; 4,096 passes and 8,192 addresses are remembered. Growth is judged after that."""
SHARE = 0.7
CONNECTIONS = 16
GROWTH_BYTES_PER_10_MINUTES = 1_000_000
DESCRIPTORS_MORE = 40
"""What the crowd's own coming and going explains."""


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """Ask on a connection that is kept, and read the answer, whose length is told."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
    await reader.readexactly(size)


async def shop_on(port: int, cookie: str, until: float, every_seconds: float, took: list[float]) -> None:
    """Ask as often as `every_seconds` says, or as often as can be when it is 0; note how long each took."""
    request = Case("GET", "/page/1000000-1").request(cookie=cookie)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.monotonic()
    while time.monotonic() < until:
        began = time.perf_counter()
        await exchange(reader, writer, request)
        took.append(time.perf_counter() - began)
        due = max(due + every_seconds, time.monotonic() - 1.0)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    writer.close()


async def load(port: int, cookie: str, seconds: float, every_seconds: float) -> list[float]:
    """Do so on all connections at once."""
    took: list[float] = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(shop_on(port, cookie, until, every_seconds, took) for _ in range(CONNECTIONS)))
    return took


def growth(samples: list[tuple[float, int]]) -> float:
    """Return the slope of the straight line that fits (seconds, bytes) best by least squares, in bytes per 10 minutes."""
    n = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / n, sum(y for _, y in samples) / n
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread * 600


def processes_of(running: Serving) -> list[int]:
    """Return the supervisor and its newest children."""
    return [
        running.process.pid,
        *{e["child"]: e["process"] for e in running.events() if e["event"] == "child_ready"}.values(),
    ]


async def test_a_long_time_at_70_percent_of_the_maximum_leaves_no_trace(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with breakable_store(tmp_path) as store:
        async with a_shop() as shop:
            house = House(tmp_path, store, shop, random.Random(1), 100)
            try:
                for machine in house.machines:
                    machine.settings["room"] = HOUR
                    await machine.start()
                cookie = pass_of((await ask(machine.port, Case("GET", "/page/1000000-0").request())).fields)
                house.crowd.start()
                processes = [pid for one in house.machines if one.running for pid in processes_of(one.running)]
                most = len(await load(machine.port, cookie, 10.0, 0.0)) / 10.0
                every_seconds = CONNECTIONS / (most * SHARE)
                memory: dict[int, list[tuple[float, int]]] = {pid: [] for pid in processes}
                descriptors: list[int] = []
                slowest: list[float] = []
                ends = time.monotonic() + MINUTES * 60
                settled = time.monotonic() + SETTLING_MINUTES * 60
                while time.monotonic() < ends:
                    took = await load(machine.port, cookie, 20.0, every_seconds)
                    if time.monotonic() < settled:
                        continue
                    slowest.append(quantiles(took, n=100)[98] * 1_000)
                    for pid in processes:
                        memory[pid].append((time.monotonic(), memory_bytes(pid, "VmRSS")))
                    descriptors.append(max(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in processes))
                grown = max(growth(samples) for samples in memory.values())
                third = max(1, len(slowest) // 3)
                first, last = sorted(slowest[:third])[third // 2], sorted(slowest[-third:])[third // 2]
                record_property("minutes", f"{MINUTES:g}")
                record_property("requests/s", f"{most * SHARE:.0f} of {most:.0f}")
                record_property("growth of whichever grew most", f"{grown / 1_000:.0f} kB in 10 minutes")
                record_property("largest", f"{max(samples[-1][1] for samples in memory.values()) / 1e6:.1f} MB")
                record_property("descriptors", f"{descriptors[0]} to {max(descriptors)}")
                record_property("p99", f"{first:.1f} to {last:.1f} ms")
                verdict = house.judge(0.0)
                for name, value in verdict.row().items():
                    record_property(name, value)
                assert not verdict.lost, verdict
                assert grown < GROWTH_BYTES_PER_10_MINUTES
                assert max(descriptors) <= descriptors[0] + DESCRIPTORS_MORE
                assert last <= max(1.5 * first, first + 5)
            finally:
                await house.close()
