"""The example clients of docs/examples against real processes: they join, follow the queue, take their turn, and fetch."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.journeys.stage import ADMIN_TOKEN, Visitor, observing_site, serving, write_config
from tests.journeys.witness import operate

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NODE = compute_driver_executable()[0]
CLIENTS = {
    "JavaScript": [NODE, str(EXAMPLES / "waiting_client.mjs")],
    "Python": [sys.executable, str(EXAMPLES / "waiting_client.py")],
}
AHEAD = 80


async def join(port: int) -> None:
    async with Visitor("127.0.0.1", port) as visitor:
        await visitor.fetch("/.waitroom/sale/join", method="POST")


async def run(*command: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode().strip(), err.decode()


def moment(seconds: float) -> str:
    """Return when that is, so far from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def told_of(err: str) -> list[list[str]]:
    """What a client told on the way: view and, where there was one, position; but not that a busy machine's store was late."""
    return [line.split() for line in err.splitlines() if not line.startswith("reconnecting")]


async def test_the_example_clients_wait_for_their_turn_and_fetch(tmp_path: Path) -> None:
    """Before a room opens, while it admits ten a second, at once when nobody waits, and not when it is closed."""
    async with observing_site() as site, asyncio.timeout(200):
        config = write_config(
            tmp_path, backend=f"http://127.0.0.1:{site.port}", rate=600, burst=1, opens_at=moment(3_600)
        )
        with serving(config, tmp_path) as running:
            await asyncio.gather(*(join(running.port) for _ in range(AHEAD)))
            url = f"{running.url}/api/cart?id=7"
            async with asyncio.TaskGroup() as waiting:
                clients = [waiting.create_task(run(*command, url)) for command in CLIENTS.values()]
                while (await operate(running, "GET", ""))["census"]["waiting"] < AHEAD + len(CLIENTS):
                    await asyncio.sleep(0.1)
                await operate(running, "PATCH", "", {"changes": {"opens_at": moment(1)}})
            waited = [client.result() for client in clients]
            assert len(site.first_seen) == len(CLIENTS), "nobody but the clients entered"
            at_once = []
            for command in CLIENTS.values():
                await asyncio.sleep(0.3)  # ten enter each second
                at_once.append(await run(*command, url))
            close = ["-m", "waitroom", "set", "sale", "mode=closed", "closed_as=ended", "--data", str(running.data)]
            assert (await run(sys.executable, *close, "--token", ADMIN_TOKEN))[0] == 0
            refused = await asyncio.gather(*(run(*command, url) for command in CLIENTS.values()))
    for code, out, err in waited:
        assert (code, out) == (0, "page"), err
        told = told_of(err)
        assert [view for view, _ in groupby(told, key=lambda line: line[0])] == ["before", "waiting", "called"]
        positions = [int(line[1]) for line in told if len(line) > 1]
        assert AHEAD < positions[0] <= AHEAD + len(CLIENTS)
        assert positions == sorted(positions, reverse=True)
        assert len(told) < 24, "it asked more often than it was told to"
    assert [(code, out, told_of(err)) for code, out, err in at_once] == [(0, "page", [])] * len(CLIENTS)
    for code, _, err in refused:
        assert (code != 0, "nobody is let in any more: ended" in err) == (True, True), err
