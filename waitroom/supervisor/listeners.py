"""The listening sockets: opened by the supervisor and inherited, so what waits to be accepted outlives any worker."""

from __future__ import annotations

import errno
import socket
import time
from typing import Final

from waitroom.errors import StartError

BACKLOG: Final = 2_048
BIND_SECONDS: Final = 1.0
"""How long a port may still be held by workers of a supervisor that was just killed."""


def bind(section: str, host: str, port: int, flag: str) -> socket.socket:
    """Return a listening socket; raises `StartError` that says what to do."""
    where = f"[{section}] {host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "not a host name"
        raise StartError(f"{where}: {why}; give an address of this machine") from None
    give_up = time.monotonic() + BIND_SECONDS
    while True:
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and time.monotonic() < give_up:
                time.sleep(0.05)
                continue
            raise StartError(f"{where}: {_way_out(error, flag)}") from None
        listener.setblocking(False)
        return listener


def _way_out(error: OSError, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"the port is taken by another program; stop that one, or choose another port with {flag}"
    if error.errno == errno.EACCES:
        return f"this user may not use the port; choose one above 1023 with {flag}"
    return f"{error.strerror}; give an address of this machine"


def url_of(listener: socket.socket) -> str:
    """Return where a listener is reached from this machine."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared with, not bound to
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
