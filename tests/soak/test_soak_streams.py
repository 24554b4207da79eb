"""Bodies of 1 GiB, slow on one side or the other, through real processes: the gateway's memory hardly grows."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.journeys.bulk_site import BLOCK_BYTES, blocks, bulk_site, digest_of
from tests.journeys.compare import Case, ask, pass_of, read_reply, split_head
from tests.journeys.memory import forget_peak, memory_bytes
from tests.journeys.stage import AS_SHIPPED_MS, HOUR, serving, write_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

BLOCKS = 16_384  # 1 GiB
GROWTH_BYTES = 32 * 1024 * 1024
STEP_BLOCKS = 16
REST_SECONDS = 0.03
"""After each MiB: some 30 MB/s, a tenth of what goes through, so that every buffer on the way is full or empty."""


async def read_slowly(port: int, cookie: str, count: int) -> str:
    """Read an answer with rests; its SHA-256."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=BLOCK_BYTES)
    try:
        writer.write(Case("GET", f"/sized?{count}").request(cookie=cookie))
        status, _ = split_head(await reader.readuntil(b"\r\n\r\n"))
        assert status == 200
        digest = hashlib.sha256()
        for number in range(count):
            digest.update(await reader.readexactly(BLOCK_BYTES))
            if number % STEP_BLOCKS == 0:
                await asyncio.sleep(REST_SECONDS)
        return digest.hexdigest()
    finally:
        writer.close()


async def send(path: str, port: int, cookie: str, count: int) -> str:
    """Send a body, with rests unless it is the site that is slow; the SHA-256 that the site made of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(Case("POST", path, (f"Content-Length: {count * BLOCK_BYTES}",)).request(cookie=cookie))
        for number, block in enumerate(blocks(count)):
            writer.write(block)
            await writer.drain()
            if path == "/up" and number % STEP_BLOCKS == 0:
                await asyncio.sleep(REST_SECONDS)
        return (await read_reply(reader)).body.decode()
    finally:
        writer.close()


@pytest.mark.parametrize("slow", ["reader", "sender", "site"])
async def test_a_gibibyte_passes_whole_and_adds_less_than_32_mib(
    slow: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with bulk_site(rest_seconds=REST_SECONDS) as site_port:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site_port}", deadline_ms=AS_SHIPPED_MS, **HOUR)
        with serving(config, tmp_path) as running:
            cookie = pass_of((await ask(running.port, Case("GET", "/seen").request())).fields)
            (worker,) = running.worker_pids()

            async def carry(count: int) -> str:
                if slow == "reader":
                    return await read_slowly(running.port, cookie, count)
                return await send("/up" if slow == "sender" else "/slowly", running.port, cookie, count)

            assert await carry(16) == digest_of(16)  # what is loaded once is loaded
            before = memory_bytes(worker, "VmRSS")
            forget_peak(worker)
            async with asyncio.timeout(300):
                assert await carry(BLOCKS) == digest_of(BLOCKS)
            growth = memory_bytes(worker, "VmHWM") - before
    record_property("growth", f"{growth / 2**20:.1f} MiB")
    assert growth < GROWTH_BYTES
