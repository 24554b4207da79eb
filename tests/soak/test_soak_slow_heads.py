"""Two thousand who never finish the head of their request do not slow down the one who does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from tests.journeys.compare import Case, ask, pass_of
from tests.journeys.stage import AS_SHIPPED_MS, HOUR, observing_site, serving, write_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

SLOW = 2_000
BYTE_SECONDS = 3.0
ATTACK_SECONDS = 24.0
"""Two and more times as long as a head may take, so that each is cut off and comes again."""
SPREAD_SECONDS = 8.0
CALM_SECONDS = 8.0
TIMES = 2.0
LEAST_MS = 4.0
"""Differences below this are the machine's, not ours."""


async def trickle(port: int, after_seconds: float, until: float, told: list[bytes]) -> None:
    """Send a head byte by byte, and begin again when the connection is closed; note what was said at its end."""
    await asyncio.sleep(after_seconds)
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: slow.test\r\nX-Slow: ")
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    told.append(await asyncio.wait_for(reader.read(1024), BYTE_SECONDS))
                    break
                writer.write(b"x")
        except ConnectionError:
            told.append(b"")
        finally:
            writer.close()


async def _attack(port: int, seconds: float) -> list[bytes]:
    told: list[bytes] = []
    until = time.monotonic() + seconds
    async with asyncio.timeout(seconds + 60):
        await asyncio.gather(*(trickle(port, SPREAD_SECONDS * number / SLOW, until, told) for number in range(SLOW)))
    return told


def attack(port: int, seconds: float) -> list[bytes]:
    """All of them, in a process of their own; what each was told."""
    return asyncio.run(_attack(port, seconds))


async def p99_ms(port: int, cookie: str, seconds: float) -> float:
    """Ask again and again, each time on a new connection, and be answered each time."""
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        assert (await ask(port, Case("GET", "/").request(cookie=cookie))).status == 200
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)
    return sorted(times)[len(times) * 99 // 100]


async def test_two_thousand_slow_heads_are_cut_off_and_slow_nobody_down(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with observing_site() as site:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site.port}", deadline_ms=AS_SHIPPED_MS, **HOUR)
        with serving(config, tmp_path) as running:
            port = running.port
            cookie = pass_of((await ask(port, Case("GET", "/").request())).fields)
            before = await p99_ms(port, cookie, CALM_SECONDS)
            with ProcessPoolExecutor(1, get_context("spawn")) as apart:
                attacking = asyncio.get_running_loop().run_in_executor(apart, attack, port, ATTACK_SECONDS)
                await asyncio.sleep(SPREAD_SECONDS + 1)
                during = await p99_ms(port, cookie, ATTACK_SECONDS - SPREAD_SECONDS - 1)
                told = await attacking
    record_property("p99 before", f"{before:.1f} ms")
    record_property("during", f"{during:.1f} ms")
    record_property("cut off", len(told))
    assert len(told) >= SLOW
    assert {answer.split(b"\r\n")[0] for answer in told} == {b"HTTP/1.1 408 Request Timeout"}
    assert during <= max(TIMES * before, before + LEAST_MS)
