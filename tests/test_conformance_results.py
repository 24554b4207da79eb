"""What `make conformance` reports is what the suites found: scores, differences, reasons, and the record of them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.conformance.results import (
    BEGIN,
    DIRECT,
    END,
    GATEWAY,
    NGINX,
    Outcome,
    Reason,
    Result,
    markdown,
    read_reasons,
    recorded,
    unexplained,
    why,
)

ROOT = Path(__file__).parents[1]
REASONS = ROOT / "tests" / "conformance" / "reasons.toml"
GOOD, BAD = Outcome(ok=True, seen="arrived"), Outcome(ok=False, seen="refused 400")


def result(**outcomes: tuple[Outcome, Outcome]) -> Result:
    """A suite `S` with each case's outcome at Waitroom and at nginx."""
    found = Result("S", "1.0", "All must arrive.")
    found.outcomes[GATEWAY] = {case: pair[0] for case, pair in outcomes.items()}
    found.outcomes[NGINX] = {case: pair[1] for case, pair in outcomes.items()}
    return found


def test_a_score_counts_the_cases_that_end_as_demanded() -> None:
    found = result(a=(GOOD, GOOD), b=(BAD, GOOD), c=(BAD, BAD))
    assert found.score(GATEWAY) == (1, 3)
    assert found.score(NGINX) == (2, 3)
    assert found.score(DIRECT) == (0, 0)
    assert found.behind()


def test_cases_differ_when_they_end_well_at_one_only() -> None:
    found = result(a=(GOOD, GOOD), b=(BAD, GOOD), c=(GOOD, BAD), d=(BAD, BAD))
    assert found.differing() == ["b", "c"]
    assert found.failing_at_both() == ["d"]


def test_only_a_case_lost_to_nginx_needs_a_reason() -> None:
    found = result(lost=(BAD, GOOD), won=(GOOD, BAD), both=(BAD, BAD))
    assert unexplained([found], []) == ["S: lost"]
    assert unexplained([found], [Reason("S", ("lo*",), "It is right so.")]) == []
    assert unexplained([found], [Reason("T", ("lo*",), "Of another suite.")]) == ["S: lost"]


def test_the_first_reason_that_fits_is_given() -> None:
    reasons = [Reason("S", ("a",), "one"), Reason("S", ("*",), "two")]
    found = result(a=(BAD, GOOD), b=(BAD, GOOD))
    assert [why(found, case, reasons) for case in "ab"] == ["one", "two"]


def test_what_fails_with_no_proxy_is_no_proxys_doing() -> None:
    found = result(a=(BAD, BAD))
    found.outcomes[DIRECT] = {"a": BAD}
    assert why(found, "a", [Reason("S", ("a",), "never told")]) == "Fails with no proxy too."


def test_the_report_has_scores_differences_and_what_did_not_run() -> None:
    found = result(lost=(BAD, GOOD), **{f"also-{n}": (BAD, BAD) for n in range(14)})
    report = markdown(
        [found, Result("T", missing="no | here")], [Reason("S", ("lost",), "Right so.")], {"date": "then"}
    )
    assert report.startswith("- date: then\n")
    assert "| S | 1.0 | – | 1 of 15 | 0 of 15 |" in report
    assert "| T | – | – | – | not run: no \\| here |" in report
    assert "| `lost` | ✗ refused 400 | ✓ arrived | Right so. |" in report
    assert "and 2 more | ✗ refused 400 | ✗ refused 400 |  |" in report


def test_a_report_without_differences_says_so() -> None:
    assert "The two do not differ in any case." in markdown([result(a=(GOOD, GOOD))], [], {})


def test_a_record_replaces_what_is_between_the_marks() -> None:
    once = recorded(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert once == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    assert recorded(once, "new") == once
    with pytest.raises(ValueError, match="lacks the lines"):
        recorded("no marks", "new")


def test_each_reason_of_the_tree_names_its_suite_and_cases() -> None:
    raw = tomllib.loads(REASONS.read_text("utf-8"))["reason"]
    reasons = read_reasons(REASONS)
    assert len(reasons) == len(raw)
    assert all(reason.suite and reason.cases and reason.why.endswith(".") for reason in reasons)


def test_the_document_has_the_marks() -> None:
    document = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert "new" in recorded(document, "new")
