"""Charts as inline SVG, for pages without script and for the report. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDTH: Final = 720
HEIGHT: Final = 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 10, 22
_MOST_POINTS: Final = 700


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: which figure of a point, what it is called, which colour class it has."""

    figure: str
    label: str
    kind: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart on the common time axis."""

    id: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    bridged: bool = False
    """Told only now and then: points are joined across the moments that tell nothing."""


CHARTS: Final = (
    Chart("flow", "Arrivals, admissions and missed turns", "a minute", (
        Line("arrivals_per_minute", "arrivals", "a"), Line("admitted_per_minute", "admitted", "b"),
        Line("rate", "rate set", "limit"), Line("missed_per_minute", "missed", "bad"),
    )),
    Chart("waiting", "Waiting", "visitors", (Line("waiting", "waiting", "a"), Line("called", "called", "b"))),
    Chart("active", "Active sessions", "sessions", (
        Line("active", "active", "b"), Line("capacity", "capacity", "limit"),
    )),
    Chart("waits", "Wait that came true, and the range shown", "minutes", (
        Line("waited_seconds", "came true", "a", 1 / 60), Line("shown_low_seconds", "shown, from", "b", 1 / 60),
        Line("shown_high_seconds", "shown, to", "limit", 1 / 60),
    ), bridged=True),
    Chart("latency", "The shop's latency", "ms", (Line("shop_p50_ms", "p50", "b"), Line("shop_p95_ms", "p95", "a"))),
    Chart("errors", "The shop's errors", "% of requests", (Line("shop_error_share", "errors", "bad", 100),)),
)  # fmt: skip


def draw(chart: Chart, points: Sequence[Mapping[str, Any]], marks: Iterable[tuple[int, str]] = ()) -> str:
    """Return an SVG of `points` (oldest first, `at_ms` each); `marks` are moments and what was done then."""
    if len(points) < 2:
        return f'<p class="soft">{escape(chart.title)}: nothing to draw yet.</p>'
    step = -(-len(points) // _MOST_POINTS)
    shown = points[::step]
    begin, end = shown[0]["at_ms"], shown[-1]["at_ms"]
    span = max(1, end - begin)
    values = [_value(point, line) for line in chart.lines for point in shown]
    top = max((value for value in values if value is not None), default=0) or 1

    def x(at_ms: float) -> float:
        return float(round(_LEFT + (at_ms - begin) / span * (WIDTH - _LEFT - _RIGHT), 1))

    def y(value: float) -> float:
        return float(round(HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM), 1))

    drawn = []
    for share in (0, 0.5, 1):
        level = y(top * share)
        drawn.append(f'<path class="grid" d="M{_LEFT} {level}H{WIDTH - _RIGHT}"/>')
        drawn.append(f'<text x="{_LEFT - 6}" y="{level + 4}" text-anchor="end">{_number(top * share)}</text>')
    for at_ms, words in marks:
        if begin <= at_ms <= end:
            drawn.append(
                f'<path class="mark" d="M{x(at_ms)} {_TOP}V{HEIGHT - _BOTTOM}"><title>{escape(words)}</title></path>'
            )
    for line in chart.lines:
        places = [(x(point["at_ms"]), _value(point, line)) for point in shown]
        drawn.append(f'<path class="line {line.kind}" d="{_path(places, y, bridged=chart.bridged)}"/>')
    keys = "".join(
        f'<tspan class="key {line.kind}" dx="{0 if number == 0 else 14}">■</tspan><tspan> {escape(line.label)}</tspan>'
        for number, line in enumerate(chart.lines)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}, {escape(chart.unit)}">'
        + "".join(drawn)
        + f'<text x="{_LEFT}" y="{HEIGHT - 4}">{keys}</text></svg>'
    )


def _value(point: Mapping[str, Any], line: Line) -> float | None:
    value = point.get(line.figure)
    return None if value is None else value * line.scale


def _path(places: list[tuple[float, float | None]], y: Any, *, bridged: bool) -> str:
    steps, pen_down = [], False
    for across, value in places:
        if value is None:
            pen_down = pen_down and bridged
            continue
        steps.append(f"{'L' if pen_down else 'M'}{across} {y(value)}")
        pen_down = True
    return "".join(steps)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
