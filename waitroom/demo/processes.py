"""The processes of the demo: the shop, and a gateway started as a user would; none is ever left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import StartError
from .browser import Browser, Unanswered

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator
    from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 1.2
"""A process that was told to stop has this long before it is made to."""
LOOK_SECONDS = 0.05
LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last in the demo, in seconds.

    A session that falls silent must end at the shop before Waitroom gives its slot away. A pass is renewed when it is
    older than `refresh`, so the shop's `idle` stays below `session` − `refresh`, with some margin.
    """

    idle: int
    session: int
    refresh: int
    claim: int = 6


BRISK = Lifetimes(idle=8, session=15, refresh=3)
LEISURELY = Lifetimes(idle=60, session=90, refresh=10, claim=30)
"""For people who click around."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway answers."""

    url: str
    admin_url: str
    data: Path


def address(url: str) -> tuple[str, int]:
    """Return host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


@asynccontextmanager
async def running_shop(sessions: int, idle_seconds: float) -> AsyncGenerator[str]:
    """Run a shop that bears so many sessions; yields its URL."""
    command = ("waitroom.demo.shop", "--sessions", str(sessions), "--idle-seconds", str(idle_seconds))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line.strip().isdigit():
            raise StartError("the toy shop did not start; its error output stands above")
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        await _stop(process)


@asynccontextmanager
async def running_gateway(
    folder: Path, backend: str, *, rate: int, capacity: int, lifetimes: Lifetimes
) -> AsyncGenerator[Gateway]:
    """Run `waitroom serve` in front of `backend`, with all it writes in `folder`."""
    data = folder / "data"
    config = folder / "waitroom.toml"
    config.write_text(_configuration(data, backend, rate, capacity, lifetimes), encoding="utf-8")
    log = folder / "gateway.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "waitroom.demo.tied",
            "waitroom",
            "serve",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            # What the surroundings say of some other gateway must not reach this one.
            env={name: value for name, value in os.environ.items() if not name.startswith("WAITROOM_")},
            start_new_session=True,
        )
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                gateway = await _ready(process, data)
        except TimeoutError:
            raise StartError(f"the gateway was not ready within {START_SECONDS:.0f} s:\n{_tail(log)}") from None
        if gateway is None:
            raise StartError(f"the gateway did not start:\n{_tail(log)}")
        yield gateway
    finally:
        await _stop(process)


def _configuration(data: Path, backend: str, rate: int, capacity: int, lifetimes: Lifetimes) -> str:
    return "\n".join(
        [
            f"data = {json.dumps(str(data))}",
            "[gateway]",
            "port = 0",
            f"backend = {json.dumps(backend)}",
            "drain_seconds = 0.5",
            "[admin]",
            "port = 0",
            "[[rooms]]",
            'name = "default"',
            f"rate = {rate}",
            f"capacity = {capacity}",
            f"session_seconds = {lifetimes.session}",
            f"refresh_seconds = {lifetimes.refresh}",
            f"claim_seconds = {lifetimes.claim}",
            "",
        ]
    )


async def _ready(process: Process, data: Path) -> Gateway | None:
    """Wait until the gateway takes visitors; None when it ended instead."""
    files = [data / "run" / name for name in ("gateway.json", "admin.json")]
    while process.returncode is None:
        with suppress(FileNotFoundError, ValueError, Unanswered):  # not there, half written, not listening: not yet
            url, admin_url = (json.loads(file.read_bytes())["url"].rstrip("/") for file in files)
            async with Browser(*address(url)) as browser:
                if (await browser.fetch("/.waitroom/readyz")).status == 200:
                    return Gateway(url, admin_url, data)
        await asyncio.sleep(LOOK_SECONDS)
    return None


async def _stop(process: Process) -> None:
    """Tell the process to stop, then end it and all that it started."""
    if process.stdin is not None:
        process.stdin.close()
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
