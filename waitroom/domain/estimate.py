"""A room's numbers → how fast its queue moves, and the range of waiting time of each position. Coarse on purpose.

The range holds what two reckonings say, a fast one and a slow one. Both let the queue drain in phases: while slots are
free by the rate, after that as fast as sessions end, which is measured. Where nothing was measured yet, the range is
not known. Absent visitors make a queue faster, because their turn passes on; those who come back to the front make it
slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, inf, sqrt
from typing import TYPE_CHECKING, Final

from .admission import free_slots
from .polling import LAST_POSITION
from .room import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .room import Room
    from .snapshot import Pulse, Snapshot

EDGES: Final = (0, 1, 2, 5, 10, 15, 30, 60)
"""Minutes between which ranges lie; the last is open."""
HORIZONS_SECONDS: Final = (60, 300)
LEAST_SECONDS: Final = 10
"""Totals of a shorter time tell no speed."""
UNHINDERED_PER_MINUTE: Final = 600_000.0
"""How fast the beats call where nothing limits."""

Row = tuple[int, int, int | None]
"""Up to which position, low minutes, high minutes (None: open)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What can be said of a room's queue."""

    speed_per_minute: float | None
    """Visitors called a minute, as it stands; None when nobody can say."""
    waits: tuple[Row, ...]
    """Rising; positions beyond the last row are not known."""


UNKNOWN: Final = Estimate(None, ())


@dataclass(frozen=True, slots=True)
class _Drain:
    """How a queue drains: the first `free` by the pace, those behind by the churn (None: not known)."""

    free: float
    pace: float
    churn: float | None
    leaving: float = 0.0
    """Share of those waiting who leave each minute."""

    def position(self, minutes: float) -> float:
        """Return the position whose turn comes after `minutes`; infinity beyond what is known."""
        filling = self.free / self.pace if self.free < inf else inf
        if minutes <= filling:
            gone = minutes * self.pace
        elif self.churn is None:
            return inf
        else:
            gone = self.free + (minutes - filling) * self.churn
        if self.leaving * minutes < 0.001:
            return gone
        return gone * (exp(self.leaving * minutes) - 1) / (self.leaving * minutes)

    @property
    def known(self) -> float:
        """Up to which position it tells."""
        return self.free if self.churn is None else inf


def estimate(room: Room, snapshot: Snapshot) -> Estimate:
    """Return what can be said of `room`'s queue."""
    census = snapshot.census
    if census.mode is not Mode.ON or census.recovering_ms > 0 or 0 in (room.rate_at(census.now_ms), room.capacity):
        return UNKNOWN
    fast, middle, slow = (_drain(room, snapshot, lean) for lean in (1, 0, -1))
    speed = middle.pace if middle.free >= 1 else middle.churn
    return Estimate(None if not speed else round(speed, 1), tuple(_rows(fast, slow)))


def entering(room: Room, snapshot: Snapshot) -> int | None:
    """Return how many visitors enter a minute, as it was in the last one or what there is of it in this mode.

    None until that is long enough to tell. Never more than the rate: what a burst brought in at once does not go on.
    """
    then = _since(snapshot, HORIZONS_SECONDS[0])
    if then is None:
        return None
    measured = round((snapshot.now.admitted - then.admitted) * 60_000 / (snapshot.census.now_ms - then.at_ms))
    rate = room.rate_at(snapshot.census.now_ms)
    return measured if rate is None else min(measured, rate)


def wait_range(position: int, waits: Sequence[Row]) -> tuple[int, int | None] | None:
    """Return the range of minutes in which the turn of `position` comes, or None when it is not known."""
    if position <= 0:
        return None
    return next(((low, high) for up_to, low, high in waits if position <= up_to), None)


def _drain(room: Room, snapshot: Snapshot, lean: int) -> _Drain:
    """Return how the queue drains; `lean` 1 for the fast reckoning, 0 for the likely one, -1 for the slow one."""
    census = snapshot.census
    assumed = 0.3 if lean > 0 and not _absence_known(room, snapshot) else 0.0
    present = 1 - max(census.missed_share, assumed)
    returned = _per_minute(snapshot, "returned")
    pace = UNHINDERED_PER_MINUTE
    rate = room.rate_at(census.now_ms)  # during a ramp, what it is now: nobody is promised what is still to come
    if rate is not None:
        pace = max(1.0, rate / present - returned) * (1 + 0.08 * lean)
    leaving = min(0.5, _per_minute(snapshot, "left") / max(1, census.waiting))
    if room.capacity is None:
        return _Drain(inf, pace, pace, leaving)
    freed = _churn(snapshot, lean)
    churn = None if freed is None else min(pace, max(0.5, freed / present - returned))
    free: float = free_slots(room.capacity, census)
    if churn is not None:
        free = inf if churn >= pace else free * pace / (pace - churn)
    return _Drain(free, pace, churn, leaving)


def _absence_known(room: Room, snapshot: Snapshot) -> bool:
    """Whether enough called visitors had time to come to know the share that does not."""
    ripe_ms = snapshot.census.now_ms - room.claim_seconds * 1000
    return any(pulse.called >= 50 for pulse in snapshot.pulses if pulse.at_ms <= ripe_ms)


def _since(snapshot: Snapshot, seconds: int) -> Pulse | None:
    """Return the totals of about `seconds` ago, or the oldest there are; None when those are too young to tell."""
    now_ms = snapshot.census.now_ms
    found = next((pulse for pulse in reversed(snapshot.pulses) if pulse.at_ms <= now_ms - seconds * 1000), None)
    if found is None and snapshot.pulses:
        found = snapshot.pulses[0]
    return found if found is not None and now_ms - found.at_ms >= LEAST_SECONDS * 1000 else None


def _per_minute(snapshot: Snapshot, total: str) -> float:
    """Return how much a total grew each minute of the last five; 0 when that cannot be told yet."""
    then = _since(snapshot, HORIZONS_SECONDS[-1])
    if then is None:
        return 0.0
    grown: int = getattr(snapshot.now, total) - getattr(then, total)
    return grown * 60_000 / (snapshot.census.now_ms - then.at_ms)


def _churn(snapshot: Snapshot, lean: int) -> float | None:
    """Return how many slots become free a minute: the most, the likeliest or the least of what the horizons say."""
    said = []
    for seconds in HORIZONS_SECONDS:
        then = _since(snapshot, seconds)
        if then is None:
            return None
        count = snapshot.now.freed - then.freed
        said.append((count + lean * sqrt(count)) * 60_000 / (snapshot.census.now_ms - then.at_ms))
    if not any(said):
        return None
    return max(said) if lean > 0 else min(said) if lean < 0 else said[0] or said[-1]


def _rows(fast: _Drain, slow: _Drain) -> list[Row]:
    """Return the table of ranges: it changes where the fast or the slow reckoning crosses an edge."""
    earliest = {edge: fast.position(edge) for edge in EDGES[1:]}
    latest = {edge: slow.position(edge) for edge in EDGES[1:]}
    known = min(fast.known, slow.known, LAST_POSITION)
    ends = {ceil(at) - 1 for at in (*earliest.values(), *latest.values()) if at < known} | {int(known)}
    rows: list[Row] = []
    for end in sorted(end for end in ends if end >= 1):
        low = max((edge for edge, at in earliest.items() if at <= end), default=0)
        high = min((edge for edge, at in latest.items() if end < at), default=None)
        if rows and rows[-1][1:] == (low, high):
            rows.pop()
        rows.append((end, low, high))
    return rows
