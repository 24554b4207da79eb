"""What is told of a bench: Markdown for people, JSON for programs, and the part of a document between two marks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .figures import as_plain, judge, medians, ratio, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .cases import Case
    from .figures import Sample, Target, Verdict

BEGIN: Final = "<!-- bench: begin (written by `make bench ARGS=--record`) -->"
END: Final = "<!-- bench: end -->"
HEADINGS: Final = {
    "requests_per_second": "requests/s",
    "messages_per_second": "messages/s",
    "mb_per_second": "MB/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "max_ms": "max ms",
    "cpu_us_per_request": "CPU µs/request",
    "cpu_us_per_message": "CPU µs/message",
    "cpu_ms_per_100_mb": "CPU ms/100 MB",
    "cpu_ms_per_connection": "CPU ms/connection",
    "peak_mib": "peak MiB",
    "busy": "core busy",
    "growth_mib_per_stream": "growth MiB/stream",
    "slow_growth_mib_per_stream": "growth MiB/slow stream",
    "kb_per_connection": "kB/connection",
    "connections_served": "served",
    "bytes_per_visitor": "bytes/visitor",
    "store_used_mib": "store used MiB",
    "store_resident_mib": "store resident MiB",
    "calls_per_second": "calls/s",
    "queue_after": "queue at the end",
}
SATURATED: Final = 0.9
"""A server whose core is less busy than that was not the limit of what was measured."""


FOREIGN: Final = 0.1
"""A share of the server's core that others may use before the report says so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case that has run."""

    case: Case
    samples: Sequence[Sample]
    missing: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    def contenders(self) -> list[str]:
        """Who was measured, in the order of the first round."""
        return list(dict.fromkeys(sample.contender for sample in self.samples))

    def verdicts(self) -> list[Verdict]:
        return [judge(target, self.samples) for target in self.case.targets]


