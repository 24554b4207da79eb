"""A link between a gateway and its store, in a process of its own, that can be cut, slowed down and reset.

    python -m tests.journeys.experiment.link LISTEN TO

Both are paths of unix sockets. A line on its input is a command: `cut` (nothing passes and nothing is closed, as when
packets are dropped), `slow SECONDS` (each answer takes that long), `reset` (every connection is broken now), `heal`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

READ_BYTES = 65_536


class Link:
    """The link as a test holds it."""

    def __init__(self, listen: Path, to: Path) -> None:
        self.url = f"unix://{listen}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.journeys.experiment.link", str(listen), str(to)],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
            text=True,
        )
        deadline = time.monotonic() + 10
        while not listen.exists():
            assert time.monotonic() < deadline, "the link did not open"
            time.sleep(0.01)

    def tell(self, command: str) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()


class _Weather:
    def __init__(self) -> None:
        self.clear = asyncio.Event()
        self.clear.set()
        self.slow_seconds = 0.0
        self.writers: set[asyncio.StreamWriter] = set()

    def change(self, command: str) -> None:
        name, _, value = command.strip().partition(" ")
        match name:
            case "cut":
                self.clear.clear()
            case "slow":
                self.slow_seconds = float(value)
            case "reset":
                for writer in self.writers:
                    writer.transport.abort()
            case "heal":
                self.slow_seconds = 0.0
                self.clear.set()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, weather: _Weather, *, answers: bool
) -> None:
    with suppress(OSError):
        while data := await reader.read(READ_BYTES):
            if answers and weather.slow_seconds:
                await asyncio.sleep(weather.slow_seconds)
            await weather.clear.wait()
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


async def _run(listen: str, to: str) -> None:
    weather = _Weather()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await weather.clear.wait()
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(to)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        weather.writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer, weather, answers=False))
                group.create_task(_pump(far_reader, writer, weather, answers=True))
        finally:
            weather.writers -= both

    async with await asyncio.start_unix_server(connected, listen):
        while command := await asyncio.to_thread(sys.stdin.readline):
            weather.change(command)


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
