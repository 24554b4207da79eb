"""Meter: what one process measured, for the charts; told to the store once a second.

Everything is added up from the start of the process. For each room it is remembered what was told already, so that
nothing is told twice and nothing is lost while the store is away.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FAILED_STATUS = 5


class Meter:
    """Counters by name (`store/lua/sample-10.lua`): of the site as this process sees it, and of each room."""

    def __init__(self) -> None:
        self._shop: Counter[str] = Counter()
        self._rooms: dict[str, Counter[str]] = {}
        self._told: dict[str, Counter[str]] = {}

    def requests(self, status_class: int, counts: Sequence[int]) -> None:
        """Add requests to the site that were answered with 1xx … 5xx, by bucket of their time."""
        total = sum(counts)
        self._shop["requests"] += total
        if status_class == FAILED_STATUS:
            self._shop["errors"] += total
        for number, count in enumerate(counts):
            self._shop[f"l{number}"] += count

    def waited(self, room: str, seconds: float) -> None:
        """Add somebody who entered after waiting."""
        counts = self._of(room)
        counts["waits"] += 1
        counts["waited_s"] += round(seconds)

    def told(self, room: str, outcome: str, shown: tuple[int, int | None] | None) -> None:
        """Add what became of a range in minutes that a visitor was shown when they joined."""
        if shown is None:
            return
        low, high = shown
        counts = self._of(room)
        counts[outcome] += 1
        counts["shown_low_s"] += low * 60
        counts["shown_high_s"] += (low if high is None else high) * 60

    def keep(self, rooms: Collection[str]) -> None:
        """Forget every room but these: one that is made again under the same name begins anew."""
        for counts in (self._rooms, self._told):
            for room in counts.keys() - set(rooms):
                del counts[room]

    def since(self, room: str) -> dict[str, int]:
        """Return what was not told of `room` yet."""
        if room not in self._told:
            self._told[room] = Counter(self._shop)  # what the site did before this room was there is not its history
        return dict(self._shop + self._rooms.get(room, Counter()) - self._told[room])

    def delivered(self, room: str, counts: dict[str, int]) -> None:
        """Remember that the store has heard `counts`."""
        self._told[room].update(counts)

    def _of(self, room: str) -> Counter[str]:
        return self._rooms.setdefault(room, Counter())
