"""StoreClock: the store's time by this process's own clock, from round trips that were quick enough to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BEST_FOR_SECONDS = 10.0
"""How long the quickest round trip is believed; clocks drift apart."""


class StoreClock:
    """Offset to the store's clock (Cristian's algorithm: the middle of the quickest round trip lately).

    `clock` counts seconds and never goes back; `start_ms` is the best guess before the first answer.
    """

    def __init__(self, clock: Callable[[], float], start_ms: float) -> None:
        self._clock = clock
        self._offset_ms = start_ms - clock() * 1000
        self._best_seconds = float("inf")
        self._measured_at = 0.0

    def now_ms(self) -> float:
        """Return the store's time."""
        return self._clock() * 1000 + self._offset_ms

    def learn(self, began: float, store_ms: int) -> None:
        """Take in that the store said `store_ms` in a round trip that began at `began` and ends now."""
        ended = self._clock()
        took = ended - began
        if took <= self._best_seconds or ended - self._measured_at > BEST_FOR_SECONDS:
            self._best_seconds, self._measured_at = took, ended
            # The store says whole milliseconds: half of one is the middle.
            self._offset_ms = store_ms + 0.5 - (began + ended) * 500
