"""The journal: what happened to each visitor, for customer service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KINDS: Final[dict[str, str]] = {
    "joined": "got a place in the queue",
    "called": "it was their turn",
    "admitted": "entered",
    "missed": "did not come in time; the place at the front is kept",
    "returned": "came back to the front, or the store had lost the place and the token gave it back",
    "forgotten": "did not come back while the place was kept",
    "left": "left the queue",
    "released": "the site ended the session",
    "ended": "the session's time was over",
    "restored": "the store had lost the session and the pass gave it back",
    "dismissed": "an operator ended the session",
    "revoked": "an operator took place and session away",
    "fronted": "an operator put them back at the front",
    "reset": "an operator emptied the queue",
}
"""Every kind of line, and what it means."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One thing that happened. `visitor` is empty for what happened to all."""

    id: str
    at_ms: int
    kind: str
    visitor: str
    score_us: int
    """The place that it was about; 0 where it was about none. For `reset`: how many lost their place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a visitor stands now."""

    state: str
    """waiting, called, missed, active or none."""
    score_us: int
    position: int
    left_ms: int
    """Of the turn, the kept place or the session; 0 otherwise."""


@dataclass(frozen=True, slots=True)
class Search:
    """How far a search for a visitor went."""

    visitor: str | None
    cursor: str | None
    """Where to go on; None when all was looked at, or the visitor is found."""
    looked_at: int
