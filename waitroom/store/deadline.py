"""Deadline: the longest wait for an answer, which does not blame the store for a stall of our own process.

When the event loop stalls, because the machine is short of processors, the answer may lie unread in the socket while
the timer is already due. A timer that fires late therefore only waits once more; one that fires on time ends the call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")
LATE_SECONDS = 0.025
"""How late a timer may fire on a loop that is not stalled."""


async def within(seconds: float, call: Awaitable[T]) -> T:
    """Return what `call` returns; raises TimeoutError when it takes longer while the loop is running."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def due(when: float) -> None:
        nonlocal timer
        if loop.time() - when > LATE_SECONDS:
            timer = armed()
        else:
            timeout.reschedule(loop.time())

    def armed() -> asyncio.TimerHandle:
        when = loop.time() + seconds
        return loop.call_at(when, due, when)

    async with asyncio.timeout(None) as timeout:
        timer = armed()
        try:
            return await call
        finally:
            timer.cancel()
