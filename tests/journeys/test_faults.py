"""The experiments: each breaks something while visitors arrive, wait, are called and shop, and no promise breaks with it.

All share two machines, a store and a crowd, which go on from one to the next; the observer of `experiment/judge.py` reads
only what visitors and the shop saw. `make soak` runs longer forms.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journeys.experiment.disk import small_disk
from tests.journeys.experiment.house import KEYS, House
from tests.journeys.experiment.older import digests, older_waitroom
from tests.journeys.experiment.shop import Health, a_shop
from tests.journeys.stage import breakable_store
from tests.journeys.witness import operate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.journeys.experiment.judge import Verdict

pytestmark = [pytest.mark.anyio, pytest.mark.journey, pytest.mark.scaled]

LONG = "WAITROOM_LONG_FAULTS" in os.environ
SIZE = 300 if LONG else 100
ROOT = Path(__file__).parents[2]


def lasting(short: float, long: float) -> float:
    """How many seconds, or how often, by which form runs."""
    return long if LONG else short


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The house with its crowd; at the end everybody who came has been let in and has left."""
    directory = tmp_path_factory.mktemp("house")
    with small_disk(directory / "disk") as disk, breakable_store(directory / "disk") as store:
        async with a_shop() as shop:
            built = House(directory, store, shop, random.Random(6), SIZE)
            built.disk = disk
            try:
                await built.open()
                yield built
                await built.crowd.drain(200)
                assert not built.judge(0.0).lost
            finally:
                await built.close()


async def experiment(
    house: House, record: Callable[[str, object], None], breaking: Callable[[], Awaitable[object]], *, times: int = 1
) -> Verdict:
    """Break something `times` times, wait until all is well again, and judge: nothing was lost."""
    since = time.monotonic()
    back_seconds = 0.0
    for _ in range(times):
        await breaking()
        back_seconds = max(back_seconds, await house.flows())
    verdict = house.judge(since)
    record("times", times)
    for name, value in verdict.row().items():
        record(name, value)
    record("well again after", f"{back_seconds:.1f} s")
    assert not verdict.lost, verdict
    assert verdict.entered >= 10
    return verdict


def hardly_noticed(verdict: Verdict) -> None:
    """Nobody in the shop had more than three requests fail in a row, nor two of them by eight seconds of silence each."""
    assert verdict.shopping_tries <= 3, verdict
    assert verdict.shopping_seconds < 8, verdict


async def test_gateways_killed_one_after_another(house: House, record_property: Callable[[str, object], None]) -> None:
    async def kill_one() -> None:
        machine = house.chance.choice(house.machines)
        assert machine.running is not None
        with suppress(ProcessLookupError):  # the one before is not up again yet
            os.kill(house.chance.choice(machine.running.worker_pids()), signal.SIGKILL)
        await asyncio.sleep(2.0)

    verdict = await experiment(house, record_property, kill_one, times=int(lasting(2, 30)))
    hardly_noticed(verdict)


async def test_a_supervisor_killed(house: House, record_property: Callable[[str, object], None]) -> None:
    async def kill_and_start() -> None:
        machine = house.machines[0]
        assert machine.running is not None
        machine.running.process.kill()
        await asyncio.sleep(lasting(0.5, 3.0))
        await machine.stop()
        await machine.start()

    await experiment(house, record_property, kill_and_start, times=int(lasting(1, 3)))


async def test_a_store_killed_and_started_again(house: House, record_property: Callable[[str, object], None]) -> None:
    """Its append-only file is read again."""

    async def kill_and_start() -> None:
        house.store.kill()
        await asyncio.sleep(2.0)
        await asyncio.to_thread(house.store.start)

    verdict = await experiment(house, record_property, kill_and_start, times=int(lasting(1, 5)))
    hardly_noticed(verdict)


@pytest.mark.skipif(not LONG, reason="the same as the one before, only longer: `make soak`")
async def test_a_store_away_for_30_s(house: House, record_property: Callable[[str, object], None]) -> None:
    async def away() -> None:
        house.store.kill()
        await asyncio.sleep(30.0)
        await asyncio.to_thread(house.store.start)

    verdict = await experiment(house, record_property, away)
    hardly_noticed(verdict)


