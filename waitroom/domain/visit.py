"""The states of a visit, and the table of the moves between them.

    new ──► waiting ──► called ──► active ──► ended
     │         ▲  │        │  └───► missed ──┐
     │         │  └► left  └► left      │    │
     └► active └────────────────────────┴────┘ (back to the front of the queue, or forgotten)

A move that the table does not hold is not legal; the store's scripts make only these moves, and the model in
the tests checks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .room import Mode


class State(StrEnum):
    """Where a visitor stands in a room."""

    NEW = "new"
    WAITING = "waiting"
    CALLED = "called"
    MISSED = "missed"
    ACTIVE = "active"
    ENDED = "ended"


MOVES: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.ACTIVE, State.WAITING}),
    State.WAITING: frozenset({State.CALLED, State.ENDED}),
    State.CALLED: frozenset({State.ACTIVE, State.MISSED, State.ENDED}),
    State.MISSED: frozenset({State.WAITING, State.ENDED}),
    State.ACTIVE: frozenset({State.ENDED}),
    State.ENDED: frozenset({State.NEW}),
}
"""From → to. `ended` covers left, released, session over and forgotten: the next request is a new arrival."""


class Answer(StrEnum):
    """What the store says to `enter`."""

    ADMITTED = "admitted"
    """Active now (or already was): set the pass, proxy this request."""
    WAITING = "waiting"
    """Has a place in the queue."""
    CALLED = "called"
    """It is their turn; they may enter, or a slot will be theirs in a moment."""
    MISSED = "missed"
    """They were called and did not come; the place at the front is kept for whoever comes back in time."""
    CLOSED = "closed"
    """The room is closed: nobody joins or enters."""
    OFF = "off"
    """The room is off: everyone passes and no cookie is set."""
    REFUSED = "refused"
    """Nobody was placed, because the caller asked not to be: nobody entered either."""
    CHALLENGED = "challenged"
    """Not asked for a place: this newcomer has a challenge to pass first."""
    BLOCKED = "blocked"
    """Not asked for a place: too many newcomers came from the same network; `left_ms` until the next may."""


class Visit(NamedTuple):
    """The store's answer about one visitor. Times are the store's, in ms since the epoch."""

    answer: Answer
    visitor: str
    now_ms: int
    generation: str
    epoch: int
    score_us: int = 0
    """What orders the queue; 0 for whoever entered without waiting."""
    position: int = 0
    """1 is next; 0 when not waiting."""
    session_end_ms: int = 0
    """For `admitted`: until when a pass may say the session lasts."""
    left_ms: int = 0
    """For `called`: how long the slot is held. For `missed`: how long the place is kept.
    For `admitted`: how long it would still have been held, 0 for whoever was not called."""
    challenge: str = ""
    """For `challenged`: what it is, `work` or `captcha`."""
    provisional: bool = False
    """True when the store was away and the gateway answered alone."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """The store's answer to a pass that asks to go on."""

    active: bool
    now_ms: int
    generation: str
    session_end_ms: int = 0


@dataclass(frozen=True, slots=True)
class Census:
    """A room at one moment, as the beat and the census script report it."""

    mode: Mode
    version: int
    generation: str
    epoch: int
    now_ms: int
    waiting: int
    called: int
    missed: int
    active: int
    entries: int
    """Admissions in the last 60 s."""
    reserved: int
    """Slots kept for sessions that the store forgot and whose passes may still come."""
    recovering_ms: int
    """How long the room still recovers from a loss of the store's memory; 0 when it does not."""
    missed_share: float
    """Share of called visitors who did not come lately, 0 to 1."""
    joined_total: int
    called_total: int
    admitted_total: int
    missed_total: int
    returned_total: int
    """Visitors put back by their token: missed turns that came back and places the store had lost."""
    left_total: int
    released_total: int
    ended_total: int
    idle_ms: int = 0
    """Longest time since the generation began in which somebody waited, limits had room, and nobody was called."""
    moments: int = 0
    """In how many ms of its time the store's memory was written; whoever was told of more knows an older copy by it."""
