"""One run of the supervisor: starting, keeping alive, reloading, ending."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from waitroom import logs
from waitroom.errors import ConfigurationError, StartError
from waitroom.handover import in_force, needing_restart, plain, resolved_secrets
from waitroom.store import embedded

from .child import Child, ending, next_delay
from .listeners import url_of
from .seeding import SAY_AGAIN_SECONDS, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from waitroom.datadir import DataDirectory
    from waitroom.metrics import Metrics
    from waitroom.settings import Resolved, Settings

SAME_SIGNAL_SECONDS: Final = 0.5
"""A second signal so soon is the first one again: `timeout` and terminals send to the process and to its group."""
STORE_EXIT_SECONDS: Final = 10.0
FORCED_STORE_EXIT_SECONDS: Final = 1.0
"""Also one who is in a hurry wants the last seconds of the queue on the disk."""
KILL_MARGIN_SECONDS: Final = 3.0

HARMLESS: Final = re.compile(r"Memory overcommit must be enabled|signal-handler|ready to exit|User requested shutdown")
"""What the store says of each start and end as if it were a warning."""


class Supervisor:
    """One run of it, from start to end."""

    def __init__(
        self,
        load: Callable[[], Resolved],
        configured: Settings,
        data: DataDirectory,
        listeners: dict[str, socket.socket],
        metrics: Metrics,
        log: logs.Log,
    ) -> None:
        self._load = load
        self._configured = configured
        self._data = data
        self._listeners = listeners
        self._metrics = metrics
        self._log = log
        self._socket: Path | None = data.store_socket() if configured.store.url == "embedded" else None
        self._terminal = sys.stderr.isatty()
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._asked_at = 0.0
        self._announced: set[str] = set()
        self._seeding: asyncio.Task[str] | None = None
        self._store = Child("store", "store")
        self._admin = Child("admin", "admin", listeners["admin"])
        self._gateways = [
            Child(f"gateway-{number}", "gateway", listeners["gateway"]) for number in range(configured.gateway.workers)
        ]

    async def serve(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number.name)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        self._metrics.reload(success=True)
        self._hand_over(self._configured)
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await stopping
        finally:
            for task in (starting, stopping, self._seeding):
                if task is not None:
                    task.cancel()
            code = await self._end()
        return code

    # Starting.

    async def _start(self) -> None:
        if self._socket is not None:
            self._keep(self._store, self._run_store(self._socket))
            await self._store_answers(self._socket)
        self._seeding = asyncio.create_task(self._seed())
        await asyncio.wait({self._seeding}, timeout=1.0)
        if self._seeding.done() and (refusal := self._seeding.result()):
            raise StartError(f"the store cannot be used: {refusal}")
        for child in (self._admin, *self._gateways):
            self._keep(child, self._run_worker(child))

    def _hand_over(self, settings: Settings) -> None:
        self._effective = resolved_secrets(
            settings,
            signing_keys=self._data.signing_keys,
            admin_token=self._data.admin_token,
            store_url=None if self._socket is None else embedded.url(self._socket),
            data=self._data.paths.root,
        )
        self._data.hand_over(plain(self._effective))

    async def _store_answers(self, path: Path) -> None:
        """Wait until the embedded store has read its file, saying so while it takes long."""
        clock = asyncio.get_running_loop().time
        say_at = clock() + 1.0
        while (answer := await embedded.ping(path)) != "ready":
            if clock() >= say_at:
                say_at = clock() + SAY_AGAIN_SECONDS
                self._log.info(
                    "store_starting", state="reads its file" if answer == "loading" else "does not answer yet"
                )
            await asyncio.sleep(0.02)
        self._log.info("store_ready", kind="embedded")

    def _seed(self) -> Coroutine[None, None, str]:
        return seed(self._effective, self._log, ours=self._socket is not None)

    # Keeping alive.

    def _keep(self, child: Child, once: Callable[[], Coroutine[None, None, int]]) -> None:
        child.keeper = asyncio.create_task(self._keep_alive(child, once), name=child.name)

    async def _keep_alive(self, child: Child, once: Callable[[], Coroutine[None, None, int]]) -> None:
        from waitroom.metrics import forget_process

        clock = asyncio.get_running_loop().time
        delay = 0.0
        while not self._stop.is_set():
            began = clock()
            try:
                how = ending(await once())
            except Exception as error:  # noqa: BLE001  # whatever keeps it from starting now may pass
                how = f"not started: {error}"
            pid = child.process.pid if child.process else 0
            forget_process(pid)
            if self._stop.is_set():
                return
            delay = next_delay(delay, clock() - began)
            self._metrics.child_restart(child.role)
            self._log.error("child_died", child=child.name, process=pid, how=how, again_in_seconds=delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)

    def _run_store(self, path: Path) -> Callable[[], Coroutine[None, None, int]]:
        command = embedded.command(self._data.paths.store, path)

        async def once() -> int:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT, process_group=0
            )
            self._store.process = process
            assert process.stdout is not None
            with suppress(ValueError):  # a line longer than the reader's limit: the rest is not worth telling
                async for line in process.stdout:
                    said = line.decode("utf-8", "replace").strip()[:300]
                    tell = self._log.debug if HARMLESS.search(said) else self._log.warning
                    tell("store_says", line=said)
            return await process.wait()

        return once

    def _run_worker(self, child: Child) -> Callable[[], Coroutine[None, None, int]]:
        async def once() -> int:
            assert child.listener is not None
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                command = self._command(child.role, child.listener.fileno(), theirs.fileno())
                child.process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=DEVNULL,
                    pass_fds=(child.listener.fileno(), theirs.fileno()),
                    process_group=0,
                )
                theirs.close()
                child.channel = ours
                listening = asyncio.create_task(self._listen(child, ours))
                try:
                    return await child.process.wait()
                finally:
                    child.channel = None
                    listening.cancel()

        return once

    def _command(self, role: str, listener: int, channel: int) -> Sequence[str]:
        settings = str(self._data.paths.settings)
        return [sys.executable, "-m", "waitroom.worker", role, settings, str(listener), str(channel)]

    async def _listen(self, child: Child, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while said := await loop.sock_recv(channel, 64):
                if b"ready" in said:
                    self._ready(child)

    def _ready(self, child: Child) -> None:
        assert child.process is not None
        url = url_of(self._listeners[child.role])
        first = child.role not in self._announced
        if first:  # before it is told: who reads the log goes on to read the run file
            self._announced.add(child.role)
            self._data.announce(child.role, url)
        self._log.info("child_ready", child=child.name, process=child.process.pid)
        if first:
            self._log.info("listening", what=child.role, url=url)
            if child.role == "admin":
                self._tell_first_link(url)

    def _tell_first_link(self, url: str) -> None:
        """Print the link that sets the first password: on standard output, never in the log."""
        with suppress(OSError):
            link = self._data.paths.first_link.read_text().strip()
            words = f"Nobody has a password yet. Within a day, set the first one at {url}/welcome?link={link}"
            print(words, flush=True)  # noqa: T201  # for whoever started it, and for nobody who reads the log

    # Signals.

    def _asked_to_stop(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        if self._stop.is_set():
            if now - self._asked_at >= SAME_SIGNAL_SECONDS:
                self._force.set()
        else:
            self._asked_at = now
            self._log.info("stopping", signal=name, drain_seconds=self._configured.gateway.drain_seconds)
            self._stop.set()

    def _hung_up(self) -> None:
        if self._terminal and self._terminal_is_gone():
            self._asked_to_stop("SIGHUP")
        else:
            self.reload()

    def _terminal_is_gone(self) -> bool:
        try:
            os.tcgetpgrp(2)
        except OSError:
            return True
        return False

    def reload(self) -> None:
        """Read the configuration again; a wrong one changes nothing."""
        try:
            fresh = self._load().settings
            restart = needing_restart(self._configured, fresh)
            settings = in_force(self._configured, fresh)
            self._hand_over(settings)
        except ConfigurationError as error:
            self._metrics.reload(success=False)
            for mistake in error.mistakes:
                self._log.error("mistake", where=mistake.where, what=mistake.what, allowed=mistake.allowed)
            self._log.error("configuration_kept", mistakes=len(error.mistakes), doing="the old one stays in force")
            return
        except StartError as error:
            self._metrics.reload(success=False)
            self._log.error("configuration_kept", reason=error.reason, doing="the old one stays in force")
            return
        self._configured = settings
        logs.configure(level=settings.log.level, style=settings.log.format)
        self._metrics.reload(success=True)
        self._log.info("configuration_reloaded", rooms=" ".join(room.name for room in settings.rooms))
        if restart:
            self._log.warning("restart_needed", settings=" ".join(restart), doing="they stay as they were until then")
        if self._seeding is not None:
            self._seeding.cancel()
        self._seeding = asyncio.create_task(self._seed())
        for child in (self._admin, *self._gateways):
            child.send(b"reload\n")

    # Ending.

    async def _end(self) -> int:
        """End all children, the gateways first; return the exit code."""
        self._stop.set()
        for listener in self._listeners.values():
            listener.close()
        drain_seconds = self._configured.gateway.drain_seconds + KILL_MARGIN_SECONDS
        clean = await self._end_children(self._gateways, drain_seconds)
        clean &= await self._end_children([self._admin], KILL_MARGIN_SECONDS)
        patience = FORCED_STORE_EXIT_SECONDS if self._force.is_set() else STORE_EXIT_SECONDS
        clean &= await self._end_children([self._store], patience, heed_force=False)
        self._log.info("stopped", clean=clean)
        return 0 if clean else 1

    async def _end_children(self, children: list[Child], seconds: float, *, heed_force: bool = True) -> bool:
        """Ask `children` to end; kill those that do not in time, or at once when forced. True when none was."""
        keepers = {child.keeper for child in children if child.keeper is not None}
        if not keepers:
            return True
        for child in children:
            child.signal(signal.SIGTERM)
        forced = asyncio.create_task((self._force if heed_force else asyncio.Event()).wait())
        deadline = asyncio.get_running_loop().time() + seconds
        while keepers and not forced.done():
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            done, _ = await asyncio.wait({*keepers, forced}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            keepers -= done
        forced.cancel()
        for child in children:
            child.signal(signal.SIGKILL)
        if keepers:
            self._log.warning("children_killed", children=" ".join(child.name for child in children))
            await asyncio.wait(keepers)
        return not keepers
