"""The demo: one crowd, one toy shop, with or without Waitroom between them, and what the shop counted."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ..errors import StartError
from . import ARRIVE_SECONDS, CAPACITY, MOST_SHOPPERS, RATE, SEED, SHOPPERS
from .browser import Browser
from .crowd import Stage, Tally, draw_crowd, send_crowd
from .ledger import Figures
from .processes import BRISK, LEISURELY, address, running_gateway, running_shop
from .report import Report

if TYPE_CHECKING:
    from .processes import Gateway

LIMIT_SECONDS = 65.0
"""Whoever still waits then goes home, so that the demo ends within 90 s whatever it was asked for."""
DRAW_SECONDS = 0.1
LINE_SECONDS = 5.0
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Asked:
    """What the demo was asked to do."""

    unprotected: bool
    stay: bool
    shoppers: int
    arrive_seconds: float
    rate: int
    capacity: int
    seed: int
    json_path: str | None

    def other_command(self, program: str = "waitroom") -> str:
        """Return the command that sends the same crowd the other way."""
        words = [f"{program} demo"]
        if not self.unprotected:
            words.append("--unprotected")
        words += [
            f"--{name} {value}"
            for name, value, default in (
                ("shoppers", self.shoppers, SHOPPERS),
                ("seconds", self.arrive_seconds, ARRIVE_SECONDS),
                ("rate", self.rate, RATE),
                ("capacity", self.capacity, CAPACITY),
                ("seed", self.seed, SEED),
            )
            if value != default
        ]
        return " ".join(words)


def program() -> str:
    """Return what to type for `waitroom`: in a virtual environment that is not active, its path."""
    return "waitroom" if shutil.which("waitroom") else os.path.relpath(sys.argv[0])


def main(
    *,
    unprotected: bool = False,
    stay: bool = False,
    shoppers: int = SHOPPERS,
    arrive_seconds: float = ARRIVE_SECONDS,
    rate: int = RATE,
    capacity: int = CAPACITY,
    seed: int = SEED,
    json_path: str | None = None,
) -> int:
    """Run the demo and return its exit code.

    0: the promises were kept, or there were none because the crowd went straight to the shop. 1: one was broken, or a
    part did not start. 130: stopped before the end. The result goes to `json_path` as one JSON document; `-` is
    standard output, and all other words go to standard error then.
    """
    asked = Asked(unprotected, stay, shoppers, arrive_seconds, rate, capacity, seed, json_path)
    console = Console(stderr=json_path == "-")
    if not 1 <= shoppers <= MOST_SHOPPERS:
        console.print(f"The crowd has 1 to {MOST_SHOPPERS} shoppers, not {shoppers}.")
        return 1
    allow_files(3 * shoppers + 500)
    try:
        return asyncio.run(_run_until_signal(asked, console))
    except StartError as error:
        Console(stderr=True).print(f"The demo cannot run: {error.reason}", markup=False, highlight=False)
        return 1


def allow_files(wanted: int) -> None:
    """Every shopper's connection is an open file in up to three processes, and few systems allow many by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _run_until_signal(asked: Asked, console: Console) -> int:
    loop = asyncio.get_running_loop()
    run = asyncio.create_task(_run(asked, console))
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:  # a second signal must not cut the cleaning up short
            stopping = True
            run.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        return await run
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    except OSError:
        if stopping:  # the terminal was closed, so the last words could not be written
            return EXIT_INTERRUPTED
        raise


async def _run(asked: Asked, console: Console) -> int:
    lifetimes = LEISURELY if asked.stay else BRISK
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="waitroom-demo-", ignore_cleanup_errors=True))
        )
        shop_url = await stack.enter_async_context(running_shop(asked.capacity, lifetimes.idle))
        gateway = None
        if not asked.unprotected:
            console.print("Starting the shop and Waitroom in front of it …", highlight=False)
            gateway = await stack.enter_async_context(
                running_gateway(folder, shop_url, rate=asked.rate, capacity=asked.capacity, lifetimes=lifetimes)
            )
        if asked.stay:
            _print_addresses(console, shop_url, gateway)
        report = await _send(asked, console, shop_url, gateway.url if gateway else shop_url)
        _print_report(asked, console, report)
        if asked.stay:
            console.print("\nIt stays up until Ctrl-C.")
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return 0 if report.kept else 1


