"""The shared document of a room, `queue.json`: the same bytes for everybody who waits, made once a second.

It is made from the store's snapshot and the room's settings by a pure function, so every gateway makes the same bytes.
It stands ready, compressed and with its headers, so that a request for it asks nobody. While the store is away, the
last numbers are served on, with their age and as what they are: `reconnecting`.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.admission import limiting
from waitroom.domain.estimate import entering, estimate
from waitroom.domain.polling import SPREAD_SECONDS, near, polls
from waitroom.domain.sketch import sketch
from waitroom.domain.view import opens_ms_of, room_view
from waitroom.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from waitroom.domain import estimate as estimates
    from waitroom.domain import polling
    from waitroom.domain.room import Room
    from waitroom.domain.snapshot import Snapshot
    from waitroom.domain.visit import Census
    from waitroom.store.base import RoomRecord, Store

    from .visitor import Header

SNAPSHOT_MS: Final = 1_000
CACHE_CONTROL: Final = b"public, max-age=1, stale-while-revalidate=5"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What of the document tells one visitor's wait: the tables that the page reads too."""

    speed_per_minute: float | None
    admitted_per_minute: int
    """0 also while that cannot be told."""
    waits: Sequence[estimates.Row]
    polls: Sequence[polling.Row]
    near: int
    frontier_us: int


def outlook_of(room: Room, snapshot: Snapshot) -> Outlook:
    """Return the tables for `room`."""
    census = snapshot.census
    found = estimate(room, snapshot)
    return Outlook(
        found.speed_per_minute,
        entering(room, snapshot) or 0,
        found.waits,
        polls(census.waiting, census.called, found.speed_per_minute, room.poll_budget),
        near(found.speed_per_minute, room.poll_budget),
        snapshot.frontier_us,
    )


def document_of(
    record: RoomRecord, snapshot: Snapshot, outlook: Outlook, age_seconds: int | None = None
) -> dict[str, Any]:
    """Return the shared document; `age_seconds` is given while the store is away."""
    room, census = record.room, snapshot.census
    away = age_seconds is not None
    messages = [message.as_json() for message in record.messages_at(census.now_ms)]
    return {
        "room": room.name,
        "generation": census.generation,
        "epoch": census.epoch,
        "made_ms": census.now_ms,
        "age_seconds": age_seconds or 0,
        "mode": census.mode.value,
        "view": "reconnecting" if away else room_view(room, census.now_ms, recovering=census.recovering_ms > 0),
        "reason": "store" if away else limiting(room, census).value,
        "opens_ms": opens_ms_of(room, census.now_ms),
        "message": messages[0] if messages else None,
        "messages": messages,
        "waiting": census.waiting,
        "called": census.called,
        "active": census.active,
        "admitted_per_minute": outlook.admitted_per_minute,
        "speed_per_minute": None if away else outlook.speed_per_minute,
        "frontier_us": snapshot.frontier_us,
        "sketch": sketch(snapshot.points),
        "waits": [] if away else outlook.waits,
        "polls": outlook.polls,
        "near": outlook.near,
        "spread_seconds": SPREAD_SECONDS,
    }


class Answer:
    """A document as it is served: plain and compressed, each with its headers."""

    __slots__ = ("_compressed", "_plain", "_unchanged")

    def __init__(self, document: dict[str, Any]) -> None:
        body = json.dumps(document, separators=(",", ":")).encode()
        tag = sha256(body).hexdigest()[:24].encode()
        self._plain = self._message(b'"' + tag + b'"', body)
        compressed = gzip.compress(body, 9, mtime=0)
        self._compressed = self._message(b'"' + tag + b'-gzip"', compressed, (b"content-encoding", b"gzip"))
        self._unchanged = tag

    @staticmethod
    def _message(tag: bytes, body: bytes, *more: Header) -> tuple[list[Header], bytes]:
        headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", CACHE_CONTROL),
            (b"vary", b"Accept-Encoding"),
            (b"etag", tag),
            (b"x-content-type-options", b"nosniff"),
            *more,
        ]
        return headers, body

    def to(self, headers: Sequence[Header]) -> tuple[int, list[Header], bytes]:
        """Return status, headers and body for a request with `headers`."""
        chosen, known = self._plain, b""
        for name, value in headers:
            if name == b"accept-encoding":
                if accepts_gzip(value):
                    chosen = self._compressed
            elif name == b"if-none-match":
                known += value
        fields, body = chosen
        if known and (self._unchanged in known or known.strip() == b"*"):
            return 304, fields[1:4], b""
        return 200, [*fields, (b"content-length", b"%d" % len(body))], body


