"""URL → client; the embedded store is a `unix://` one by the time it comes here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waitroom.errors import StartError

from .client import OneServer
from .cluster import Cluster
from .operators import RedisOperatorStore
from .redis import RedisStore
from .sentinel import Sentinels
from .server import Server, servers_of
from .url import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from waitroom.domain.room import Room

    from .calls import StoreObserver
    from .client import Client
    from .url import StoreURL


def replicas_wanted(url: StoreURL, replicas: int | None) -> int:
    """Return how many replicas must acknowledge a write: as told, else one where a failover is to be expected."""
    if replicas is not None:
        return replicas
    return 0 if url.kind == "server" else 1


def open_client(
    url: str, *, deadline_ms: int, replicas: int | None = None, connecting: Callable[[], None] | None = None
) -> Client:
    """Return a client whose calls are answered within `deadline_ms` or fail. Makes no connection yet.

    `replicas` must acknowledge what a script wrote; None is the default of the kind of store. `connecting` is told of
    each connection. Raises `StartError`, which never shows the URL: it may hold a password.
    """
    try:
        where = read(url)
    except ValueError as error:
        raise StartError(str(error)) from None
    servers = servers_of(where)
    deadline_seconds, wanted = deadline_ms / 1000, replicas_wanted(where, replicas)
    if where.kind == "cluster":
        return Cluster(servers, deadline_seconds=deadline_seconds, replicas=wanted, connecting=connecting)
    if where.kind == "server":
        return OneServer(servers[0], deadline_seconds=deadline_seconds, replicas=wanted, connecting=connecting)
    sentinels = [
        Server(
            server.host,
            server.port,
            tls=server.tls,
            username=where.options.get("sentinel_username", ""),
            password=where.options.get("sentinel_password", ""),
        )
        for server in servers
    ]
    master = Sentinels(where.name, sentinels, servers[0], deadline_seconds=deadline_seconds)
    return OneServer(master, deadline_seconds=deadline_seconds, replicas=wanted, connecting=connecting)


def open_store(
    url: str,
    rooms: Sequence[Room],
    *,
    deadline_ms: int = 250,
    replicas: int | None = None,
    observer: StoreObserver | None = None,
) -> RedisStore:
    """Return the store behind `url`. Makes no connection yet."""
    return RedisStore(_observed(url, deadline_ms, replicas, observer), rooms, observer=observer)


def open_operator_store(
    url: str,
    rooms: Sequence[Room],
    *,
    deadline_ms: int = 1_000,
    replicas: int | None = None,
    observer: StoreObserver | None = None,
) -> RedisOperatorStore:
    """Return the store behind `url` with the operators' verbs. Makes no connection yet."""
    return RedisOperatorStore(_observed(url, deadline_ms, replicas, observer), rooms, observer=observer)


def _observed(url: str, deadline_ms: int, replicas: int | None, observer: StoreObserver | None) -> Client:
    connecting = None if observer is None else observer.store_connecting
    return open_client(url, deadline_ms=deadline_ms, replicas=replicas, connecting=connecting)
