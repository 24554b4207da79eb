"""A room in plain Python: what the store must do, told without scripts, sorted sets or rounding tricks.

Written from the promises, to be compared with the store step by step. Times are the store's, in ms; a queue is a
dict of scores, a window is a list of moments.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from waitroom.domain.room import Mode, Room
from waitroom.domain.visit import Answer, State
from waitroom.store.base import Purpose

if TYPE_CHECKING:
    from waitroom.domain.claims import PassClaims, QueueClaims

WINDOW_MS, SLOT_MS, STOP_MS, STOP_LIMIT_MS, MARGIN_MS = 60_200, 50, 2_000, 3_600_000, 5_000


@dataclass
class Remembered:
    """What a gateway knows of a room from its last answer."""

    generation: str = ""
    heard_ms: int = 0
    active: int = 0
    entries: int = 0
    moments: int = 0


@dataclass
class Model:
    """One room in one store, with the memory of one generation."""

    room: Room
    now_us: int
    generation: str = ""
    epoch: int = 1
    queue: dict[str, int] = field(default_factory=dict)
    called: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    active: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    entries: list[int] = field(default_factory=list)
    last_us: int = 0
    frontier_us: int = 0
    credit: float = 0.0
    credit_ms: int = 0
    clock_ms: int = 0
    stopped_ms: int = 0
    paused_ms: int = 0
    clocks: tuple[int, int, int, int, tuple[int, int]] = (0, 0, 0, 0, (0, 0))
    """What they, `moments` and `gap` were before the request that is made."""
    born_ms: int = 0
    recover_until_ms: int = 0
    lost_ms: int = 0
    lost_active: int = 0
    lost_entries: int = 0
    restored: int = 0
    moments: int = 0
    """In how many ms something was written down; all of a silence count."""
    gap: tuple[int, int] = (0, 0)
    """Of the last silence: nobody was told a number above the first and not above the second."""
    kept: float = 0.0
    absent: float = 0.0
    beat_number: int = 0
    granted: int = 0
    granted_until: int = 0
    """When the turns that an operator gave are over, by the claim clock."""
    beyond_us: list[int] = field(default_factory=list)
    """When somebody entered beyond the rate, because an operator said so."""

    # Clocks.

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    @property
    def session_now(self) -> int:
        return self.now_ms - self.stopped_ms

    @property
    def claim_now(self) -> int:
        return self.session_now - self.paused_ms

    def begin(self, generation: str) -> None:
        """A memory begins: nothing is known but the configuration."""
        now_us, room, epoch, beyond_us = self.now_us, self.room, self.epoch, self.beyond_us
        self.__init__(room=room, now_us=now_us, epoch=epoch, beyond_us=beyond_us)  # type: ignore[misc]
        self.generation = generation
        self.born_ms = self.clock_ms = self.credit_ms = self.now_ms
        self.credit = float(room.burst_visitors)
        self.moments = 1

    def forget(self) -> None:
        """Nothing is left: the next to come begins a memory."""
        self.generation = ""

    def go_back(self, copy: Model) -> None:
        """What was known when `copy` was made is known, and nothing since; the configuration is not part of it."""
        kept = {"room", "now_us", "epoch", "beyond_us"}
        for name, value in vars(deepcopy(copy)).items():
            if name not in kept:
                setattr(self, name, value)

    def is_older_than(self, told: Remembered | None) -> bool:
        if told is None or "" in {told.generation, self.generation}:
            return False
        if told.generation == self.generation:
            return told.moments > self.moments or self.gap[0] < told.moments <= self.gap[1]
        return self.born_ms < told.heard_ms <= self.now_ms

    def begin_again(self, generation: str) -> None:
        """Places and turns stay; sessions come back by their passes, and entries are told."""
        self.generation, self.born_ms = generation, self.now_ms
        self.active, self.entries = {}, []
        self.paused_ms, self.stopped_ms = self.paused_ms + self.stopped_ms, 0
        self.recover_until_ms = self.lost_ms = self.lost_active = self.lost_entries = self.restored = 0
        self.granted = self.granted_until = 0

    def touch(self, generation: str, told: Remembered | None) -> None:
        """What every request does first: move the clocks, listen to what the gateway remembers."""
        older = self.is_older_than(told)
        if self.generation != generation and not older:
            self.begin(generation)
        self.credit = round(self.credit, 6)  # the store keeps a millionth of a visitor
        self.clocks = self.clock_ms, self.stopped_ms, self.paused_ms, self.moments, self.gap
        silence = self.now_ms - self.clock_ms
        if silence > STOP_MS:
            self.gap = self.moments, self.moments + silence
            self.moments += silence
            self.stopped_ms += silence if silence <= STOP_LIMIT_MS else 0
        elif self.room.mode is Mode.PAUSED:
            self.paused_ms += silence
        elif self.room.mode is Mode.ON and self.room.opens_ms is not None:
            self.paused_ms += max(0, min(self.now_ms, self.room.opens_ms) - self.clock_ms)
        self.moments += silence > 0
        self.clock_ms = self.now_ms
        if older:
            self.begin_again(generation)
        if told is not None:
            self.recover(told)

    def write_nothing(self) -> None:
        """What was asked was refused before the clocks were written down."""
        self.clock_ms, self.stopped_ms, self.paused_ms, self.moments, self.gap = self.clocks

    def recover(self, told: Remembered) -> None:
        if told.generation in {"", self.generation}:
            return
        if self.now_ms > self.born_ms + self.room.session_seconds * 1000:
            return
        if self.recover_until_ms == 0:
            self.recover_until_ms = self.now_ms + self.room.refresh_seconds * 1000 + MARGIN_MS
        self.lost_ms = max(self.lost_ms, min(told.heard_ms, self.born_ms))
        self.lost_active = max(self.lost_active, told.active)
        self.entries += [self.now_ms] * max(0, told.entries - self.lost_entries)
        self.lost_entries = max(self.lost_entries, told.entries)

    def recover_by_proof(self, generation: str) -> None:
        fresh = self.now_ms <= self.born_ms + self.room.refresh_seconds * 1000 + MARGIN_MS
        if self.recover_until_ms == 0 and fresh:
            self.recover(Remembered(generation, self.born_ms, 0, 0))

    # Counts.

    @property
    def mode(self) -> Mode:
        return self.room.mode_at(self.now_ms)

    @property
    def recovering(self) -> bool:
        return self.recover_until_ms > self.now_ms

    @property
    def reserved(self) -> int:
        if self.session_now >= self.born_ms + self.room.session_seconds * 1000:
            return 0
        return max(0, self.lost_active - self.restored)

    @property
    def active_count(self) -> int:
        return sum(end > self.session_now for end in self.active.values())

    @property
    def entered(self) -> int:
        return sum((at // SLOT_MS + 1) * SLOT_MS + WINDOW_MS > self.now_ms for at in self.entries)

    @property
    def missed_share(self) -> float:
        return min(0.9, self.absent / (self.kept + self.absent + 10))

    def state_of(self, visitor: str) -> State:
        """Where a visitor stands; nobody known is new."""
        if self.active.get(visitor, 0) > self.session_now:
            return State.ACTIVE
        places = {State.CALLED: self.called, State.WAITING: self.queue, State.MISSED: self.missed}
        return next((state for state, place in places.items() if visitor in place), State.NEW)

    @property
    def rate(self) -> int | None:
        """The rate in force, on the way of a ramp or as the room says."""
        return self.room.rate_at(self.now_ms)

    def order(self) -> list[str]:
        return sorted(self.queue, key=lambda visitor: (self.queue[visitor], visitor))

    @property
    def most_credit(self) -> float:
        if not self.rate:
            return 0.0 if self.rate == 0 else inf
        return max(1.0, self.rate / 60) + self.rate / 600 if self.queue else float(self.room.burst_visitors)

    def accrue(self) -> None:
        if self.rate is None:
            return
        grown = self.credit + (self.now_ms - self.credit_ms) * (self.rate / 60_000)
        self.credit, self.credit_ms = min(self.most_credit, grown), self.now_ms

    def note(self, kept: int, absent: int) -> None:
        self.kept += kept
        self.absent += absent
        total = self.kept + self.absent
        if total > 200:
            self.kept, self.absent = self.kept * 200 / total, self.absent * 200 / total

    # Verbs.

    def enter(self, visitor: str, claims: QueueClaims | None, purpose: Purpose) -> tuple[Answer, int, int, int]:
        """Return answer, score, position, session end (0 where the answer has none)."""
        room = self.room
        enters, joins = purpose in {Purpose.CLAIM, Purpose.DIRECT}, purpose in {Purpose.CLAIM, Purpose.JOIN}
        if room.mode is Mode.OFF:
            return Answer.OFF, 0, 0, 0
        end = self.active.get(visitor, 0)
        if end > self.session_now:
            return Answer.ADMITTED, 0, 0, end + self.stopped_ms
        if room.mode is Mode.CLOSED:
            return Answer.CLOSED, 0, 0, 0
        score = claims.score_us if claims else 0
        if visitor in self.called:
            if not enters:
                return Answer.CALLED, score, 0, 0
            slot = room.capacity is None or self.active_count + self.reserved < room.capacity
            beyond = self.rate is not None and self.entered >= self.rate
            window = not beyond or self.granted > 0
            if self.mode is Mode.ON and not self.recovering and slot and window:
                del self.called[visitor]
                self.note(1, 0)
                if beyond:
                    self.granted -= 1
                    self.beyond_us.append(self.now_us)
                return self.admit(visitor, score)
            self.called[visitor] = max(self.called[visitor], self.claim_now + room.claim_seconds * 1000)
            return Answer.CALLED, score, 0, 0
        believed = claims is not None and claims.epoch == self.epoch
        if visitor in self.queue:
            carried_out_late = claims is not None and claims.provisional and score < self.queue[visitor]
            if believed and carried_out_late and self.honour_once(visitor, score):
                return self.place(visitor, score)
            return self.waiting(visitor)
        kept = self.missed.get(visitor, 0) > self.claim_now and believed
        if kept and purpose is Purpose.LOOK:
            return Answer.MISSED, score, 0, 0
        self.missed.pop(visitor, None)
        if kept:
            return self.place(visitor, score)
        if claims is not None and believed:
            if claims.provisional or claims.generation != self.generation:
                if not claims.provisional:
                    self.recover_by_proof(claims.generation)
                if self.honour_once(visitor, score):
                    return self.place(visitor, score)
            elif score > self.frontier_us and f"!{visitor}" not in self.spent:
                return self.place(visitor, score)
        self.accrue()
        if enters and self.mode is Mode.ON and not self.queue and not self.recovering:
            promised = len(self.called)
            slot = room.capacity is None or self.active_count + promised + self.reserved < room.capacity
            pace = self.rate is None or (self.entered + promised < self.rate and self.credit >= 1)
            if slot and pace:
                self.credit -= 0 if self.rate is None else 1
                return self.admit(visitor, 0)
        if not joins:
            return Answer.REFUSED, 0, 0, 0
        self.last_us = max(self.last_us + 1, self.now_us)
        return self.place(visitor, self.last_us)

    def honour_once(self, visitor: str, score: int) -> bool:
        proof_end = score // 1000 + 86_400_000
        honoured = proof_end > self.spent.get(visitor, 0)
        self.spent[visitor] = max(proof_end, self.spent.get(visitor, 0))
        return honoured

    def admit(self, visitor: str, score: int) -> tuple[Answer, int, int, int]:
        self.active[visitor] = self.session_now + self.room.session_seconds * 1000
        self.entries.append(self.now_ms)
        return Answer.ADMITTED, score, 0, self.active[visitor] + self.stopped_ms

    def place(self, visitor: str, score: int) -> tuple[Answer, int, int, int]:
        self.queue[visitor] = score
        return self.waiting(visitor)

    def waiting(self, visitor: str) -> tuple[Answer, int, int, int]:
        return Answer.WAITING, self.queue[visitor], self.order().index(visitor) + 1, 0

    def beat(self) -> None:
        if self.now_ms // 100 == self.beat_number:
            return
        self.beat_number = self.now_ms // 100
        session_now, claim_now = self.session_now, self.claim_now
        self.active = {v: end for v, end in self.active.items() if end > session_now}
        self.missed = {v: end for v, end in self.missed.items() if end > claim_now}
        self.spent = {v: end for v, end in self.spent.items() if end > self.now_ms}
        self.accrue()
        if self.mode is not Mode.PAUSED:
            absent = [v for v, deadline in self.called.items() if deadline <= claim_now]
            for visitor in absent:
                del self.called[visitor]
                if self.room.hold_minutes:
                    self.missed[visitor] = claim_now + self.room.hold_minutes * 60_000
            self.note(0, len(absent))
            self.credit += len(absent)
            if self.granted_until:
                self.credit = min(self.most_credit, self.credit)
            if claim_now >= self.granted_until:
                self.granted = self.granted_until = 0
        if self.mode is Mode.ON and not self.recovering:
            self.call()
        self.granted = min(self.granted, len(self.called))

    def call(self) -> None:
        count = len(self.queue)
        if self.rate is not None:
            count = min(count, int(self.credit), self.rate - self.entered)
        if self.room.capacity is not None:
            free = max(0, self.room.capacity - self.active_count - self.reserved)
            count = min(count, int(free / (1 - self.missed_share)) - len(self.called))
        for visitor in self.order()[: max(0, count)]:
            self.frontier_us = max(self.frontier_us, self.queue.pop(visitor))
            self.called[visitor] = self.claim_now + self.room.claim_seconds * 1000
            self.credit -= 0 if self.rate is None else 1

    def renew(self, claims: PassClaims) -> tuple[bool, int]:
        """Return whether the session is active, and its end (0 when not)."""
        visitor = claims.visitor
        end = self.active.get(visitor, 0)
        active = end > self.session_now
        if not active and (claims.provisional or claims.generation != self.generation):
            if not claims.provisional:
                self.recover_by_proof(claims.generation)
            silent = self.born_ms - (self.lost_ms or self.born_ms)
            end = claims.session_end_ms + (-self.stopped_ms if claims.provisional else silent)
            if end > self.session_now and claims.session_end_ms > self.spent.get(f"~{visitor}", 0):
                active = True
                self.active[visitor] = end
                self.leave(visitor)
                if claims.provisional:
                    self.spent[f"~{visitor}"] = claims.session_end_ms
                else:
                    self.restored += 1
        if active and self.room.renew == "sliding":
            end = self.active[visitor] = self.session_now + self.room.session_seconds * 1000
        return active, end + self.stopped_ms if active else 0

    def leave(self, visitor: str) -> bool:
        was_called = self.called.pop(visitor, None) is not None
        self.credit += was_called
        was_waiting = self.queue.pop(visitor, None) is not None
        was_missed = self.missed.pop(visitor, None) is not None
        return was_called or was_waiting or was_missed

    def release(self, visitor: str, generation: str) -> bool:
        was_active = self.active.pop(visitor, 0) > self.session_now
        session_ms = self.room.session_seconds * 1000
        if self.recover_until_ms > 0 and self.session_now < self.born_ms + session_ms:
            known = f"~{visitor}" in self.spent
            for member in (visitor, f"~{visitor}"):
                self.spent[member] = max(self.spent.get(member, 0), self.born_ms + session_ms + self.stopped_ms)
            if not was_active and not known and generation not in {"", self.generation}:
                self.restored += 1
                was_active = True
        return was_active

    def admit_now(self, count: int) -> int:
        """Call the next `count` beyond the rate; return how many there were slots for."""
        if self.mode is not Mode.ON or self.recovering:
            self.write_nothing()
            return 0
        if self.room.capacity is not None:
            count = min(count, self.room.capacity - self.active_count - self.reserved - len(self.called))
        called = self.order()[: max(0, count)]
        for visitor in called:
            self.frontier_us = max(self.frontier_us, self.queue.pop(visitor))
            self.called[visitor] = self.claim_now + self.room.claim_seconds * 1000
        if called:
            self.granted += len(called)
            self.granted_until = max(self.granted_until, self.claim_now + self.room.claim_seconds * 1000)
        return len(called)

    def dismiss(self, visitor: str, *, revoke: bool) -> bool:
        ended = self.active.pop(visitor, None) is not None
        if revoke:
            ended = self.leave(visitor) or ended
        if ended:
            for member in [visitor, f"~{visitor}", f"!{visitor}"][: 2 + revoke]:
                self.spent[member] = self.now_ms + 86_400_000
        return ended

    def front(self, visitor: str) -> bool:
        closed = self.room.mode in {Mode.CLOSED, Mode.OFF}
        if closed or self.state_of(visitor) in {State.ACTIVE, State.CALLED}:
            self.write_nothing()
            return False
        first = next(iter(self.order()), None)
        self.missed.pop(visitor, None)
        self.spent.pop(f"!{visitor}", None)
        if first != visitor:
            self.queue[visitor] = self.queue[first] - 1 if first else self.frontier_us or self.now_us
        return True

    def reset(self) -> int:
        people = len(self.queue) + len(self.called) + len(self.missed)
        self.credit += len(self.called)
        self.queue, self.called, self.missed, self.granted, self.granted_until = {}, {}, {}, 0, 0
        self.epoch += 1
        return people

    def configure(self, room: Room) -> None:
        if room.rate != self.room.rate and room.ramp is None:
            self.entries = []
        self.room = room
