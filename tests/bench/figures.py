"""What samples say: medians, percentiles, ratios of neighbours in time, and whether a target is met."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one contender."""

    contender: str
    round: int
    metrics: Metrics


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that at least `share` (0–1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * share) - 1)]


def medians(samples: Iterable[Sample], contender: str) -> Metrics:
    """Return the median of each metric over a contender's rounds."""
    columns: dict[str, list[float]] = {}
    for sample in samples:
        if sample.contender == contender:
            for name, value in sample.metrics.items():
                columns.setdefault(name, []).append(value)
    return {name: median(values) for name, values in columns.items()}


def paired(samples: Iterable[Sample], subject: str, versus: str, metric: str) -> list[tuple[float, float]]:
    """Return the values of both of the rounds in which both were measured."""
    rounds: dict[int, dict[str, float]] = {}
    for sample in samples:
        if metric in sample.metrics:
            rounds.setdefault(sample.round, {})[sample.contender] = sample.metrics[metric]
    return [(seen[subject], seen[versus]) for _, seen in sorted(rounds.items()) if {subject, versus} <= seen.keys()]


def ratio(samples: Iterable[Sample], subject: str, versus: str, metric: str) -> float | None:
    """Return the median over the rounds of subject ÷ versus: of each round, so that a drifting machine cancels out."""
    pairs = [(mine, other) for mine, other in paired(samples, subject, versus, metric) if other]
    return median(mine / other for mine, other in pairs) if pairs else None


@dataclass(frozen=True, slots=True)
class Target:
    """What `subject` has to reach.

    `how`: its `value`, its `ratio` to `versus`, its `difference` from `versus`, or how `alike` the two are (the smaller
    ÷ the larger).
    """

    subject: str
    metric: str
    how: Literal["value", "ratio", "difference", "alike"]
    bound: float
    least: bool = True
    versus: str = ""
    unit: str = ""

    def words(self) -> str:
        """Say it."""
        sign = "≥" if self.least else "≤"
        name = self.metric.replace("_", " ")
        bound = f"{self.bound:,g}{self.unit and ' ' + self.unit}"
        if self.how == "value":
            return f"{self.subject}: {name} {sign} {bound}"
        if self.how == "difference":
            return f"{self.subject}: {name} {sign} {bound} more than {self.versus}"
        if self.how == "alike":
            return f"{name} of {self.subject} and {self.versus} within {1 - self.bound:.0%} of each other"
        return f"{self.subject}: {name} {sign} {self.bound:g} × {self.versus}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a target; `value` is None when it could not be measured."""

    target: Target
    value: float | None

    @property
    def met(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.target.bound if self.target.least else self.value <= self.target.bound

    def words(self) -> str:
        """Say it: met, missed by how much, or not measured."""
        if self.value is None:
            return "not measured"
        if self.met:
            return "met"
        if not self.target.bound:
            return "missed"
        return f"missed by {abs(self.value / self.target.bound - 1):.0%}"


def judge(target: Target, samples: Sequence[Sample]) -> Verdict:
    """Hold a target against what was measured."""
    if target.how == "value":
        return Verdict(target, medians(samples, target.subject).get(target.metric))
    if target.how == "ratio":
        return Verdict(target, ratio(samples, target.subject, target.versus, target.metric))
    pairs = paired(samples, target.subject, target.versus, target.metric)
    if not pairs:
        return Verdict(target, None)
    if target.how == "alike":
        return Verdict(target, median(min(pair) / max(pair) if max(pair) else 0.0 for pair in pairs))
    return Verdict(target, median(mine - other for mine, other in pairs))


def interleaved(contenders: Sequence[str], rounds: int) -> list[tuple[int, str]]:
    """Return who is measured when: A B C A B C …, so that what the machine does meanwhile hits all alike."""
    return [(number, contender) for number in range(1, rounds + 1) for contender in contenders]


def spread(samples: Iterable[Sample], contender: str, metric: str) -> float | None:
    """Return how far a contender's rounds lie apart: (largest − smallest) ÷ median."""
    values = [s.metrics[metric] for s in samples if s.contender == contender and metric in s.metrics]
    middle = median(values) if values else 0.0
    return (max(values) - min(values)) / middle if middle else None


def as_plain(samples: Iterable[Sample]) -> list[Mapping[str, object]]:
    """Return samples as JSON values."""
    return [{"contender": s.contender, "round": s.round, **s.metrics} for s in samples]
