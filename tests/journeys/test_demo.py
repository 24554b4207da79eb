"""The demo as a user runs it: the shop behind Waitroom bears the crowd that ruins it alone, and nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.journey

CROWD = ("--shoppers", "50", "--seconds", "2", "--seed", "3", "--rate", "180", "--capacity", "20")


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `waitroom demo` with `folder` for its temporary files; whatever happens, it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "waitroom", "demo", *CROWD, *arguments],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        with process:
            yield process
    finally:
        for pid in started_for(folder):
            os.kill(pid, signal.SIGKILL)


def started_for(folder: Path) -> set[int]:
    """Return the processes that inherited `folder` as the place for temporary files, or work in it."""
    mark = f"TMPDIR={folder}\0".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it ended meanwhile, or is not ours
                # The store writes its title over its environment, so it is known by where it works.
                if (entry / "cwd").readlink().is_relative_to(folder) or mark in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
    return found


def wait_until(holds: Callable[[], Any], seconds: float) -> bool:
    """Whether `holds` came true in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def told_by(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read on until the demo has told its addresses; the last is where the shop's own counts are."""
    assert process.stdout is not None
    told: dict[str, str] = {}
    for line in process.stdout:
        name, *value = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        told[name] = "".join(value)
        if name == "its own counts":
            return told
    raise AssertionError(f"the demo told no addresses, only {told}")


def shop_stats_url(process: subprocess.Popen[str]) -> str:
    """Return where the shop's own counts are."""
    return told_by(process)["its own counts"]


def figures(url: str) -> dict[str, Any]:
    with urlopen(url) as answer:
        counted: dict[str, Any] = json.load(answer)
        return counted


def test_behind_waitroom_the_shop_loses_nothing_and_no_limit_is_passed(tmp_path: Path) -> None:
    with demo(tmp_path, "--json", "-") as process:
        assert process.stdout is not None
        result = json.loads(process.stdout.read())
    shop = result["shop"]
    assert (shop["orders_lost"], shop["answers_5xx"]) == (0, 0), result
    assert shop["entries_busiest_60_seconds"] <= 180, result
    assert shop["peak_active"] <= 20, result
    assert shop["orders_placed"] == result["crowd"]["ordered"] >= 30, result
    assert result["crowd"]["left"].get("gave up on errors", 0) == 0, result
    assert result["promises_kept"] is True
    assert process.returncode == 0
    assert started_for(tmp_path) == set()
    assert list(tmp_path.iterdir()) == []


def test_alone_the_shop_loses_orders_of_the_same_crowd(tmp_path: Path) -> None:
    with demo(tmp_path, "--unprotected", "--stay") as process:
        url = shop_stats_url(process)
        assert wait_until(lambda: figures(url)["orders_lost"] and figures(url)["answers_5xx"], 60)
        assert figures(url)["peak_active"] > 20
        process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_told_to_stop_it_ends_within_seconds_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path, "--stay") as process:
        shop_stats_url(process)
        assert len(started_for(tmp_path)) >= 6  # itself, the shop, supervisor, store, worker, admin listener
        told = time.monotonic()
        process.send_signal(number)
        process.wait(60)
        assert time.monotonic() - told < 20
        assert process.returncode == 130
        assert started_for(tmp_path) == set()
        assert list(tmp_path.iterdir()) == []


def test_killed_it_leaves_no_process(tmp_path: Path) -> None:
    with demo(tmp_path, "--stay") as process:
        shop_stats_url(process)
        process.kill()
        assert wait_until(lambda: not started_for(tmp_path), 30)


def test_staying_it_tells_addresses_that_answer(tmp_path: Path) -> None:
    with demo(tmp_path, "--stay") as process:
        told = told_by(process)
        for url in (f"{told['front door']}.waitroom/readyz", told["the shop itself"], told["admin"]):
            with urlopen(url) as answer:
                assert answer.status == 200
        command = [*told["status"].removeprefix("waitroom ").split(), "--count", "1", "--json"]
        status = subprocess.run(
            [sys.executable, "-m", "waitroom", *command], capture_output=True, text=True, check=True
        )
        assert '"default"' in status.stdout
        process.send_signal(signal.SIGINT)
