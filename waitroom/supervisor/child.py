"""A child: a process that is kept alive, how it ended, and when it starts again."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    import socket
    from asyncio.subprocess import Process

FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 5.0
STEADY_SECONDS: Final = 10.0
"""A child that lived so long starts again without delay being added up."""


def next_delay(last_seconds: float, lived_seconds: float) -> float:
    """Return how long to wait before a child that lived so long is started again."""
    if lived_seconds >= STEADY_SECONDS:
        return FIRST_DELAY_SECONDS
    return min(max(last_seconds * 2, FIRST_DELAY_SECONDS), LONGEST_DELAY_SECONDS)


def ending(code: int) -> str:
    """Return in words how a process ended."""
    if code >= 0:
        return f"exit {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


@dataclass(slots=True)
class Child:
    """A process that is kept alive."""

    name: str
    role: str
    listener: socket.socket | None = None
    process: Process | None = None
    channel: socket.socket | None = None
    keeper: asyncio.Task[None] | None = field(default=None, repr=False)

    def send(self, message: bytes) -> None:
        """Say something over the channel; a child that is not there does not hear it and need not."""
        if self.channel is not None:
            with suppress(OSError):
                self.channel.send(message)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)
