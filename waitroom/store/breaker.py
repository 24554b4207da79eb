"""Breaker: after repeated failure the store is not asked for a while, so that requests do not queue up behind it."""

from __future__ import annotations


class Breaker:
    """Opens after `failures` failures in a row; then lets one call through each `pause_seconds` to see.

    Times are seconds of any one clock that never goes back.
    """

    def __init__(self, failures: int = 3, pause_seconds: float = 0.5) -> None:
        self._limit = failures
        self._pause_seconds = pause_seconds
        self._failed = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        """Whether the store counts as away."""
        return self._failed >= self._limit

    def allows(self, now: float) -> bool:
        """Whether a call may be made at `now`; when open, the one that may makes the others wait for its result."""
        if not self.open:
            return True
        if now < self._retry_at:
            return False
        self._retry_at = now + self._pause_seconds
        return True

    def succeeded(self) -> bool:
        """Note an answer; True when the breaker was open."""
        was_open = self.open
        self._failed = 0
        return was_open

    def failed(self, now: float) -> bool:
        """Note a failure; True when this one opened the breaker."""
        self._failed += 1
        if self._failed == self._limit:
            self._retry_at = now + self._pause_seconds
            return True
        return False
