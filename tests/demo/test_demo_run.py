"""How the demo starts its parts, shows progress, and tells what goes wrong."""

from __future__ import annotations

import asyncio
import io
import resource
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from waitroom import demo
from waitroom.demo import run
from waitroom.demo.browser import Browser
from waitroom.demo.crowd import Stage, Tally
from waitroom.demo.processes import BRISK, LEISURELY, Lifetimes, address, running_gateway, running_shop
from waitroom.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

DEFAULT = run.Asked(
    unprotected=False,
    stay=False,
    shoppers=demo.SHOPPERS,
    arrive_seconds=demo.ARRIVE_SECONDS,
    rate=demo.RATE,
    capacity=demo.CAPACITY,
    seed=demo.SEED,
    json_path=None,
)


def test_the_other_way_is_told_as_a_command() -> None:
    assert DEFAULT.other_command() == "waitroom demo --unprotected"
    asked = run.Asked(True, False, 80, 2.5, 90, 7, 3, None)
    assert asked.other_command() == "waitroom demo --shoppers 80 --seconds 2.5 --rate 90 --capacity 7 --seed 3"


@pytest.mark.parametrize("shoppers", [0, demo.MOST_SHOPPERS + 1])
def test_a_crowd_has_its_bounds(shoppers: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(shoppers=shoppers) == 1
    assert f"not {shoppers}" in capsys.readouterr().out


def test_a_part_that_cannot_start_ends_the_demo_with_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(shoppers=1, rate=-1) == 1
    assert "The demo cannot run: the gateway did not start:" in capsys.readouterr().err


def test_more_open_files_are_allowed_only_when_needed_and_possible() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    run.allow_files(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    run.allow_files(before[0] + 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (soft, hard) == (min(before[0] + 1, before[1]), before[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("lifetimes", [BRISK, LEISURELY])
def test_a_silent_session_ends_at_the_shop_before_its_slot_is_given_away(lifetimes: Lifetimes) -> None:
    assert lifetimes.idle + 2 < lifetimes.session - lifetimes.refresh


async def test_the_shop_runs_as_a_process_and_ends_with_the_block() -> None:
    async with running_shop(4, 1.5) as url, Browser(*address(url)) as browser:
        assert (await browser.navigate("/")).status == 200
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address(url))


async def test_a_gateway_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"(?s)the gateway did not start:.*backend"):
        async with running_gateway(tmp_path, "not-a-url", rate=1, capacity=1, lifetimes=BRISK):
            raise AssertionError("it must not start")


@pytest.mark.parametrize("terminal", [True, False])
async def test_progress_is_shown_until_the_crowd_is_gone(terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    tally = Tally(40)

    async def crowd() -> None:
        tally.move(Stage.COMING, Stage.ORDERED)

    await run.show_progress(console, tally, asyncio.create_task(crowd()))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert ("1/40" in text) if terminal else ("1 arrived, 0 waiting, 0 shopping, 1 ordered, 0 left" in text)
