"""History: a room second by second, rolled up to two days, and what charts make of it.

A sample holds gauges and counters as they stood at a moment. So a coarser step is every tenth or sixtieth sample,
nothing is averaged twice, and what happened between any two samples is their difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LATENCY_BOUNDS_MS: Final = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""The buckets `l0`, `l1`, … hold how many requests to the site took up to so long; the last, how many took longer."""

STEPS: Final = (("seconds", 1, 900), ("tens", 10, 1_440), ("minutes", 60, 2_880))
"""Key → seconds between its samples, and how many of them are kept: 15 minutes, 4 hours, 48 hours."""


_GRACE_MS: Final = 30_000
"""More than is promised is kept, and whoever asks for a quarter of an hour asks a moment later."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A room at one moment of the store's time. `counts` are those of `store/lua/sample-10.lua`; -1 is no limit."""

    at_ms: int
    counts: Mapping[str, int]


def step_for(age_ms: int) -> tuple[str, int]:
    """Return key and step in seconds of the finest samples that reach back so far."""
    for key, step_seconds, kept in STEPS:
        if age_ms <= step_seconds * kept * 1000 + _GRACE_MS:
            return key, step_seconds
    return STEPS[-1][:2]


def chart(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return a point for each sample but the first, oldest first; what nobody can say is None."""
    return [_point(before, after) for before, after in pairwise(samples)]


def _point(before: Sample, after: Sample) -> dict[str, Any]:
    seconds = (after.at_ms - before.at_ms) / 1000
    counts = after.counts

    def since(name: str) -> int:
        """What was counted since the sample before; a counter that fell began anew with the store's memory."""
        old, new = before.counts.get(name, 0), counts.get(name, 0)
        return new - old if new >= old else new

    def per_minute(*names: str) -> float:
        return round(sum(map(since, names)) * 60 / seconds, 1)

    def limit(name: str) -> int | None:
        return None if counts[name] < 0 else counts[name]

    latencies = [since(f"l{number}") for number in range(len(LATENCY_BOUNDS_MS) + 1)]
    told = since("held") + since("shorter") + since("longer")
    return {
        "at_ms": after.at_ms,
        "arrivals_per_minute": per_minute("joined", "direct"),
        "admitted_per_minute": per_minute("admitted"),
        "missed_per_minute": per_minute("missed"),
        "left_per_minute": per_minute("left"),
        "rate": limit("rate"),
        "capacity": limit("capacity"),
        "waiting": counts["waiting"],
        "called": counts["called_now"],
        "active": counts["active"],
        "requests_per_second": round(since("requests") / seconds, 1),
        "shop_p50_ms": quantile(latencies, 0.5),
        "shop_p95_ms": quantile(latencies, 0.95),
        "shop_error_share": _share(since("errors"), since("requests")),
        "waited_seconds": _share(since("waited_s"), since("waits")),
        "shown_low_seconds": _share(since("shown_low_s"), told),
        "shown_high_seconds": _share(since("shown_high_s"), told),
        "estimates_held_share": _share(since("held"), told),
    }


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the latency in ms below which `share` of the requests stayed, by even spread within a bucket."""
    total = sum(counts)
    if total == 0:
        return None
    left = share * total
    low = 0
    for high, count in zip(LATENCY_BOUNDS_MS, counts, strict=False):
        if count and left <= count:
            return round(low + (high - low) * left / count, 1)
        left -= count
        low = high
    return float(LATENCY_BOUNDS_MS[-1])


def _share(part: int, whole: int) -> float | None:
    return None if whole == 0 else round(part / whole, 4)
