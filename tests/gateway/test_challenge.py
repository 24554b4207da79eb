"""Which challenge a newcomer must pass, and when: off, over the rate, always."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.gateway.front import NOW_MS, census
from waitroom.domain.room import Room
from waitroom.gateway.challenge import JoinRate, Kind, demand

When = Literal["off", "over_rate", "always"]


@pytest.mark.parametrize(
    ("captcha", "challenge", "below", "above"),
    [
        ("off", "off", None, None),
        ("off", "over_rate", None, Kind.WORK),
        ("off", "always", Kind.WORK, Kind.WORK),
        ("over_rate", "off", None, Kind.CAPTCHA),
        ("over_rate", "always", Kind.WORK, Kind.CAPTCHA),
        ("always", "over_rate", Kind.CAPTCHA, Kind.CAPTCHA),
        ("always", "always", Kind.CAPTCHA, Kind.CAPTCHA),
    ],
)
def test_the_strictest_challenge_that_is_wanted_is_the_one(
    captcha: When, challenge: When, below: Kind | None, above: Kind | None
) -> None:
    room = Room(name="sale", captcha=captcha, challenge=challenge)
    for joins, kind in ((600.0, below), (601.0, above)):
        wanted = demand(room, joins, 600)
        assert (None if wanted is None else wanted.worth) == kind


def test_a_room_without_a_rate_is_over_it_from_sixty_a_minute_on() -> None:
    room = Room(name="sale", challenge="over_rate")
    for rate in (None, 0, 10):
        assert demand(room, 60, rate) is None
        assert demand(room, 61, rate) is not None


def test_the_rate_of_joins_is_of_the_last_minute() -> None:
    rate = JoinRate()
    assert rate.a_minute(None) == 0
    for second in range(200):
        found = rate.a_minute(census(now_ms=NOW_MS + second * 1_000, joined_total=min(second, 100) * 10))
        assert found == pytest.approx(600 if 10 <= second <= 100 else found)
    assert found == 0
    assert rate.a_minute(census(now_ms=NOW_MS + 300_000, joined_total=5)) == 0, "another memory"
