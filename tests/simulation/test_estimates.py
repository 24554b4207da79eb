"""What the page tells of waiting times comes true, and the documents say how often."""

from __future__ import annotations

from tests.simulation.report import BEGIN, DOCUMENT, END, result_of, table
from tests.simulation.scenarios import SCENARIOS


def test_in_every_scenario_four_of_five_ranges_hold_and_the_documents_say_so() -> None:
    results = [result_of(scenario) for scenario in SCENARIOS]
    assert len(results) >= 12
    assert {found.scenario.name: found.hit_rate for found in results if found.hit_rate < 0.8} == {}
    assert min(found.told for found in results) > 500
    assert max(found.buckets for found in results) <= 2
    assert DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0].strip() == table(results)
