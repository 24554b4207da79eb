"""Store: what Waitroom asks of the queue's memory. One promise a verb, and what holds when it is away.

Every verb is atomic, harmless when repeated with the same arguments, answers within `deadline_ms` or raises
`StoreUnavailable`, and takes its time from the store alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from waitroom.domain.audit import AuditLine, Author, Deed
    from waitroom.domain.claims import PassClaims, QueueClaims
    from waitroom.domain.history import Sample
    from waitroom.domain.journal import JournalLine, Place, Search
    from waitroom.domain.message import Message
    from waitroom.domain.room import Room
    from waitroom.domain.snapshot import Snapshot
    from waitroom.domain.uptake import Running
    from waitroom.domain.visit import Census, Renewal, Visit


class Purpose(StrEnum):
    """What a caller of `enter` wants."""

    CLAIM = "claim"
    """A navigation, or any request that carries a token: enter if it may, otherwise have a place."""
    DIRECT = "direct"
    """A request without a token that is no navigation: enter if it may; never make a place."""
    JOIN = "join"
    """Have a place and hear where it stands; never enter, so a turn is not used up. A missed turn comes back."""
    LOOK = "look"
    """A poll: hear where the place stands. Never enter, make no place, bring no missed turn back."""


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """A room as the store holds it. `room` is the seed with the live changes on top."""

    room: Room
    version: int
    epoch: int
    seed: dict[str, Any] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    """What operators changed; wins over the seed."""
    messages: tuple[Message, ...] = ()
    """What the shop said, newest first; the first is the room's message."""

    def messages_at(self, now_ms: int) -> tuple[Message, ...]:
        """Return the messages that are shown at `now_ms`."""
        until_ms = self.room.message_until_ms
        return self.messages if until_ms is None or now_ms < until_ms else ()


class Store(Protocol):
    """About ten verbs, one promise each."""

    @property
    def available(self) -> bool:
        """Whether the last calls were answered; False while the breaker is open. Never blocks."""
        ...

    def now_ms(self) -> int:
        """Return the store's time by this process's clock and the offset last measured. Never blocks."""
        ...

    def record(self, room: str) -> RoomRecord:
        """Return the room as last heard from the store (or as seeded). Never blocks; raises `RoomUnknown`."""
        ...

    def last_census(self, room: str) -> Census | None:
        """Return the newest census heard, if any. Never blocks."""
        ...

    async def enter(self, room: str, visitor: str, *, claims: QueueClaims | None, purpose: Purpose) -> Visit:
        """Admit, place or find `visitor`.

        Never lets more than `capacity` be active or more than `rate` enter in any rolling 60 s. A known visitor
        keeps their state; an unknown one with claims is put back where the token says, if it may be believed
        (module `lua/enter`); everybody else is a new arrival. Repeating gives the same answer.
        """
        ...

    async def count_join(self, room: str, network: str, *, most_a_minute: int) -> int:
        """Count one newcomer of a client network (a name that tells nothing). 0: counted; else ms until one may come.

        Never counts more than `most_a_minute` in any rolling 60 s; who is told to wait is not counted.
        """
        ...

    async def beat(self, room: str) -> Census:
        """Move time on: missed turns, ended sessions, calls. At most once per 100 ms whoever asks; else a census."""
        ...

    async def renew(self, room: str, claims: PassClaims) -> Renewal:
        """Prolong a session, put back one that the store forgot, or say that it ended."""
        ...

    async def leave(self, room: str, visitor: str) -> bool:
        """Take `visitor` out of the queue (waiting, called or missed). True when they were there."""
        ...

    async def release(self, room: str, visitor: str, *, generation: str = "") -> bool:
        """End `visitor`'s active session now, so that the slot is free. True when it was active.

        `generation` is the pass's: a session that the store forgot gives up the slot reserved for it.
        """
        ...

    async def census(self, room: str) -> Census:
        """Count, change nothing."""
        ...

    async def snapshot(self, room: str) -> Snapshot:
        """Return the room as counted less than a second ago, since the last change of version or mode.

        Whoever asks first makes it, the others get the same one. A beat comes before: it begins a memory.
        """
        ...

    async def configure(
        self, room: str, live: dict[str, Any], *, expected_version: int | None, author: Author, action: str = "change"
    ) -> RoomRecord:
        """Replace the live changes by `live` (validated; None as expected version means "whatever stands").

        Raises `VersionConflict` when the room stands at another version, `Refused` when `live` is not valid.
        A changed rate starts a new window. The same request id again changes nothing. What is changed is written to
        the audit log in the same step.
        """
        ...

    async def seed(self) -> None:
        """Write what the configuration file says of each room; live changes stay on top.

        Raises `StartError` where a later version of Waitroom keeps what this one cannot live with.
        """
        ...

    async def aclose(self) -> None:
        """Close connections. No other verb may be called after."""
        ...


class OperatorStore(Store, Protocol):
    """What operators ask besides."""

    @property
    def made_rooms(self) -> list[Room]:
        """The rooms made at run time, as they were made. Never blocks."""
        ...

    async def create(self, room: Room, deed: Deed) -> bool:
        """Make a room at run time; every process takes it up within a second. False: there is one of that name."""
        ...

    async def remove(self, room: str, deed: Deed) -> bool:
        """Remove a room that was made at run time, with its queue. False: there is none."""
        ...

    async def audit_logs(self) -> list[str]:
        """Return whose logs `audit` can be asked for: all rooms, removed ones too, and the house."""
        ...

    async def audit(self, room: str, *, before: str = "", limit: int) -> list[AuditLine]:
        """Return at most `limit` lines of the room's audit log, newest first; those at the id `before` and older."""
        ...

    async def running(self) -> list[Running]:
        """Return what the gateway processes said last of the versions they run."""
        ...

    async def admit(self, room: str, count: int, deed: Deed) -> tuple[str, int]:
        """Call the next `count` visitors at once: beyond the rate, never beyond the capacity, at most 1,000.

        Returns `called` and how many, or what keeps them out (paused, closed, off, recovering) and 0.
        """
        ...

    async def dismiss(self, room: str, visitor: str, *, revoke: bool, deed: Deed) -> bool:
        """End a visitor's session or, to `revoke`, session and place; proof of them counts no more. False: had none."""
        ...

    async def front(self, room: str, visitor: str, *, most_a_day: int, deed: Deed) -> tuple[str, int]:
        """Put a visitor at the front of the queue.

        Returns `placed` and the position, or why not (active, called, closed, off, limit) and 0.
        """
        ...

    async def reset(self, room: str, deed: Deed, *, expected_version: int | None) -> int:
        """Empty the queue and raise the epoch; return how many lost their place. Raises `VersionConflict`."""
        ...

    async def history(self, room: str, *, since_ms: int, until_ms: int) -> tuple[int, list[Sample]]:
        """Return seconds between samples, and the samples of that time and the one before, oldest first."""
        ...

    async def look(self, room: str, visitor: str) -> Place:
        """Say where a visitor stands; changes nothing."""
        ...

    async def find(self, room: str, code: str, *, cursor: str = "") -> Search:
        """Look for the visitor of a short code among some thousands of those known, from `cursor` on."""
        ...

    async def journal(self, room: str, *, before: str = "", limit: int) -> list[JournalLine]:
        """Return at most `limit` lines of what happened, newest first; those at the id `before` and older."""
        ...
