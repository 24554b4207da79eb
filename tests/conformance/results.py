"""What the suites found, side by side: pure, from outcomes to scores, differences and Markdown."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

DIRECT: Final = "direct"
NGINX: Final = "nginx"
GATEWAY: Final = "Waitroom"
FRONTS: Final = (DIRECT, NGINX, GATEWAY)
BEGIN: Final = "<!-- results: begin (make conformance ARGS=--record) -->"
END: Final = "<!-- results: end -->"
SHOWN_TOGETHER: Final = 12
"""So many cases with the same outcomes are named in one row; of more, the first ones and how many."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one case ended at one front: as the suite demands or not, and what was seen."""

    ok: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why cases differ: fnmatch patterns of one suite's cases, and one sentence."""

    suite: str
    cases: tuple[str, ...]
    why: str

    def holds_for(self, suite: str, case: str) -> bool:
        """Whether this is the reason for that case."""
        return suite == self.suite and any(fnmatch.fnmatchcase(case, pattern) for pattern in self.cases)


@dataclass(slots=True)
class Result:
    """One suite's outcomes, front by front; a suite that could not be had or run has `missing` instead."""

    suite: str
    version: str = ""
    measure: str = ""
    outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    missing: str = ""
    """Why it did not run."""
    optional: bool = False
    """It may be missing without the run being a failure."""

    def score(self, front: str) -> tuple[int, int]:
        """Return how many cases ended as demanded, of how many."""
        found = self.outcomes.get(front, {})
        return sum(outcome.ok for outcome in found.values()), len(found)

    def differing(self) -> list[str]:
        """Return the cases that end well at one of nginx and Waitroom only."""
        ours, theirs = self.outcomes.get(GATEWAY, {}), self.outcomes.get(NGINX, {})
        return [case for case in ours if case not in theirs or ours[case].ok != theirs[case].ok]

    def behind(self) -> bool:
        """Whether Waitroom scores less than nginx."""
        return self.score(GATEWAY)[0] < self.score(NGINX)[0]

    def failing_at_both(self) -> list[str]:
        """Return the cases that end well at neither."""
        ours, theirs = self.outcomes.get(GATEWAY, {}), self.outcomes.get(NGINX, {})
        return [case for case in ours if case in theirs and not ours[case].ok and not theirs[case].ok]


def read_reasons(path: Path) -> list[Reason]:
    """Read reasons.toml: `[[reason]]` with `suite`, `cases` and `why`."""
    found: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8")).get("reason", [])
    return [Reason(row["suite"], tuple(row["cases"]), row["why"]) for row in found]


def why(result: Result, case: str, reasons: Iterable[Reason]) -> str:
    """Return the first reason given for a case; nothing when there is none."""
    bare = result.outcomes.get(DIRECT, {}).get(case)
    if bare is not None and not bare.ok:
        return "Fails with no proxy too."
    return next((reason.why for reason in reasons if reason.holds_for(result.suite, case)), "")


def unexplained(results: Iterable[Result], reasons: Sequence[Reason]) -> list[str]:
    """Return the cases that nginx takes and Waitroom does not, and for which no reason is given."""
    return [
        f"{result.suite}: {case}"
        for result in results
        for case in result.differing()
        if not result.outcomes[GATEWAY][case].ok and not why(result, case, reasons)
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _names(cases: Sequence[str]) -> str:
    shown = ", ".join(f"`{case}`" for case in cases[:SHOWN_TOGETHER])
    return shown if len(cases) <= SHOWN_TOGETHER else f"{shown} and {len(cases) - SHOWN_TOGETHER} more"


def _seen(result: Result, front: str, case: str) -> str:
    outcome = result.outcomes.get(front, {}).get(case)
    return "not run" if outcome is None else f"{'✓' if outcome.ok else '✗'} {outcome.seen}".strip()


def _rows(result: Result, cases: Iterable[str], reasons: Sequence[Reason]) -> list[str]:
    """One row for all cases that ended the same way for the same reason."""
    together: dict[tuple[str, str, str], list[str]] = {}
    for case in cases:
        key = (_seen(result, GATEWAY, case), _seen(result, NGINX, case), why(result, case, reasons))
        together.setdefault(key, []).append(case)
    return [
        f"| {_names(names)} | {_cell(ours)} | {_cell(theirs)} | {_cell(reason)} |"
        for (ours, theirs, reason), names in together.items()
    ]


def _score(result: Result, front: str) -> str:
    if front not in result.outcomes:
        return "–"
    passed, of = result.score(front)
    return f"{passed} of {of}"


def markdown(results: Sequence[Result], reasons: Sequence[Reason], facts: Mapping[str, str]) -> str:
    """The whole report: facts of the run, the scores, and suite by suite what differs and why."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| suite | version | no proxy | nginx | Waitroom |", "|---|---|---|---|---|"]
    for result in results:
        if result.missing:
            lines.append(f"| {result.suite} | – | – | – | not run: {_cell(result.missing)} |")
        else:
            scores = " | ".join(_score(result, front) for front in FRONTS)
            lines.append(f"| {result.suite} | {result.version} | {scores} |")
    for result in (result for result in results if not result.missing):
        lines += ["", f"### {result.suite}", "", result.measure]
        for title, cases in (
            ("Where the two differ", result.differing()),
            ("What neither passes", result.failing_at_both()),
        ):
            if cases:
                lines += ["", f"{title}:", "", "| case | Waitroom | nginx | why |", "|---|---|---|---|"]
                lines += _rows(result, cases, reasons)
        if not result.differing():
            lines += ["", "The two do not differ in any case."]
    return "\n".join(lines) + "\n"


def recorded(document: str, report: str) -> str:
    """Return the document with the report between its two marks; raises ValueError where they are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{report}\n{END}{after}"
