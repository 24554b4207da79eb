"""Deadline: the longest wait for an answer, which does not blame the store for a stall of our own process.

When the event loop stalls, because the machine is short of processors, the answer may lie unread in the socket while
the timer is already due. An alarm that goes off late therefore only waits once more; one that is on time ends the call.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LATE_SECONDS = 0.025
"""How late a timer may fire on a loop that is not stalled."""


class Alarm:
    """Calls `due(now)` at the moment last set, or a whole `seconds` later when the loop was stalled at that moment."""

    def __init__(self, seconds: float, due: Callable[[float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._due = due
        self._timer: asyncio.TimerHandle | None = None

    @property
    def when(self) -> float:
        """When it goes off; never is infinity."""
        return math.inf if self._timer is None else self._timer.when()

    def set(self, when: float) -> None:
        """Go off at `when`, by the loop's clock, and not when it was set to before."""
        self.clear()
        self._timer = self._loop.call_at(when, self._fired, when)

    def clear(self) -> None:
        """Do not go off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fired(self, when: float) -> None:
        self._timer = None
        now = self._loop.time()
        if now - when > LATE_SECONDS:
            self.set(now + self._seconds)
        else:
            self._due(now)