async def test_a_frozen_store(house: House, record_property: Callable[[str, object], None]) -> None:
    async def freeze() -> None:
        assert house.store.process is not None
        house.store.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(lasting(2.0, 10.0))
        house.store.process.send_signal(signal.SIGCONT)

    verdict = await experiment(house, record_property, freeze, times=int(lasting(1, 2)))
    hardly_noticed(verdict)


async def test_a_store_that_answers_after_400_ms(house: House, record_property: Callable[[str, object], None]) -> None:
    async def slow() -> None:
        for machine in house.machines:
            machine.link.tell("slow 0.4")
        await asyncio.sleep(lasting(2.0, 15.0))
        for machine in house.machines:
            machine.link.tell("heal")

    verdict = await experiment(house, record_property, slow)
    hardly_noticed(verdict)


async def test_a_link_to_the_store_cut_and_healed(house: House, record_property: Callable[[str, object], None]) -> None:
    async def cut() -> None:
        link = house.machines[1].link
        link.tell("cut")
        await asyncio.sleep(lasting(2.0, 20.0))
        link.tell("heal")

    verdict = await experiment(house, record_property, cut, times=int(lasting(1, 2)))
    hardly_noticed(verdict)


async def test_connections_to_the_store_reset(house: House, record_property: Callable[[str, object], None]) -> None:
    async def reset() -> None:
        for machine in house.machines:
            machine.link.tell("reset")
        await asyncio.sleep(0.2)

    await experiment(house, record_property, reset, times=int(lasting(2, 30)))


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs Debian's faketime")
async def test_machines_whose_clocks_are_off(house: House, record_property: Callable[[str, object], None]) -> None:
    """One by an hour back, the other by an hour ahead; with the store away, newcomers get places by those clocks."""
    command = ["faketime", "-f", "+1h", "sh", "-c", "echo $LD_PRELOAD"]
    preload = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    async def off() -> None:
        for machine, by in zip(house.machines, ("-1h", "+1h"), strict=True):
            machine.environ = {"LD_PRELOAD": preload, "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            await machine.stop()
            await machine.start()
        await asyncio.sleep(lasting(1.0, 15.0))
        house.store.kill()
        await asyncio.sleep(lasting(1.0, 5.0))
        await asyncio.to_thread(house.store.start)

    await experiment(house, record_property, off)
    for machine in house.machines:
        machine.environ = {}  # from its next start on


async def test_a_new_key_and_then_no_old_one(house: House, record_property: Callable[[str, object], None]) -> None:
    """On two machines in three steps, as docs/operating.md says; the old key goes when nobody has a token of it."""
    before, after = KEYS

    async def on_all(*keys: str) -> None:
        for machine in house.machines:
            machine.settings["keys"] = {"signing": list(keys)}
            await machine.reload()

    async def rotate() -> None:
        await on_all(before, after)
        await on_all(after, before)
        last = len(house.crowd.stories)
        while not all(story.left for story in house.crowd.stories[:last]):
            await asyncio.sleep(0.1)
        await on_all(after)

    await experiment(house, record_property, rotate)
    for machine in house.machines:
        machine.settings["keys"] = {"signing": [after, before]}
        await machine.reload()


async def test_machines_replaced_one_after_another_by_others_of_another_configuration(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    async def deploy() -> None:
        for machine in house.machines:
            machine.settings["room"] = {"claim_seconds": house.chance.randint(60, 120), "shop_name": "A new name"}
            await machine.stop()
            await machine.start()
            await asyncio.sleep(lasting(0.5, 10.0))

    verdict = await experiment(house, record_property, deploy, times=int(lasting(1, 3)))
    hardly_noticed(verdict)


async def test_an_older_version_beside_this_one_while_machines_are_rolled_back_and_forward(
    house: House, record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    """Each step brings another configuration; what one version sets, the other follows. The short form rolls one machine."""
    try:
        older = older_waitroom(ROOT, tmp_path)
    except LookupError as error:
        pytest.skip(f"an older version comes from the project's git history, which is not here: {error}")
    before, now = digests(older), digests({})
    assert before - now, "nothing to see: take an older version whose scripts are other ones"
    claim_seconds = 60
    began = datetime.now(UTC).isoformat()  # what the experiments before have put into the logs is not of this one

    async def settings_follow() -> None:
        nonlocal claim_seconds
        for teller, hearer in (house.machines, house.machines[::-1]):
            claim_seconds += 1
            assert teller.running is not None
            assert hearer.running is not None
            await operate(teller.running, "PATCH", "", {"changes": {"claim_seconds": claim_seconds}})
            async with asyncio.timeout(90):
                while True:
                    heard = await operate(hearer.running, "GET", "")
                    if heard["room"]["claim_seconds"] == claim_seconds and not heard["gateways"]["pending"]:
                        break
                    await asyncio.sleep(0.05)

    def nobody_failed() -> None:
        for machine in house.machines:
            assert machine.running is not None
            assert not [e for e in machine.running.events() if e["level"] == "error" and e["time"] >= began]

    async def roll(environ: dict[str, str]) -> None:
        for machine in house.machines[: int(lasting(1, 2))]:
            nobody_failed()
            machine.environ = environ
            machine.settings["room"] = {"shop_name": f"Shop {house.chance.randint(1, 99)}"}
            await machine.stop()
            await machine.start()
            await house.flows(int(lasting(10, 100)))
            await settings_follow()

    async def back_and_forward() -> None:
        await roll(older)
        await roll({})

    with house.store.client() as client:
        client.script_flush()
    verdict = await experiment(house, record_property, back_and_forward)
    nobody_failed()
    with house.store.client() as client:
        assert any(client.script_exists(*before - now))
        assert any(client.script_exists(*now - before)), "both have run"
    hardly_noticed(verdict)


async def test_the_disk_of_the_append_only_file_full(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    disk = house.disk
    if disk is None:
        pytest.skip("a disk of its own can be mounted by root alone")

    async def fill() -> None:
        await asyncio.to_thread(disk.fill)
        await asyncio.sleep(lasting(2.5, 15.0))
        with house.store.client() as client:
            assert client.info("persistence")["aof_last_write_status"] == "err"
        disk.clear()

    verdict = await experiment(house, record_property, fill)
    hardly_noticed(verdict)


async def test_a_shop_that_fails_in_every_way(house: House, record_property: Callable[[str, object], None]) -> None:
    """Down, slow, resetting, breaking off in the middle, flapping: pages are held, orders are sent once."""
    shop = house.shop
    failing_seconds = lasting(1.0, 10.0)

    async def fail() -> None:
        shop.shut()
        await asyncio.sleep(failing_seconds)
        await shop.open()
        for health in (Health.SLOW, Health.RESETTING, Health.CUTTING):
            shop.health = health
            await asyncio.sleep(failing_seconds)
        shop.health = Health.WELL
        for _ in range(4):
            shop.shut()
            await asyncio.sleep(0.2)
            await shop.open()
            await asyncio.sleep(0.2)

    since = time.monotonic()
    await experiment(house, record_property, fail)
    troubles = [" ".join(t.what) for story in house.crowd.stories for t in story.troubles if t.began >= since]
    assert sum("hold page" in what for what in troubles) > 10
    assert any("Error" in what for what in troubles), "answers that broke off were seen as broken"


async def test_an_emptied_store(house: House, record_property: Callable[[str, object], None]) -> None:
    async def empty() -> None:
        house.store.flush()
        house.emptied.append(time.monotonic())

    await experiment(house, record_property, empty, times=int(lasting(1, 3)))


@pytest.mark.skipif(not LONG, reason="tests/store/test_older_copy.py shows it in short; here with a crowd: `make soak`")
async def test_a_store_that_comes_back_with_its_files_of_a_while_ago(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    files = house.store.directory / "appendonlydir"
    aside = house.store.directory.parent / "aside"

    async def go_back() -> None:
        await asyncio.to_thread(shutil.copytree, files, aside)
        await asyncio.sleep(30.0)
        house.store.kill()
        house.emptied.append(time.monotonic())
        await asyncio.to_thread(shutil.rmtree, files)
        await asyncio.to_thread(shutil.move, aside, files)
        await asyncio.to_thread(house.store.start)

    await experiment(house, record_property, go_back)
