"""What a queue token and a pass say, and when each ends. All times are the store's."""

from __future__ import annotations

import re
from typing import NamedTuple

QUEUE_TOKEN_SECONDS = 86_400
"""A place is forgotten a day after it was given."""

_VISITOR = re.compile(r"[A-Za-z0-9_-]{16,32}")


def is_visitor(text: str) -> bool:
    """Whether `text` can be a visitor's id: 16 to 32 characters of URL-safe base64."""
    return _VISITOR.fullmatch(text) is not None


class QueueClaims(NamedTuple):
    """A place in a queue."""

    room: str
    visitor: str
    score_us: int
    epoch: int
    generation: str
    """The store's memory that gave the place; empty when provisional."""
    provisional: bool = False
    """Given by a gateway while the store was away."""
    told: tuple[int, int | None] | None = None
    """The range of minutes that the visitor was told when they joined, if any; None as its end: open."""
    least_position: int = 0
    """The least that a page without script has shown, so that no later one shows more; 0 when none has."""

    def ended(self, now_ms: int) -> bool:
        """Whether the place is too old to be honoured at `now_ms`."""
        return now_ms >= self.score_us // 1000 + QUEUE_TOKEN_SECONDS * 1000


class PassClaims(NamedTuple):
    """An admission."""

    room: str
    visitor: str
    issued_ms: int
    session_end_ms: int
    generation: str
    provisional: bool = False
    """Given by a gateway while the store was away (`on_store_loss = "admit"`)."""

    def fresh(self, now_ms: int, refresh_ms: int) -> bool:
        """Whether the pass may be honoured without asking the store."""
        return now_ms < self.issued_ms + refresh_ms and now_ms < self.session_end_ms
