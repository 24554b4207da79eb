"""The report after a sale: one HTML file with its charts inside, that needs nothing else to be read. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, StrictUndefined

from waitroom.static_files import static_path

from .moments import moment
from .svg import CHARTS, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


WRONG: Final[tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...]] = (
    ("the shop answered with errors", lambda point: (point["shop_error_share"] or 0) > 0.05),
    ("the shop was slow: p95 over 2 s", lambda point: (point["shop_p95_ms"] or 0) > 2_000),
    ("nobody entered while people waited", lambda point: point["waiting"] > 0 and not point["admitted_per_minute"]),
)
"""What counts as an incident, and how a point shows it."""


def document(room: str, points: Sequence[dict[str, Any]], lines: Sequence[dict[str, Any]], words: Sequence[str]) -> str:
    """Return the report of a room over `points` (oldest first), with `lines` of the log and what each says."""
    marks = [(line["at_ms"], said) for line, said in zip(lines, words, strict=True)]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(static_path("console/report.html").read_text(encoding="utf-8"))
    return template.render(
        room=room,
        begin=moment(points[0]["at_ms"]) if points else "",
        end=moment(points[-1]["at_ms"]) if points else "",
        totals=totals(points),
        incidents=incidents(points),
        charts=[(chart, draw(chart, points, marks)) for chart in CHARTS],
        actions=[(moment(at_ms), said) for at_ms, said in marks],
        moment=moment,
    )


def totals(points: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the sums and peaks of a time, as label and number."""
    if len(points) < 2:
        return []

    def summed(name: str) -> float:
        return float(
            sum((point[name] or 0) * (point["at_ms"] - before["at_ms"]) / 60_000 for before, point in pairwise(points))
        )

    def peak(name: str) -> float:
        return float(max((point[name] or 0 for point in points), default=0))

    held = [point["estimates_held_share"] for point in points if point["estimates_held_share"] is not None]
    waited = [point["waited_seconds"] for point in points if point["waited_seconds"] is not None]
    return [
        ("Arrivals", f"{summed('arrivals_per_minute'):,.0f}"),
        ("Admitted", f"{summed('admitted_per_minute'):,.0f}"),
        ("Missed turns", f"{summed('missed_per_minute'):,.0f}"),
        ("Left the queue", f"{summed('left_per_minute'):,.0f}"),
        ("Most waiting at once", f"{peak('waiting'):,.0f}"),
        ("Most active at once", f"{peak('active'):,.0f}"),
        ("Longest mean wait in a step", f"{max(waited, default=0) / 60:,.1f} min"),
        ("Waits within the range shown", f"{sum(held) / len(held):.0%}" if held else "nobody was told a range"),
        ("Slowest p95 of the shop", f"{peak('shop_p95_ms'):,.0f} ms"),
        ("Highest share of errors", f"{peak('shop_error_share'):.1%}"),
    ]


def incidents(points: Sequence[dict[str, Any]]) -> list[tuple[int, int, str]]:
    """Return spans in which something was wrong, as begin and end in ms and what it was."""
    found = []
    for words, is_wrong in WRONG:
        begin = 0
        for point in points:
            if is_wrong(point):
                begin = begin or point["at_ms"]
            elif begin:
                found.append((begin, point["at_ms"], words))
                begin = 0
        if begin:
            found.append((begin, points[-1]["at_ms"], words))
    return sorted(span for span in found if span[1] - span[0] >= 5_000)
