"""The supervisor: owns the data directory and the listening sockets, starts the children, keeps them alive, ends them.

    supervisor ── store      the embedded Valkey, if asked for
               ── admin      the operators' listener
               ── gateway    as many workers as configured, all accepting from the one listening socket

The sockets are opened here and inherited, so what waits to be accepted outlives any worker. Each of our children has a
channel, a pair of sockets: the child says `ready`, the supervisor says `reload`, and its end tells the child that the
supervisor is gone. The store is told of that by the kernel.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from waitroom import logs
from waitroom.datadir import DataDirectory
from waitroom.errors import StartError

from .child import Child, ending, next_delay
from .listeners import bind, url_of
from .supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from waitroom.settings import Resolved

__all__ = ["Child", "bind", "ending", "next_delay", "run", "url_of"]


def run(load: Callable[[], Resolved]) -> int:
    """Serve until told to stop; return the exit code. `load` is called again on SIGHUP.

    Raises `ConfigurationError` when the first configuration is wrong.
    """
    configured = load().settings
    logs.configure(level=configured.log.level, style=configured.log.format)
    log = logs.logger("supervisor")
    try:
        with DataDirectory(configured.data) as data:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(data.paths.metrics)  # before metrics is first imported
            from waitroom.metrics import Metrics

            listeners = {
                "gateway": bind("gateway", configured.gateway.host, configured.gateway.port, "--port"),
                "admin": bind("admin", configured.admin.host, configured.admin.port, "--admin-port"),
            }
            try:
                return asyncio.run(Supervisor(load, configured, data, listeners, Metrics(), log).serve())
            finally:
                for listener in listeners.values():
                    listener.close()
    except StartError as error:
        log.error("cannot_start", reason=error.reason)  # noqa: TRY400  # foreseen: the reason says it all
        return 1