def _print_addresses(console: Console, shop_url: str, gateway: Gateway | None) -> None:
    lines = [("the shop itself", f"{shop_url}/"), ("its own counts", f"{shop_url}/stats")]
    if gateway is not None:
        lines = [
            ("front door", f"{gateway.url}/"),
            ("status", f"waitroom watch --data {gateway.data}"),
            ("admin", f"{gateway.admin_url}/metrics"),
            *lines,
        ]
    for name, value in lines:
        console.print(f"  {name:<16} {value}", soft_wrap=True, highlight=False)


async def _send(asked: Asked, console: Console, shop_url: str, front_url: str) -> Report:
    plans = draw_crowd(random.Random(asked.seed), asked.shoppers, asked.arrive_seconds)
    tally = Tally(asked.shoppers)
    host, port = address(front_url)
    crowd = asyncio.create_task(send_crowd(plans, tally, host=host, port=port, limit_seconds=LIMIT_SECONDS))
    try:
        await show_progress(console, tally, crowd)
        await crowd
    finally:
        crowd.cancel()
        with suppress(asyncio.CancelledError):
            await crowd
    async with Browser(*address(shop_url)) as browser:
        figures = Figures(**json.loads((await browser.fetch("/stats")).body))
    return Report(not asked.unprotected, asked.rate, asked.capacity, asked.seed, figures, tally)


async def show_progress(console: Console, tally: Tally, crowd: asyncio.Task[None]) -> None:
    """Tell how the crowd fares until it is gone: bars on a terminal, else plain lines."""
    await (_draw_bars if console.is_terminal else _write_lines)(console, tally, crowd)


async def _draw_bars(console: Console, tally: Tally, crowd: asyncio.Task[None]) -> None:
    columns = (TextColumn("{task.description:>9}"), BarColumn(bar_width=40), MofNCompleteColumn())
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        arrived = progress.add_task("arrived", total=tally.shoppers)
        bars = {
            stage: progress.add_task(stage.value, total=tally.shoppers) for stage in Stage if stage is not Stage.COMING
        }
        while True:
            done = crowd.done()
            progress.update(arrived, completed=tally.arrived)
            for stage, bar in bars.items():
                progress.update(bar, completed=tally.stages[stage])
            progress.refresh()
            if done:
                return
            await asyncio.wait((crowd,), timeout=DRAW_SECONDS)


async def _write_lines(console: Console, tally: Tally, crowd: asyncio.Task[None]) -> None:
    began = time.monotonic()
    while not crowd.done():
        await asyncio.wait((crowd,), timeout=LINE_SECONDS)
        counts = ", ".join(f"{tally.stages[stage]} {stage.value}" for stage in Stage if stage is not Stage.COMING)
        console.print(
            f"{time.monotonic() - began:3.0f} s: {tally.arrived} arrived, {counts}", soft_wrap=True, highlight=False
        )


def _print_report(asked: Asked, console: Console, report: Report) -> None:
    console.print()
    console.print(report.table())
    for line in (report.crowd(), report.verdict()):
        console.print(line, highlight=False, soft_wrap=not console.is_terminal)
    way = "through Waitroom" if asked.unprotected else "straight at the shop"
    console.print(f"\nThe same crowd {way}: [bold]{asked.other_command(program())}[/]", soft_wrap=True, highlight=False)
    text = json.dumps(report.as_json(), indent=2) + "\n"
    if asked.json_path == "-":
        sys.stdout.write(text)
    elif asked.json_path is not None:
        Path(asked.json_path).write_text(text, encoding="utf-8")
