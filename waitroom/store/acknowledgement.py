"""Acknowledgement: how many replicas must have what was written before it is answered.

One is not enough where there are several: in a planned failover of Redis Sentinel one replica is promoted while the
others go on following, and acknowledging to, a master that is none any more, for as long as it takes to tell them. So
all replicas that the master had must acknowledge. When one leaves, nothing is answered for `CAUTION_SECONDS`: either
sentinels or cluster name another master meanwhile, or the replica is just gone, and the others are enough.
"""

from __future__ import annotations

from typing import Final

CAUTION_SECONDS: Final = 5.0
"""Longer than sentinels need to hear of a promotion that one of them began: two periods of asking each server."""
LOOK_SECONDS: Final = 1.0
"""At least so long between two looks at how many replicas there are."""


class Acknowledgement:
    """What is asked of a server's replicas; at least `least` of them. Times are seconds of one clock."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._server = ""
        self.required = least
        self._short_since: float | None = None
        self._look_at = 0.0
        self._there = 0

    def connected(self, server: str) -> None:
        """Take note of which server is asked from now on; another one's replicas are not known yet."""
        if server != self._server:
            self._server = server
            self.required = self._least
            self._short_since = None
            self._look_at = 0.0
            self._there = 0

    def look(self, now: float) -> bool:
        """Return whether it is time to look how many replicas there are."""
        due = now >= self._look_at
        if due:
            self._look_at = now + LOOK_SECONDS
        return due

    def there_are(self, replicas: int) -> None:
        """Take note of how many replicas follow the server. One that only stays, silent, is not waited for again."""
        if replicas > self._there:
            self.required = max(self.required, replicas)
        self._there = replicas

    def heard(self, replicas: int, wanted: int, now: float) -> bool:
        """Take note of how many acknowledged, of those that were `wanted`; return whether that is enough."""
        if replicas < wanted:
            if self._short_since is None:
                self._short_since = now
            if now - self._short_since < CAUTION_SECONDS or replicas < self._least:
                return False
            self.required = replicas
        self._short_since = None
        self.required = max(self.required, replicas)
        return True