@lru_cache(1_024)
def accepts_gzip(value: bytes) -> bool:
    """Whether an Accept-Encoding takes gzip: named, and not with a weight of nought."""
    for item in value.split(b","):
        coding, *parameters = item.split(b";")
        if coding.strip().lower() in {b"gzip", b"x-gzip"}:
            weights = [text.strip()[2:] for text in parameters if text.strip().lower().startswith(b"q=")]
            return not weights or weights[0].strip(b"0.") != b""
    return False


def takes_gzip(headers: Sequence[Header]) -> bool:
    """Whether who sent `headers` takes gzip."""
    return any(name == b"accept-encoding" and accepts_gzip(value) for name, value in headers)


@dataclass(slots=True)
class _Held:
    """The newest document of a room."""

    snapshot: Snapshot
    version: int
    outlook: Outlook
    answer: Answer
    told_ms: int
    away: bool = False


class Documents:
    """The documents of one gateway process, kept by its beat."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[str, _Held] = {}

    def answer(self, room: str) -> Answer | None:
        """Return the room's document, ready to be served; None before it was counted the first time."""
        held = self._held.get(room)
        return None if held is None else held.answer

    def outlook(self, room: str) -> Outlook | None:
        """Return the tables of the room's document; None before it was counted, and while the store is away."""
        held = self._held.get(room)
        return None if held is None or held.away else held.outlook

    def keep(self, rooms: Iterable[str]) -> None:
        """Forget the documents of rooms that are no more: `rooms` are all there are."""
        self._held = {room: self._held[room] for room in rooms if room in self._held}

    async def follow(self, room: str, census: Census | None) -> None:
        """Make the document anew when it is time, after a beat that said `census` (None: the beat failed)."""
        held = self._held.get(room)
        if census is None:
            self._grow_old(room, held)
            return
        if held is None or held.away or _differ(held.snapshot.census, census) or held.version != census.version:
            try:
                snapshot = await self._store.snapshot(room)
            except StoreUnavailable:
                self._grow_old(room, held)
                return
            self._make(room, snapshot)

    def _make(self, room: str, snapshot: Snapshot) -> None:
        record = self._store.record(room)
        outlook = outlook_of(record.room, snapshot)
        answer = Answer(document_of(record, snapshot, outlook))
        self._held[room] = _Held(snapshot, record.version, outlook, answer, snapshot.census.now_ms)

    def _grow_old(self, room: str, held: _Held | None) -> None:
        """Once a second while the store is away, say how old the numbers are."""
        if held is None:
            return
        now_ms = self._store.now_ms()
        if held.away and now_ms - held.told_ms < SNAPSHOT_MS:
            return
        age_seconds = max(0, now_ms - held.snapshot.census.now_ms) // 1000
        record = self._store.record(room)
        held.answer = Answer(document_of(record, held.snapshot, held.outlook, age_seconds))
        held.away, held.told_ms = True, now_ms


def _differ(made: Census, now: Census) -> bool:
    """Whether the document is to be made anew: a second is over, or what the room does has changed."""
    return (
        not 0 <= now.now_ms - made.now_ms < SNAPSHOT_MS
        or made.version != now.version
        or made.mode is not now.mode
        or made.generation != now.generation
    )
