"""Half an hour at 70 % of what it can do: memory stays flat, no descriptor is left behind, and answers take no longer."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import pytest

from tests.journeys.compare import Case, ask, pass_of
from tests.journeys.experiment.house import KEYS, House
from tests.journeys.experiment.shop import a_shop
from tests.journeys.memory import memory_bytes
from tests.journeys.stage import HOUR, breakable_store
from waitroom.domain.claims import PassClaims
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.journeys.stage import Serving

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

MINUTES = float(os.environ.get("WAITROOM_SOAK_MINUTES", "30"))
SETTLING_MINUTES = min(5.0, MINUTES / 2)
"""Histories begin, and what else is remembered fills; growth is judged after that."""
STRANGERS = 24_576
"""Requests to each machine that fill what its two gateways remember: 4,096 passes and 8,192 addresses each, however unevenly
their connections are accepted."""
STRANGERS_CONNECTIONS = 64
SHARE = 0.7
CONNECTIONS = 16
GROWTH_BYTES_PER_10_MINUTES = 1_000_000
DESCRIPTORS_MORE = 10
"""What the crowd's own coming and going explains between the first third and the last, each in the middle."""


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


async def strangers(port: int, first: int) -> None:
    """Ask once each for all of them, who have passes of their own and want pages of their own."""
    tokens, now_ms = Tokens(KEYS[:1]), int(time.time() * 1000)
    numbers = iter(range(first, first + STRANGERS))

    async def one_after_another() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            claims = PassClaims("sale", f"stranger-{number:013}", now_ms, now_ms + 3_600_000, "g")
            request = Case("GET", f"/page/1000000-{number}").request(
                cookie=f"waitroom-pass-sale={tokens.sign_pass(claims)}"
            )
            await exchange(reader, writer, request)
        writer.close()

    await asyncio.gather(*(one_after_another() for _ in range(STRANGERS_CONNECTIONS)))


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
                for at, one in enumerate(house.machines, 1):
                    await strangers(one.port, at * STRANGERS)
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
                first, last = median(slowest[:third]), median(slowest[-third:])
                opened, left_open = median(descriptors[:third]), median(descriptors[-third:])
                record_property("minutes", f"{MINUTES:g}")
                record_property("requests/s", f"{most * SHARE:.0f} of {most:.0f}")
                record_property("growth of whichever grew most", f"{grown / 1_000:.0f} kB in 10 minutes")
                record_property("largest", f"{max(samples[-1][1] for samples in memory.values()) / 1e6:.1f} MB")
                record_property("descriptors", f"{opened:.0f} to {left_open:.0f}, at most {max(descriptors)}")
                record_property("p99", f"{first:.1f} to {last:.1f} ms")
                verdict = house.judge(0.0)
                for name, value in verdict.row().items():
                    record_property(name, value)
                assert not verdict.lost, verdict
                assert grown < GROWTH_BYTES_PER_10_MINUTES
                assert left_open <= opened + DESCRIPTORS_MORE
                assert last <= max(1.5 * first, first + 5)
            finally:
                await house.close()
