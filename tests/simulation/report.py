"""Runs the scenarios and makes the table of docs/estimates.md."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from waitroom.domain.estimate import EDGES
from waitroom.domain.outcome import HELD, LONGER, SHORTER, UNTOLD

from .house import House

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .house import Scenario, Told

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "estimates.md"
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario's figures."""

    scenario: Scenario
    kinds: Counter[str]
    buckets: float
    """How many buckets a range spans on average."""
    wait_seconds: float
    """Median."""
    error_seconds: float
    """Median of those that did not hold."""

    @property
    def told(self) -> int:
        return sum(self.kinds.values()) - self.kinds[UNTOLD]

    @property
    def hit_rate(self) -> float:
        return self.kinds[HELD] / self.told


def result_of(scenario: Scenario) -> Result:
    """Run a scenario."""
    everybody = House(scenario).run()
    outcomes = [told.outcome for told in everybody]
    spans = [_span(told) for told in everybody if told.range is not None]
    return Result(
        scenario,
        Counter(outcome.kind for outcome in outcomes),
        sum(spans) / len(spans),
        median(told.called_s - told.joined_s for told in everybody if told.called_s is not None),
        median([outcome.error_seconds for outcome in outcomes if outcome.error_seconds] or [0.0]),
    )


def _span(told: Told) -> int:
    assert told.range is not None
    low, high = told.range
    return (len(EDGES) if high is None else EDGES.index(high)) - EDGES.index(low)


def table(results: Sequence[Result]) -> str:
    """Return the table of results."""
    lines = [
        "| scenario | what happens | told | held | shorter | longer | not known | buckets | median wait | median error |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for found in results:
        scenario, kinds = found.scenario, found.kinds
        lines.append(
            f"| {scenario.name} | {scenario.about} | {found.told:,} | {found.hit_rate:.0%} | {kinds[SHORTER]:,} | "
            f"{kinds[LONGER]:,} | {kinds[UNTOLD]:,} | {found.buckets:.1f} | {found.wait_seconds / 60:.1f} min | "
            f"{found.error_seconds:.0f} s |"
        )
    return "\n".join(lines)


def recorded(text: str, found: str) -> str:
    """Return the document with the table in its place."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{found}\n{END}{after}"
