"""Background: what a process does beside answering. What breaks is told at once, and ends nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .logs import Log


class Background:
    """The tasks of one process."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` until it is over, or cancelled."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def under_way(self) -> set[str]:
        """Return the names of what is being done."""
        return {task.get_name() for task in self._tasks}

    async def end(self) -> None:
        """Cancel all that runs, and wait for its end."""
        running = tuple(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.failure("background_broke", error, task=task.get_name())
