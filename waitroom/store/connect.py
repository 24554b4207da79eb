"""URL → client: `redis://`, `rediss://`, `unix://`; the embedded store is a `unix://` one by the time it comes here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from waitroom.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waitroom.domain.room import Room

    from .redis import RedisStore, StoreObserver

SCHEMES = ("redis://", "rediss://", "unix://")


def open_client(url: str, *, deadline_ms: int) -> Redis:
    """Return a client that never repeats a command by itself and connects within `deadline_ms`.

    redis-py would run a script up to eleven times when answers come late. How long an answer may take is the store's
    own affair (module `deadline`), so the client has no time-out for reading.
    """
    if not url.startswith(SCHEMES):
        raise StartError(f"store url {url!r}: it must begin with {', '.join(SCHEMES)}, or be 'embedded'")
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        url,
        max_connections=64,
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=deadline_ms / 1000,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        client_name="waitroom",
    )
    return Redis.from_pool(pool)


def open_store(
    url: str, rooms: Sequence[Room], *, deadline_ms: int = 250, observer: StoreObserver | None = None
) -> RedisStore:
    """Return the store behind `url`. Makes no connection yet."""
    from .redis import RedisStore

    return RedisStore(open_client(url, deadline_ms=deadline_ms), rooms, deadline_ms=deadline_ms, observer=observer)
