"""Reporting: each gateway says which version of each room it runs: when that changes, and once a second."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from .errors import WaitroomError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

LOOKS_SECONDS: Final = 0.1
AGAIN_SECONDS: Final = 1.0


class Listener(Protocol):
    """Who keeps what gateways say."""

    async def say_running(self, gateway: str, versions: Mapping[str, int]) -> None:
        """Keep it. Raises `StoreUnavailable`."""
        ...


async def report(
    store: Listener,
    gateway: str,
    versions: Callable[[], Mapping[str, int]],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Report until cancelled; what a store that is away did not hear is said when it is back."""
    said: Mapping[str, int] = {}
    due = clock()
    while True:
        now = versions()
        if now != said or clock() >= due:
            with suppress(WaitroomError):
                await store.say_running(gateway, now)
                said, due = now, clock() + AGAIN_SECONDS
        await sleep(LOOKS_SECONDS)
