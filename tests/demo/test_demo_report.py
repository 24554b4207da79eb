"""What a run showed, judged and told."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from waitroom.demo.crowd import Reason, Stage, Tally
from waitroom.demo.ledger import Figures
from waitroom.demo.report import Report, percentile

FINE = Figures(
    requests=500,
    answers_5xx=0,
    orders_placed=80,
    orders_lost=0,
    active=0,
    peak_active=20,
    entries=90,
    entries_busiest_60_seconds=90,
)


def report(shop: Figures = FINE, *, protected: bool = True) -> Report:
    tally = Tally(100, waits_seconds=[1.0, 2.0, 3.0, 4.0])
    tally.stages.update({Stage.COMING: -100, Stage.ORDERED: 80, Stage.LEFT: 20})
    tally.reasons.update({Reason.QUIT_WAITING: 12, Reason.CLOSED_TAB: 8})
    return Report(protected=protected, rate=90, capacity=20, seed=1, shop=shop, tally=tally)


def text_of(told: Report) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(told.table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_at_its_limits_a_run_kept_its_promises() -> None:
    assert report().kept
    assert report().verdict() == "Kept: no order lost, no error shown, and never more than 20 inside at once."


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("orders_lost", 1, "orders lost 1"),
        ("answers_5xx", 3, "5xx answers 3"),
        ("peak_active", 21, "peak active sessions 21"),
        ("entries_busiest_60_seconds", 91, "entries in the busiest 60 s 91"),
    ],
)
def test_each_figure_beyond_its_limit_is_a_broken_promise(name: str, value: int, told: str) -> None:
    broken = report(replace(FINE, **{name: value}))
    assert not broken.kept
    assert broken.verdict() == f"Broken: {told}."
    assert text_of(broken).count("broken") == 1


def test_without_waitroom_nothing_was_promised_and_the_loss_is_told() -> None:
    overrun = report(replace(FINE, orders_lost=20, answers_5xx=7, peak_active=99), protected=False)
    assert overrun.kept
    assert "lost 20 of the 100 orders it had accepted" in overrun.verdict()
    assert "kept" not in text_of(overrun)
    assert overrun.as_json()["promises_kept"] is None


def test_a_crowd_that_the_shop_bears_is_told_too() -> None:
    assert report(protected=False).verdict() == "The shop bore this crowd; send a larger one."


def test_the_table_holds_the_shop_s_counts_and_the_waits() -> None:
    text = text_of(report())
    for words in ("orders placed", "80", "at most 90", "at most 20", "2.0 s / 4.0 s"):
        assert words in text


def test_the_crowd_is_told_in_one_sentence() -> None:
    told = report()
    assert told.crowd() == (
        "Of 100 shoppers 80 got their order; 20 left (12 quit waiting, 8 closed the tab when called)."
    )
    told.tally.reasons.clear()
    told.tally.stages.update({Stage.LEFT: -20, Stage.SHOPPING: 20})
    assert told.crowd() == "Of 100 shoppers 80 got their order, 20 had not finished."


def test_the_json_holds_everything_and_is_json() -> None:
    document = json.loads(json.dumps(report().as_json()))
    assert document == {
        "protected": True,
        "promises_kept": True,
        "limits": {"rate": 90, "capacity": 20},
        "seed": 1,
        "shop": {
            "requests": 500,
            "answers_5xx": 0,
            "orders_placed": 80,
            "orders_lost": 0,
            "active": 0,
            "peak_active": 20,
            "entries": 90,
            "entries_busiest_60_seconds": 90,
        },
        "waits_seconds": {"p50": 2.0, "p95": 4.0},
        "crowd": {
            "shoppers": 100,
            "ordered": 80,
            "left": {"closed the tab when called": 8, "quit waiting": 12},
            "errors_seen": 0,
        },
    }


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7.0], 0.95, 7.0), ([3.0, 1.0, 2.0], 0.5, 2.0), ([float(n) for n in range(1, 101)], 0.95, 95.0)],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_nobody_inside_means_no_wait_to_tell() -> None:
    told = report()
    told.tally.waits_seconds.clear()
    assert "– / –" in text_of(told)
