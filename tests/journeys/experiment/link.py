"""A link to a store, in a process of its own, that can be cut, slowed down and reset.

    python -m tests.journeys.experiment.link LISTEN TO

Both are paths of unix sockets, or ports of 127.0.0.1. A line on its input is a command: `cut` (nothing passes and nothing is
closed, as when packets are dropped), `part` (the same, but only for replicas and sentinels), `slow SECONDS` (each answer
takes that long), `reset` (every connection is broken now), `heal`.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

READ_BYTES = 65_536
OPEN_SECONDS = 90
SERVERS_SAY: Final = (b"REPLCONF", b"sentinel-")
"""What a replica says when it begins to follow, and how a sentinel names itself."""


class Link:
    """The link as a test holds it; `listen` and `to` are unix sockets or ports."""

    def __init__(self, listen: Path | int, to: Path | int) -> None:
        self.url = f"unix://{listen}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.journeys.experiment.link", str(listen), str(to)],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
            text=True,
        )
        deadline = time.monotonic() + OPEN_SECONDS
        while not _opened(listen):
            if time.monotonic() > deadline:
                self.close()
                raise AssertionError("the link did not open")
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


def _opened(listen: Path | int) -> bool:
    if isinstance(listen, Path):
        return listen.exists()
    with suppress(OSError), socket.create_connection(("127.0.0.1", listen), 1):
        return True
    return False


class _Weather:
    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._cut = self._parted = False
        self.slow_seconds = 0.0
        self.lines: set[_Line] = set()

    def change(self, command: str) -> None:
        name, _, value = command.strip().partition(" ")
        match name:
            case "cut":
                self._cut = True
            case "part":
                self._parted = True
            case "slow":
                self.slow_seconds = float(value)
            case "reset":
                for line in self.lines:
                    line.reset()
            case "heal":
                self._cut = self._parted = False
                self.slow_seconds = 0.0
        self._changed.set()
        self._changed = asyncio.Event()

    async def clear(self, line: _Line) -> None:
        """Wait until what is on `line` may pass."""
        while self._cut or (self._parted and line.of_a_server):
            await self._changed.wait()


class _Line:
    """A connection through the link."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.of_a_server = False

    def reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, weather: _Weather, line: _Line, *, answers: bool
) -> None:
    with suppress(OSError):
        while data := await reader.read(READ_BYTES):
            if answers and weather.slow_seconds:
                await asyncio.sleep(weather.slow_seconds)
            if not answers and any(words in data for words in SERVERS_SAY):
                line.of_a_server = True
            await weather.clear(line)
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


async def _run(listen: str, to: str) -> None:
    weather = _Weather()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await weather.clear(_Line())
        try:
            if to.isdigit():
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(to))
            else:
                far_reader, far_writer = await asyncio.open_unix_connection(to)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(writer, far_writer)
        weather.lines.add(line)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer, weather, line, answers=False))
                group.create_task(_pump(far_reader, writer, weather, line, answers=True))
        finally:
            weather.lines.discard(line)

    if listen.isdigit():
        server = await asyncio.start_server(connected, "127.0.0.1", int(listen))
    else:
        server = await asyncio.start_unix_server(connected, listen)
    async with server:
        while command := await asyncio.to_thread(sys.stdin.readline):
            weather.change(command)


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
