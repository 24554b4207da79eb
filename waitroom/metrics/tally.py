"""Tallies: what happens at each request is added up here, and written to its series all at once."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence


class Tally:
    """Observations that were not written yet, by the bucket of `bounds` that they belong in."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.clear()

    def clear(self) -> None:
        self.counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Sums(Histogram):
    """A histogram that takes a tally at once."""

    def take(self, tally: Tally) -> None:
        """Add what `tally` holds, and empty it."""
        if not any(tally.counts):
            return
        self._sum.inc(tally.total)
        for bucket, count in zip(self._buckets, tally.counts, strict=True):
            if count:
                bucket.inc(count)
        tally.clear()
