"""Following: twice a second each process hears which rooms were made or removed at run time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from .errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .logs import Log

PERIOD_SECONDS: Final = 0.5


class Rooms(Protocol):
    """What knows the rooms that were made at run time."""

    async def follow_rooms(self) -> bool:
        """Take up what was made or removed; True when something was. Raises `StoreUnavailable`."""
        ...


async def follow_rooms(
    store: Rooms,
    log: Log,
    changed: Callable[[], None] = lambda: None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Follow until cancelled; `changed` is called after each change. While the store is away, nothing changes."""
    while True:
        await follow_once(store, log, changed)
        await sleep(PERIOD_SECONDS)


async def follow_once(store: Rooms, log: Log, changed: Callable[[], None] = lambda: None) -> None:
    """Ask once. Rooms that this version cannot read are told once, and the rooms stay as they were."""
    with suppress(StoreError):
        try:
            if await store.follow_rooms():
                changed()
        except ValueError as error:
            log.failure("rooms_unreadable", error)
