"""The positions of a whole queue in at most 200 numbers, and how to read one back.

Two steps. The store is asked for the scores at certain *ranks*: each of the first 80, then ever fewer, no two further
apart than 2.5 % of the position. Then those are left out that a straight line between two others tells as well, to
within a *tolerance* of half a per cent. A position read from what is left is therefore wrong by at most 3 %, whatever
the arrivals were like; and by none among the first ten, by at most one place below 80. Only for arrivals so uneven
that 200 points do not do is the tolerance raised. (The lines are found greedily, as by the swing filter: Elmeleegy and
others, "Online piece-wise linear approximation of numerical streams with precision guarantees", VLDB 2009.)
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = tuple[int, int]
"""A score in µs, and the position that it has."""

MOST_POINTS: Final = 200
EXACT_POSITIONS: Final = 10
STEP_SHARE: Final = 0.025
TOLERANCE_SHARE: Final = 0.005
FRONT: Final = 80
"""So many at the front are all asked for: from there on a step is more than one place."""
LONGEST_QUEUE: Final = 100_000_000


def _all_ranks() -> tuple[int, ...]:
    found, position = [], FRONT
    while position <= LONGEST_QUEUE:
        position += int(position * STEP_SHARE)
        found.append(position - 1)
    return tuple(found)


_RANKS: Final = _all_ranks()


def ranks(waiting: int) -> tuple[int, ...]:
    """Return the ranks, from 0, to ask for in a queue of at most `waiting`, beside the front and the end."""
    return _RANKS[: bisect_left(_RANKS, waiting)]


def sketch(points: Sequence[Point]) -> list[Point]:
    """Return at most 200 of `points`, which rise in score and position, among them the first ten and the last."""
    # Places given by two gateways alone, while the store was away, may share a score.
    points = [point for at, point in enumerate(points) if at == 0 or point[0] > points[at - 1][0]]
    share = TOLERANCE_SHARE
    kept = _thinned(points, share)
    while len(kept) > MOST_POINTS:
        share *= 1.5
        kept = _thinned(points, share)
    return kept


def _thinned(points: Sequence[Point], share: float) -> list[Point]:
    """Keep as few points as lines need that miss no other point's position by more than `share` of it."""
    kept = list(points[:EXACT_POSITIONS])
    if len(points) <= EXACT_POSITIONS:
        return kept
    start_us, start = kept[-1]
    before = kept[-1]
    lowest, highest = 0.0, float("inf")  # slopes, in positions per µs, that serve all points since the last one kept
    for point in points[EXACT_POSITIONS:]:
        score_us, position = point
        slope = (position - start) / (score_us - start_us)
        if not lowest <= slope <= highest:
            kept.append(before)
            start_us, start = before
            lowest, highest = 0.0, float("inf")
        tolerance = position * share
        lowest = max(lowest, (position - tolerance - start) / (score_us - start_us))
        highest = min(highest, (position + tolerance - start) / (score_us - start_us))
        before = point
    kept.append(before)
    return kept


def position_of(score_us: int, points: Sequence[Point], waiting: int) -> int:
    """Return the position that a sketch tells for a score: linear between two points, rounded.

    A score before the first point is next; one after the last came after the sketch was made, behind all in it.
    """
    at = bisect_left(points, score_us, key=lambda point: point[0])
    if at == len(points):
        return waiting + 1
    if at == 0:
        return 1
    (left_us, left), (right_us, right) = points[at - 1], points[at]
    return left + round((right - left) * (score_us - left_us) / (right_us - left_us))