def number(name: str, value: float | None) -> str:
    """Write a figure as a person reads it."""
    if value is None:
        return ""
    if name == "busy":
        return f"{value:.0%}"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def row(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def table(outcome: Outcome) -> str:
    """Return a case's table: who was measured, medians of the rounds, and Waitroom's ratio to each."""
    case = outcome.case
    subject_there = case.subject in outcome.contenders()
    ratios = subject_there and len(outcome.contenders()) > 1
    heads = ["", *(HEADINGS.get(name, name.replace("_", " ")) for name in case.columns), "± rounds"]
    if ratios:
        heads += [f"{case.subject} ÷ this", "the same by CPU"]
    lines = [row(heads), row(["---", *["--:"] * (len(heads) - 1)])]
    for name in outcome.contenders():
        middle = medians(outcome.samples, name)
        apart = spread(outcome.samples, name, case.main)
        errors = f" ({middle['errors']:,.0f} errors)" if middle.get("errors") and "errors" not in case.columns else ""
        cells = [name + errors, *(number(column, middle.get(column)) for column in case.columns)]
        cells.append("" if apart is None else f"{apart / 2:.0%}")
        if ratios:
            found = ratio(outcome.samples, case.subject, name, case.main)
            cells.append("" if found is None or name == case.subject else f"{found:.2f}")
            found = cpu_ratio(outcome, case.subject, name)
            cells.append("" if found is None or name == case.subject else f"{found:.2f}")
        lines.append(row(cells))
    for name, why in outcome.missing.items():
        lines.append(row([name, f"missing: {why}", *[""] * (len(heads) - 2)]))
    for name, why in outcome.failed.items():
        lines.append(row([f"{name} (failed)", " ".join(why.replace("|", "/").split()), *[""] * (len(heads) - 2)]))
    return "\n".join(lines)


def cpu_ratio(outcome: Outcome, subject: str, versus: str) -> float | None:
    """Return subject ÷ versus in what a core could do: the inverse of the time that each needs of it."""
    return ratio(outcome.samples, versus, subject, "core_us")


def by_cpu(outcome: Outcome, target: Target) -> str:
    """Return what a rate or ratio would be if the server had its core to itself, from the time a request takes of it."""
    if target.how == "ratio":
        found = cpu_ratio(outcome, target.subject, target.versus)
        return "" if found is None else f"{found:.2f}"
    core_us = medians(outcome.samples, target.subject).get("core_us")
    if target.how == "value" and target.metric == "requests_per_second" and core_us:
        return f"{1e6 / core_us:,.0f} {target.unit}".strip()
    return ""


def target_table(outcomes: Sequence[Outcome]) -> str:
    """Return every target with what was measured and whether it is met."""
    lines = [row(["case", "target", "measured", "by CPU", ""]), row(["---", "---", "--:", "--:", "---"])]
    for outcome in outcomes:
        for verdict in outcome.verdicts():
            how = verdict.target.how
            value = verdict.value
            if value is None:
                shown = ""
            elif how == "alike":
                shown = f"{1 - value:.0%} apart"
            elif how == "ratio":
                shown = f"{value:.2f}"
            else:
                shown = f"{number(verdict.target.metric, value)} {verdict.target.unit}".strip()
            words = verdict.words() if verdict.met else f"**{verdict.words()}**"
            lines.append(
                row([outcome.case.name, verdict.target.words(), shown, by_cpu(outcome, verdict.target), words])
            )
    return "\n".join(lines)


def markdown(outcomes: Sequence[Outcome], facts: Mapping[str, Any]) -> str:
    """Return the whole report."""
    machine = facts["machine"]
    tools = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    parts = [
        (
            f"Measured on {facts['date']} with Waitroom {facts['version']} on {machine['cores']} cores of a virtual machine "
            f"({machine['processor']}, {machine['memory']}, Linux {machine['kernel']}): {facts['rounds']} rounds of "
            f"{facts['seconds']} s each, medians. {tools}."
        ),
        target_table(outcomes),
    ]
    for outcome in outcomes:
        parts += [f"### `{outcome.case.name}`: {outcome.case.title}", table(outcome)]
        if outcome.case.notes:
            parts.append(outcome.case.notes)
        disturbed = disturbances(outcome)
        if disturbed:
            shares = "; ".join(f"{name} {share:.0%}" for name, share in disturbed.items())
            parts.append(
                f"Others used the server's core meanwhile, so rates are too low and only CPU compares: {shares}."
            )
        idle = [name for name in idlers(outcome) if name not in disturbed]
        if idle:
            parts.append(
                f"Not limited by its own core, but by load and site on the other, so it could do more than is shown: "
                f"{'; '.join(idle)}."
            )
    return "\n\n".join(parts) + "\n"


def disturbances(outcome: Outcome) -> dict[str, float]:
    """Return how much of the server's core went to others, where that was too much."""
    shares = {name: medians(outcome.samples, name).get("foreign", 0.0) for name in outcome.contenders()}
    return {name: share for name, share in shares.items() if share > FOREIGN}


def idlers(outcome: Outcome) -> list[str]:
    """Who had time to spare on its core while going as fast as the load would."""
    if outcome.case.main not in {"requests_per_second", "messages_per_second", "mb_per_second"}:
        return []
    return [name for name in outcome.contenders() if medians(outcome.samples, name).get("busy", 1.0) < SATURATED]


def plain(outcomes: Sequence[Outcome], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole report as JSON values."""
    return {
        **facts,
        "cases": [
            {
                "name": outcome.case.name,
                "title": outcome.case.title,
                "samples": as_plain(outcome.samples),
                "medians": {name: medians(outcome.samples, name) for name in outcome.contenders()},
                "missing": dict(outcome.missing),
                "failed": dict(outcome.failed),
                "targets": [
                    {"target": v.target.words(), "bound": v.target.bound, "value": v.value, "met": v.met}
                    for v in outcome.verdicts()
                ],
            }
            for outcome in outcomes
        ],
    }


def recorded(document: str, report: str) -> str:
    """Return a document with `report` between the marks; raises ValueError where it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no part between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{report}\n{END}{after}"
