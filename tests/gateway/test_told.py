"""The range told at joining travels in the token, and whether it came true is counted when its visitor enters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway.front import FETCH, NOW_MS, Front, census
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer

if TYPE_CHECKING:
    from waitroom.domain.claims import QueueClaims

pytestmark = pytest.mark.anyio
QUEUE = "waitroom-queue-default"
ME = "/.waitroom/default/me"


def counting() -> Front:
    front = Front(Room(name="default", rate=60, claim_seconds=120))
    front.store.counted = census(waiting=400)
    front.store.position = 250
    return front


def place(front: Front, text: str) -> QueueClaims:
    return front.tokens.read_queue(text, "default", NOW_MS)


async def test_who_joins_takes_along_what_they_were_told() -> None:
    front = counting()
    reply = await front.ask()
    assert place(front, reply.cookies[QUEUE]).told == (2, 5)
    front.store.position, front.store.clock_ms = 80, NOW_MS + 170_000
    later = await front.ask(ME, FETCH, cookie=f"{QUEUE}={reply.cookies[QUEUE]}")
    assert (later.json["position"], later.all("set-cookie")) == (80, [])


async def test_who_was_told_nothing_at_joining_is_not_judged_by_what_they_hear_later() -> None:
    front = counting()
    front.store.counted = None
    reply = await front.ask()
    assert place(front, reply.cookies[QUEUE]).told is None
    front.store.counted = census(waiting=400)
    assert (await front.ask(ME, FETCH, cookie=f"{QUEUE}={reply.cookies[QUEUE]}")).all("set-cookie") == []


async def test_a_missed_turn_ends_what_was_told() -> None:
    front = counting()
    token = front.place(told=(0, 1))
    front.store.answer = Answer.MISSED
    reply = await front.ask(ME, FETCH, cookie=f"{QUEUE}={token}")
    assert place(front, reply.cookies[QUEUE]).told is None
    front.store.answer, front.store.frontier_us = Answer.WAITING, NOW_MS * 1000
    front.store.counted = census(waiting=400, now_ms=NOW_MS + 1_000)
    reply = await front.ask(cookie=f"{QUEUE}={token}")
    assert place(front, reply.cookies[QUEUE]).told is None


@pytest.mark.parametrize(
    ("told", "left_ms", "counted"),
    [
        ((0, 1), 119_000, {'waitroom_estimates_total{outcome="held",room="default"} 1.0'}),
        (
            (2, 5),
            120_000,
            {
                'waitroom_estimates_total{outcome="shorter",room="default"} 1.0',
                'waitroom_estimate_error_seconds_sum{room="default"} 60.0',
            },
        ),
        (None, 120_000, {'waitroom_estimates_total{outcome="unknown",room="default"} 1.0'}),
    ],
)
async def test_when_they_enter_it_is_held_against_the_time_to_their_call(
    told: tuple[int, int | None] | None, left_ms: int, counted: set[str]
) -> None:
    front = counting()
    front.store.answer, front.store.left_ms = Answer.ADMITTED, left_ms
    await front.ask(cookie=f"{QUEUE}={front.place(told=told)}")
    assert counted <= set(front.metrics.render().decode().splitlines())


async def test_who_entered_without_waiting_was_told_nothing() -> None:
    front = counting()
    front.store.answer, front.store.score_us = Answer.ADMITTED, 0
    await front.ask()
    assert "waitroom_estimates_total{" not in front.metrics.render().decode()
