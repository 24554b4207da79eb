"""What became of a range of waiting time."""

from __future__ import annotations

import pytest

from waitroom.domain.outcome import Outcome, outcome_of


@pytest.mark.parametrize(
    ("told", "waited_seconds", "outcome"),
    [
        ((2, 5), 120, Outcome("held")),
        ((2, 5), 300, Outcome("held")),
        ((2, 5), 119, Outcome("shorter", 1)),
        ((2, 5), 330, Outcome("longer", 30)),
        ((60, None), 90_000, Outcome("held")),
        ((60, None), 3_000, Outcome("shorter", 600)),
        (None, 77, Outcome("unknown")),
    ],
)
def test_a_wait_is_within_the_range_told_or_that_much_outside(
    told: tuple[int, int | None] | None, waited_seconds: float, outcome: Outcome
) -> None:
    assert outcome_of(told, waited_seconds) == outcome
