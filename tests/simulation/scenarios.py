"""The twelve scenarios."""

from __future__ import annotations

from math import pi, sin
from typing import TYPE_CHECKING, Final

from .house import Crowd, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable


def evenly(per_second: float, *, until: int = 1_800) -> Callable[[int], float]:
    return lambda second: per_second if second < until else 0.0


def crowd_then(crowd: int, seconds: int, per_second: float, *, until: int = 1_800) -> Callable[[int], float]:
    return lambda second: crowd / seconds if second < seconds else per_second if second < until else 0.0


SCENARIOS: Final = (
    Scenario(
        "steady", "1.4 come a second, 1 enters",
        {"rate": 60}, Crowd(evenly(1.4, until=1_500)), minutes=40,
    ),
    Scenario(
        "rate changed twice", "60 a minute, after 20 minutes 40, after 30 minutes 90",
        {"rate": 60}, Crowd(crowd_then(300, 60, 1.0, until=2_400)),
        changes={1_200: {"rate": 40}, 1_800: {"rate": 90}}, minutes=45,
    ),
    Scenario(
        "paused", "entry paused for four minutes",
        {"rate": 60}, Crowd(crowd_then(200, 60, 0.9, until=2_400)),
        changes={1_200: {"mode": "paused"}, 1_440: {"mode": "on"}}, minutes=50,
    ),
    Scenario(
        "capacity-bound", "200 sessions at once, of four minutes on average",
        {"capacity": 200, "rate": 600}, Crowd(crowd_then(500, 120, 0.9, until=1_500)), minutes=40,
    ),
    Scenario(
        "half abandoning", "half of those called do not come",
        {"rate": 60}, Crowd(crowd_then(400, 300, 2.2, until=1_200), absent_share=0.5), minutes=30,
    ),
    Scenario(
        "flash crowd", "1,500 in the first half minute",
        {"rate": 60}, Crowd(crowd_then(1_500, 30, 0.2)), minutes=45,
    ),
    Scenario(
        "slow start", "ever more come, up to 1.8 a second",
        {"rate": 60}, Crowd(lambda second: min(1.8, second / 600) if second < 1_500 else 0.0), minutes=42,
    ),
    Scenario(
        "capacity raised", "120 sessions at once, 180 after 20 minutes",
        {"capacity": 120, "rate": 600}, Crowd(crowd_then(250, 60, 0.6, until=2_400)),
        changes={1_200: {"capacity": 180}}, minutes=50,
    ),
    Scenario(
        "outage", "the store is away for three minutes",
        {"rate": 60}, Crowd(crowd_then(300, 60, 1.0, until=2_100)), away=range(1_200, 1_380), minutes=45,
    ),
    Scenario(
        "bursty arrivals", "150 within ten seconds, each five minutes",
        {"rate": 40}, Crowd(lambda second: 15.0 if second % 300 < 10 and second < 1_800 else 0.2), minutes=40,
    ),
    Scenario(
        "many missed", "two in five do not come when called; half of these come back later",
        {"rate": 60}, Crowd(crowd_then(250, 60, 1.5, until=1_500), absent_share=0.4, returning_share=0.5), minutes=40,
    ),
    Scenario(
        "lunch hour", "a wave of half an hour at a room that both limits bound; some leave",
        {"rate": 90, "capacity": 250},
        Crowd(lambda second: 2.4 * max(0.0, sin(pi * second / 1_800)), shopping_seconds=200, leaving_per_minute=0.02),
        minutes=45,
    ),
)  # fmt: skip
