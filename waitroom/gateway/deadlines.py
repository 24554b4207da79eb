"""What a client owes us, and by when: pure, time is an argument.

**Phases.** A connection is at any time in one phase:

    phase     the client owes us                       deadline
    NEW       the first byte of a connection           first_byte_seconds, then 408
    HEADER    the rest of a request head               header_seconds from its first byte, then 408
    BODY      the rest of a body                       the body clock below, then 408
    BUSY      nothing: an answer is being made         none
    IDLE      nothing: it may send another request     uvicorn's timeout_keep_alive, then closed
    TUNNEL    nothing: bytes pass as they are          none
    DISCARD   to hang up: the last answer is written   linger_seconds, then closed

**The body clock** runs only while we read. It starts with `body_grace_seconds`; every byte adds
`1 / body_rate_bytes_per_second`, up to `body_stall_seconds` in hand. At zero the body is too slow. While
back-pressure has paused reading, or a client waits for our `100 Continue`, it stands still. A rate of 0 means that
a body may take any time.

**Unread answers.** While nobody adds to the write buffer (writing is paused, or the connection is closing), it must
shrink within `write_stall_seconds`; a client that stops reading is cut off.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waitroom.gateway.protocol import ProtocolLimits

NEVER = math.inf
_UNSET = 0.0  # a phase began while bytes were read; its time starts when they are, only if it is still needed
TIMER_GRAIN_SECONDS = 0.001  # the loop's clock counts milliseconds


class Phase(Enum):
    """What the client owes us; see the module's text."""

    NEW = "new"
    HEADER = "header"
    BODY = "body"
    BUSY = "busy"
    IDLE = "idle"
    TUNNEL = "tunnel"
    DISCARD = "discard"


# Module globals: these are compared for every read.
_HEADER, _BODY = Phase.HEADER, Phase.BODY


class Deadline:
    """The phase of one connection and the time until which the client may stay in it; times are the loop's."""

    __slots__ = ("_idle_seconds", "_limits", "_stall_seconds", "at", "phase")

    def __init__(self, limits: ProtocolLimits, idle_seconds: float, now: float) -> None:
        self._limits = limits
        self._idle_seconds = idle_seconds
        self._stall_seconds = max(limits.body_stall_seconds, limits.body_grace_seconds)
        self.phase = Phase.NEW
        self.at = now + limits.first_byte_seconds

    @property
    def unset(self) -> bool:
        """Whether `start` must be called once the bytes at hand are read."""
        return self.at == _UNSET

    def enter(self, phase: Phase) -> None:
        """Another phase begins. HEADER and BODY get their time from `start`, no other has any."""
        self.phase = phase
        self.at = _UNSET if phase is _HEADER or phase is _BODY else NEVER

    def enter_idle(self, now: float) -> None:
        self.phase = Phase.IDLE
        self.at = now + self._idle_seconds

    def linger(self, now: float) -> None:
        """The last answer is written; the client has some time to hang up."""
        self.phase = Phase.DISCARD
        self.at = now + self._limits.linger_seconds

    def start(self, now: float) -> None:
        """Give the phase its full time from now."""
        self.at = NEVER
        if self.phase is _HEADER:
            self.at = now + self._limits.header_seconds
        elif self.phase is _BODY and self._limits.body_rate_bytes_per_second:
            self.at = now + self._limits.body_grace_seconds

    def restart(self) -> None:
        """The time is to start anew when the bytes at hand are read."""
        self.at = _UNSET

    def stop(self) -> None:
        """It is not the client's turn."""
        self.at = NEVER

    def pause(self) -> None:
        """It is not the client's turn until `start`; a phase that has not started yet still may."""
        if self.at != _UNSET:
            self.at = NEVER

    def body_came(self, size: int, now: float) -> None:
        """So many bytes of the body buy time."""
        if self.at not in (_UNSET, NEVER):
            earned = self.at + size / self._limits.body_rate_bytes_per_second
            self.at = min(earned, now + self._stall_seconds)

    def is_over(self, now: float) -> bool:
        return self.at - now < TIMER_GRAIN_SECONDS


class UnreadAnswer:
    """Whether a client still reads what was written for it."""

    __slots__ = ("_bytes", "_seconds", "_since")

    def __init__(self, write_stall_seconds: float) -> None:
        self._seconds = write_stall_seconds
        self._since = NEVER
        self._bytes = 0

    @property
    def at(self) -> float:
        """When the client is too late, if nothing changes."""
        return self._since + self._seconds

    def is_over(self, unsent_bytes: int | None, now: float) -> bool:
        """Look at the write buffer: its size, or None while it is still being added to."""
        if unsent_bytes is None:
            self._since = NEVER
            return False
        if self._since == NEVER or unsent_bytes < self._bytes:
            self._since = now
        self._bytes = unsent_bytes
        return now - self._since > self._seconds - TIMER_GRAIN_SECONDS
