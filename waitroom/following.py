"""Following: twice a second each process hears which rooms were made or removed at run time.

It also tells, once, what another version of Waitroom that runs beside this one has written and this one cannot read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from .errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .logs import Log

PERIOD_SECONDS: Final = 0.5


class Rooms(Protocol):
    """What knows the rooms that were made at run time."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Rooms that cannot be read as they were written, and why; they stay as they were."""
        ...

    async def follow_rooms(self, changed: Callable[[], None]) -> bool:
        """Take up what was made or removed, and call `changed` if something was. Raises `StoreUnavailable`."""
        ...


async def follow_rooms(
    store: Rooms,
    log: Log,
    changed: Callable[[], None] = lambda: None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Follow until cancelled; `changed` is called after each change. While the store is away, nothing changes."""
    told: dict[str, str] = {}
    while True:
        await follow_once(store, changed)
        for room, reason in store.unreadable.items():
            if told.get(room) != reason:
                log.error("room_unreadable", room=room, reason=reason, doing="keeps what it has; upgrade this machine")
        told = dict(store.unreadable)
        await sleep(PERIOD_SECONDS)


async def follow_once(store: Rooms, changed: Callable[[], None] = lambda: None) -> None:
    """Ask once."""
    with suppress(StoreError):
        await store.follow_rooms(changed)
