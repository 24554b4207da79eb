"""Following: twice a second each process hears which rooms were made or removed at run time.

It also tells, once, what of a room this process cannot take up: what another version of Waitroom has written, or live
settings that do not go with the configuration.
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
        """Rooms that cannot be taken up as they were written, and why; they stay as they were."""
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
    broke = ""
    while True:
        try:
            await follow_once(store, changed)
        except Exception as error:  # noqa: BLE001  # rooms must be heard of whatever one look met
            if broke != str(error):
                log.failure("following_broke", error)
            broke = str(error)
        else:
            broke = ""
        for room, reason in store.unreadable.items():
            if told.get(room) != reason:
                log.error("room_unreadable", room=room, reason=reason, doing="the room stays as it was")
        told = dict(store.unreadable)
        await sleep(PERIOD_SECONDS)


async def follow_once(store: Rooms, changed: Callable[[], None] = lambda: None) -> None:
    """Ask once."""
    with suppress(StoreError):
        await store.follow_rooms(changed)
