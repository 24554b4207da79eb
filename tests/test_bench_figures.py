"""What the bench makes of its samples."""

from __future__ import annotations

import pytest

from tests.bench.figures import Sample, Target, interleaved, judge, medians, paired, percentile, ratio, spread


def samples(**rates: list[float]) -> list[Sample]:
    return [
        Sample(name, number, {"rate": value})
        for name, values in rates.items()
        for number, value in enumerate(values, 1)
    ]


def test_contenders_take_turns_in_every_round() -> None:
    assert interleaved(["A", "B"], 3) == [(1, "A"), (1, "B"), (2, "A"), (2, "B"), (3, "A"), (3, "B")]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_one_bad_round_does_not_move_the_median() -> None:
    assert medians(samples(ours=[100.0, 7.0, 110.0]), "ours") == {"rate": 100.0}


def test_a_ratio_is_of_neighbours_in_time_so_a_machine_that_slows_down_does_not_move_it() -> None:
    measured = samples(ours=[50.0, 5.0, 25.0], theirs=[100.0, 10.0, 50.0])
    assert ratio(measured, "ours", "theirs", "rate") == 0.5


def test_a_round_that_one_of_the_two_missed_does_not_count() -> None:
    measured = [*samples(ours=[10.0, 20.0]), Sample("theirs", 2, {"rate": 40.0})]
    assert paired(measured, "ours", "theirs", "rate") == [(20.0, 40.0)]


@pytest.mark.parametrize("theirs", [[], [0.0]], ids=["absent", "zero"])
def test_there_is_no_ratio_to_nothing(theirs: list[float]) -> None:
    assert ratio(samples(ours=[10.0], theirs=theirs), "ours", "theirs", "rate") is None


def test_the_spread_tells_how_far_rounds_lie_apart() -> None:
    assert spread(samples(ours=[90.0, 100.0, 110.0]), "ours", "rate") == pytest.approx(0.2)
    assert spread([], "ours", "rate") is None


MEASURED = samples(ours=[40.0, 40.0, 40.0], theirs=[100.0, 100.0, 100.0])


@pytest.mark.parametrize(
    ("target", "value", "words"),
    [
        (Target("ours", "rate", "value", 30), 40.0, "met"),
        (Target("ours", "rate", "value", 50), 40.0, "missed by 20%"),
        (Target("ours", "rate", "value", 32, least=False), 40.0, "missed by 25%"),
        (Target("ours", "rate", "value", 0, least=False), 40.0, "missed"),
        (Target("ours", "rate", "ratio", 0.4, versus="theirs"), 0.4, "met"),
        (Target("theirs", "rate", "difference", 50, least=False, versus="ours"), 60.0, "missed by 20%"),
        (Target("theirs", "rate", "alike", 0.85, versus="ours"), 0.4, "missed by 53%"),
        (Target("nobody", "rate", "value", 1), None, "not measured"),
        (Target("ours", "rate", "ratio", 1, versus="nobody"), None, "not measured"),
        (Target("ours", "rate", "difference", 1, versus="nobody"), None, "not measured"),
    ],
)
def test_a_target_is_met_or_missed_by_so_much_or_was_not_measured(
    target: Target, value: float | None, words: str
) -> None:
    verdict = judge(target, MEASURED)
    assert verdict.value == (None if value is None else pytest.approx(value))
    assert verdict.words() == words


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("ours", "p50_ms", "value", 5, least=False, unit="ms"), "ours: p50 ms ≤ 5 ms"),
        (Target("ours", "rate", "ratio", 0.25, versus="nginx"), "ours: rate ≥ 0.25 × nginx"),
        (
            Target("ours", "p50_ms", "difference", 0.6, least=False, versus="site", unit="ms"),
            "ours: p50 ms ≤ 0.6 ms more than site",
        ),
        (Target("ours", "rate", "alike", 0.85, versus="theirs"), "rate of ours and theirs within 15% of each other"),
    ],
)
def test_a_target_says_itself(target: Target, words: str) -> None:
    assert target.words() == words
