"""How soon each position asks again, so that any crowd stays under a room's budget of requests a second.

Everybody asks each 1.5 s while the budget allows. When more wait, those far back ask more seldom, and only then those
near the front: the interval grows with the position from a point on, up to a longest one, and both are stretched until
the sum of all fits. As far as the budget goes, nobody asks later than when two thirds of their wait is over, so nobody
hears of their turn too late.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[int, float]
"""Up to which position, seconds."""

SHORTEST_SECONDS: Final = 1.5
JITTER_LEAST, JITTER_MOST = 0.9, 1.2
"""Each interval is drawn evenly between these times the one told, so that a crowd does not ask in step."""
MEAN_JITTER: Final = (JITTER_LEAST + JITTER_MOST) / 2
CALLED_SECONDS: Final = 5.0
"""How often those who are called and have not come are reckoned with: most of their pages are hidden or closed."""
SPREAD_SECONDS: Final = 20
"""Over how long the first requests after an outage or in a new generation are spread."""
LAST_POSITION: Final = 100_000_000
_POLLS_A_WAIT: Final = 12
_FINER: Final = 1.1
_BAND: Final = 1.2
_MOST_SLOPE: Final = 8.0
"""Twelve polls a wait become one and a half: a next one at two thirds of it."""
_UNKNOWN_SPEED_PER_SECOND: Final = 5.0
_SEEN_SECONDS: Final = 4.5
"""What a called visitor's turn takes to reach a page that reads the shared document, at the longest."""


def polls(waiting: int, called: int, speed_per_minute: float | None, budget: int) -> list[Row]:
    """Return the schedule of a room: rows that rise, the last of which holds for all who come later.

    `budget`: requests a second, of everybody who waits or is called.
    """
    called_share = min(budget / 2, called / CALLED_SECONDS)
    speed = speed_per_minute / 60 if speed_per_minute else _UNKNOWN_SPEED_PER_SECOND
    # Were all to ask as seldom as the last, it would still have to fit: so a long search begins there.
    stretch, level = max(1.0, waiting / (budget * MEAN_JITTER * SHORTEST_SECONDS)), 1.0
    while True:
        slope = min(stretch, _MOST_SLOPE) * level / (_POLLS_A_WAIT * speed)
        longest = SHORTEST_SECONDS * stretch * level
        rows = _rows(waiting, SHORTEST_SECONDS * level, slope, longest)
        if requests_per_second(rows, waiting) <= budget - called_share:
            return rows + _later(waiting, rows[-1][1], budget)
        if stretch < _MOST_SLOPE or longest < slope * waiting:
            stretch *= _FINER
        else:
            level *= _FINER


def requests_per_second(rows: Sequence[Row], waiting: int) -> float:
    """Return how many requests a queue of `waiting` makes by a schedule."""
    total, start = 0.0, 0
    for up_to, seconds in rows:
        end = min(up_to, waiting)
        total += max(0, end - start) / (seconds * MEAN_JITTER)
        start = end
    return total


def poll_seconds(position: int, rows: Sequence[Row]) -> float:
    """Return the interval of a position."""
    return next((seconds for up_to, seconds in rows if position <= up_to), rows[-1][1])


def near(speed_per_minute: float | None, budget: int) -> int:
    """Return up to which position a visitor asks for their own standing rather than for the shared document.

    Those whose turn may come before they would read of it in the shared document; at most a quarter of the budget.
    """
    soon = ceil((speed_per_minute or 0) / 60 * _SEEN_SECONDS)
    return max(10, min(soon, floor(budget / 4 * SHORTEST_SECONDS)))


def _rows(waiting: int, shortest: float, slope: float, longest: float) -> list[Row]:
    """Return the schedule up to `waiting`: `slope` seconds a position, between the shortest and the longest."""
    rows: list[Row] = []
    position = max(1, floor(shortest / slope))
    while True:
        seconds = max(shortest, min(slope * (rows[-1][0] if rows else 0), longest))
        if seconds >= longest or position >= waiting:
            return [*rows, (max(1, waiting), _rounded(seconds))]
        rows.append((position, _rounded(seconds)))
        position = max(position + 1, floor(position * _BAND))


def _later(waiting: int, longest: float, budget: int) -> list[Row]:
    """Return rows for those who come after the snapshot: a rush must not ask as the few did who were there."""
    rows: list[Row] = []
    position = max(1_000, waiting)
    while position < LAST_POSITION:
        rows.append((min(LAST_POSITION, position * 4), _rounded(max(longest, position / budget))))
        position *= 4
    return [(max(1_000, waiting), longest), *rows] if waiting < 1_000 else rows


def _rounded(seconds: float) -> float:
    """Round up to a tenth of a second, so that the sum stays within the budget."""
    return ceil(seconds * 10 - 1e-6) / 10
