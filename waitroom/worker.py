"""A child of the supervisor: one gateway process, or the admin listener.

    python -m waitroom.worker gateway|admin SETTINGS LISTENER CHANNEL

LISTENER and CHANNEL are inherited descriptors: the socket to accept from, and the channel to the supervisor (see
`supervisor`). SIGTERM, or the end of the channel, drains; a second SIGTERM ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
import uvloop

from . import logs
from .assembly import Admin, Part, build_admin, build_gateway, server_config
from .datadir import write_private
from .handover import read_back
from .metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to us and tells when it accepts."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], None] = lambda: None,
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_stopping = on_stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    def stop(self) -> None:
        """Drain; asked again, end at once."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._on_stopping()


async def serve(role: str, settings_file: Path, listener: socket.socket, channel: socket.socket) -> None:
    """Serve until told to stop."""
    settings = read_back(settings_file)
    logs.configure(level=settings.log.level, style=settings.log.format)
    log = logs.logger(role)
    metrics = Metrics()
    part: Part = build_gateway(settings, metrics) if role == "gateway" else build_admin(settings, metrics)
    server = Server(
        server_config(part, settings, metrics),
        on_started=lambda: _say(channel, b"ready\n"),
        on_stopping=part.stopping,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is the supervisor's; we hear of it by the channel

    async def obey() -> None:
        while said := await _heard(channel):
            if b"reload" in said:
                try:
                    fresh = read_back(settings_file)
                    logs.configure(level=fresh.log.level, style=fresh.log.format)
                    await part.reload(fresh)
                except Exception as error:  # noqa: BLE001  # the end of the supervisor must be heard, whatever this met
                    log.failure("reload_failed", error)
                else:
                    log.info("reloaded")
        log.warning("supervisor_gone", doing="drains and ends")
        server.stop()

    obeying = asyncio.create_task(obey())
    await part.start()
    if isinstance(part, Admin) and part.first_link:
        write_private(settings_file.with_name("first-link"), part.first_link + "\n")
    try:
        metrics.up(role)
        gc.collect()
        gc.freeze()  # what is there by now stays: the collector need not look at it again
        gc.set_threshold(
            20_000, 20, 50
        )  # neither a request nor a connection leaves circles behind: there is little to look for
        await server.serve([listener])
    finally:
        obeying.cancel()
        await part.stop()


async def _heard(channel: socket.socket) -> bytes:
    """Return what the supervisor says; nothing when it is gone, also when it was killed before it read our words."""
    with contextlib.suppress(OSError):
        return await asyncio.get_running_loop().sock_recv(channel, 64)
    return b""


def _say(channel: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):
        channel.send(message)


def main(arguments: list[str]) -> None:
    role, settings_file, listener, channel = arguments
    with socket.socket(fileno=int(channel)) as talk, socket.socket(fileno=int(listener)) as accept:
        for one in (talk, accept):
            one.setblocking(False)
            one.set_inheritable(False)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(role, Path(settings_file), accept, talk))


if __name__ == "__main__":
    main(sys.argv[1:])
