"""URL → client: `redis://`, `rediss://`, `unix://`; the embedded store is a `unix://` one by the time it comes here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client import OneServer
from .operators import RedisOperatorStore
from .redis import RedisStore
from .server import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waitroom.domain.room import Room

    from .client import Client
    from .redis import StoreObserver


def open_client(url: str, *, deadline_ms: int) -> Client:
    """Return a client whose calls are answered within `deadline_ms` or fail. Makes no connection yet."""
    return OneServer(parse(url), deadline_seconds=deadline_ms / 1000)


def open_store(
    url: str, rooms: Sequence[Room], *, deadline_ms: int = 250, observer: StoreObserver | None = None
) -> RedisStore:
    """Return the store behind `url`. Makes no connection yet."""
    return RedisStore(open_client(url, deadline_ms=deadline_ms), rooms, observer=observer)


def open_operator_store(
    url: str, rooms: Sequence[Room], *, deadline_ms: int = 1_000, observer: StoreObserver | None = None
) -> RedisOperatorStore:
    """Return the store behind `url` with the operators' verbs. Makes no connection yet."""
    return RedisOperatorStore(open_client(url, deadline_ms=deadline_ms), rooms, observer=observer)
