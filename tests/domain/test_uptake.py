"""Which gateways run the newest version of a room."""

from __future__ import annotations

from waitroom.domain.uptake import SILENT_MS, Running, Uptake, read_running, uptake

NOW_MS = 1_700_000_000_000


def test_a_change_is_pending_on_each_gateway_that_runs_an_older_version_or_none() -> None:
    said = [Running("a", NOW_MS, {"sale": 7}), Running("c", NOW_MS, {}), Running("b", NOW_MS, {"sale": 6, "drop": 9})]
    assert uptake(said, "sale", 7, NOW_MS) == Uptake(3, ("b", "c"))
    assert uptake(said, "sale", 7, NOW_MS).words == "pending on 2 of 3 gateways"
    assert uptake(said, "sale", 6, NOW_MS) == Uptake(3, ("c",))
    assert uptake(said[:1], "sale", 7, NOW_MS).words == ""


def test_a_gateway_that_is_silent_counts_until_it_is_taken_for_gone() -> None:
    said = [Running("a", NOW_MS, {"sale": 6})]
    assert uptake(said, "sale", 7, NOW_MS + SILENT_MS - 1) == Uptake(1, ("a",))
    assert uptake(said, "sale", 7, NOW_MS + SILENT_MS) == Uptake(0, ())


def test_what_a_gateway_says_is_read_as_it_was_written() -> None:
    said = Running("web-1-4312-ab", NOW_MS, {"sale": 7})
    assert read_running(said.gateway, said.as_text()) == said
