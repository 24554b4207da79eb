"""What the bench tells, how it reads the machine, and what it can be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.__main__ import CASES, read_arguments, read_cases
from tests.bench.cases import Case, Run
from tests.bench.contenders import CONTENDERS
from tests.bench.figures import Sample, Target
from tests.bench.machine import core_seconds, read_stat
from tests.bench.queue_cases import spread_over
from tests.bench.report import BEGIN, END, Outcome, markdown, number, plain, recorded, table
from tests.bench.tools import REQUIREMENTS

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
FACTS = {
    "date": "2026-01-02",
    "version": "1.2.3",
    "machine": {"processor": "P", "cores": "2", "memory": "4 GiB", "kernel": "6.1"},
    "rounds": 3,
    "seconds": 4,
    "versions": {"nginx": "1.22", "gone": ""},
}


def nothing(run: Run) -> None:
    raise AssertionError


CASE = Case(
    "get",
    "A page",
    "requests_per_second",
    ("requests_per_second", "busy"),
    nothing,
    (
        Target("waitroom", "requests_per_second", "ratio", 0.5, versus="nginx"),
        Target("waitroom", "requests_per_second", "value", 9_000),
    ),
    notes="Somehow.",
)


def outcome(*, busy: float = 1.0, foreign: float = 0.0) -> Outcome:
    def metrics(rate: float) -> dict[str, float]:
        return {"requests_per_second": rate, "busy": busy, "core_us": 1e6 / rate, "foreign": foreign}

    measured = [Sample("waitroom", 1, metrics(5_000.0)), Sample("nginx", 1, metrics(8_000.0) | {"errors": 3})]
    return Outcome(CASE, measured, {"caddy": "not on PyPI"}, {"traefik": "fell | over"})


def test_the_table_has_a_row_for_everybody_also_for_who_is_missing_or_failed() -> None:
    assert table(outcome()).splitlines()[2:] == [
        "| waitroom | 5,000 | 100% | 0% |  |  |",
        "| nginx (3 errors) | 8,000 | 100% | 0% | 0.62 | 0.62 |",
        "| caddy | missing: not on PyPI |  |  |  |  |",
        "| traefik (failed) | fell / over |  |  |  |  |",
    ]


def test_the_report_says_which_targets_are_met_and_by_how_much_others_are_missed() -> None:
    report = markdown([outcome()], FACTS)
    assert "| get | waitroom: requests per second ≥ 0.5 × nginx | 0.62 | 0.62 | met |" in report
    assert "| get | waitroom: requests per second ≥ 9,000 | 5,000 | 5,000 | **missed by 44%** |" in report
    assert "Measured on 2026-01-02 with Waitroom 1.2.3 on 2 cores" in report
    assert "Not limited" not in report
    assert "Others used" not in report


def test_the_report_says_who_was_not_limited_by_its_own_core() -> None:
    assert "could do more than is shown: waitroom; nginx." in markdown([outcome(busy=0.5)], FACTS)


def test_the_report_says_when_others_used_the_core() -> None:
    report = markdown([outcome(busy=0.5, foreign=0.4)], FACTS)
    assert "Others used the server's core meanwhile" in report
    assert "waitroom 40%; nginx 40%." in report
    assert "could do more" not in report


def test_the_figures_of_every_round_go_into_the_json() -> None:
    found = json.loads(json.dumps(plain([outcome()], FACTS)))
    assert found["cases"][0]["samples"][0]["requests_per_second"] == 5_000
    assert [target["met"] for target in found["cases"][0]["targets"]] == [True, False]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("busy", 0.987, "99%"),
        ("p50_ms", 0.0, "0"),
        ("p50_ms", 0.123, "0.12"),
        ("x", 12.34, "12.3"),
        ("x", 12_345.6, "12,346"),
        ("x", None, ""),
    ],
)
def test_a_figure_is_written_with_the_digits_that_matter(name: str, value: float | None, expected: str) -> None:
    assert number(name, value) == expected


def test_a_report_takes_the_place_of_the_one_before_and_of_nothing_else() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert recorded(document, "new") == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    assert recorded(recorded(document, "new"), "new") == recorded(document, "new")


def test_a_document_without_a_place_for_the_report_is_not_changed() -> None:
    with pytest.raises(ValueError, match="no part between"):
        recorded("a document", "new")


def test_cpu_is_read_of_a_process_whatever_its_name() -> None:
    assert read_stat("7 (a) b (c) S 5 7 7 0 -1 0 0 0 0 0 31 11 0 0 20 0 1 0 9") == (5, 42)


def test_the_use_of_a_core_is_everything_but_idling() -> None:
    text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 9 9 9 9 9 9 9 9 0 0\ncpu1 100 10 20 5000 60 3 4 63 0 0\nintr 5\n"
    assert core_seconds(1, text) == pytest.approx(2.0)
    assert core_seconds(7, text) == 0.0


def test_visitors_who_ask_are_spread_over_the_queue_with_both_its_ends() -> None:
    ranks = spread_over(1_000_000, 512)
    assert (len(ranks), ranks[0], ranks[-1]) == (512, 0, 999_999)
    assert ranks == sorted(set(ranks))


def test_without_a_choice_all_cases_run() -> None:
    assert read_cases("") == list(CASES)
    assert read_cases("beat, me") == ["me", "beat"]


def test_a_case_that_is_not_there_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_arguments(["--case", "get-100,get-1"])
    assert "no such case: get-1; there are get-100, get-16k" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "0"]])
def test_a_bench_of_no_length_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_arguments(arguments)
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_target_is_of_a_figure_that_its_case_shows(case: Case) -> None:
    assert {target.metric for target in case.targets} <= set(case.columns)
    assert case.main in case.columns
    assert case.targets


def test_every_contender_is_described_in_the_document() -> None:
    text = DOCUMENT.read_text().lower()
    assert [name for name in CONTENDERS if name.lower() not in text] == []


def test_the_document_has_every_case_and_the_place_for_the_report() -> None:
    text = DOCUMENT.read_text()
    assert [name for name in CASES if f"`{name}`" not in text] == []
    assert recorded(text, "new") != text


def test_every_comparator_is_pinned() -> None:
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert all("==" in line for line in lines)
