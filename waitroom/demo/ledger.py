"""Ledger: the shop's own count of sessions, orders and answers, from which every figure of the demo is taken.

A session is active from its first request until its order is confirmed, it leaves, or it was silent for
`idle_seconds`. Time is an argument, in seconds of any one clock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

WINDOW_SECONDS = 60.0


class BusiestWindow:
    """The most events that ever fell into one rolling window, exact, in memory bounded by that number."""

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self._seconds = seconds
        self._recent: deque[float] = deque()
        self.most = 0

    def add(self, now: float) -> None:
        """Count one event at `now`, which never lies before an earlier one."""
        self._recent.append(now)
        while self._recent[0] <= now - self._seconds:
            self._recent.popleft()
        self.most = max(self.most, len(self._recent))


@dataclass(slots=True)
class Session:
    """What the shop remembers of one shopper."""

    last_seen: float
    in_flight: int = 0
    cart: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """The ledger at one moment, as `/stats` shows it."""

    requests: int
    answers_5xx: int
    orders_placed: int
    orders_lost: int
    active: int
    peak_active: int
    entries: int
    entries_busiest_60_seconds: int


class Ledger:
    """Who is in the shop, and what became of the orders."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._sessions: OrderedDict[str, Session] = OrderedDict()  # longest silent first
        self._window = BusiestWindow()
        self._entries = 0
        self._peak = 0
        self._requests = 0
        self._answers_5xx = 0
        self._placed = 0
        self._lost = 0

    def session(self, name: str, now: float) -> Session | None:
        """Return the active session of that name, if there is one."""
        self._expire(now)
        return self._sessions.get(name)

    def begin(self, name: str, now: float) -> Session:
        """Note that a request of session `name` came in; an unknown name is an entry."""
        self._expire(now)
        self._requests += 1
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = Session(now)
            self._entries += 1
            self._window.add(now)
            self._peak = max(self._peak, len(self._sessions))
        session.in_flight += 1
        self._seen(name, session, now)
        return session

    def end(self, name: str, now: float, status: int) -> None:
        """Note that a request of session `name` was answered with `status`."""
        if status >= 500:
            self._answers_5xx += 1
        session = self._sessions.get(name)
        if session is not None:
            session.in_flight -= 1
            self._seen(name, session, now)

    def finish(self, name: str) -> None:
        """End the session: its order is confirmed, or it left."""
        self._sessions.pop(name, None)

    def order_placed(self) -> None:
        """Note an order that was accepted and whose confirmation went out."""
        self._placed += 1

    def order_lost(self) -> None:
        """Note an order that was accepted and never confirmed."""
        self._lost += 1

    def figures(self, now: float) -> Figures:
        """Return all counts."""
        self._expire(now)
        return Figures(
            requests=self._requests,
            answers_5xx=self._answers_5xx,
            orders_placed=self._placed,
            orders_lost=self._lost,
            active=len(self._sessions),
            peak_active=self._peak,
            entries=self._entries,
            entries_busiest_60_seconds=self._window.most,
        )

    def _seen(self, name: str, session: Session, now: float) -> None:
        session.last_seen = now
        self._sessions.move_to_end(name)

    def _expire(self, now: float) -> None:
        while self._sessions:
            name, session = next(iter(self._sessions.items()))
            if session.last_seen + self._idle_seconds > now:
                return
            if session.in_flight:
                self._seen(name, session, now)  # somebody whose page still loads is not gone
            else:
                del self._sessions[name]
