"""Many gateways ask at once, for the last slots and after a total loss: as many enter as may, in the order that was."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.store.bench import arrive, come_back, pass_of, token_of
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer
from waitroom.store.base import Purpose
from waitroom.store.connect import open_client
from waitroom.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from waitroom.store.client import Client

pytestmark = [pytest.mark.anyio, pytest.mark.scaled]

LONG = "WAITROOM_LONG_FAULTS" in os.environ
SEEDS = 100 if LONG else 4
WAITING = 10_000 if LONG else 1_000
GATEWAYS, VISITORS, SLOTS = 40, 120, 30


@pytest.fixture
async def clients(valkey_url: str) -> AsyncIterator[list[Client]]:
    """A connection for each gateway."""
    clients: list[Client] = [open_client(valkey_url, deadline_ms=30_000) for _ in range(GATEWAYS)]
    yield clients
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize(
    "limits",
    [{"capacity": SLOTS}, {"rate": SLOTS, "burst": SLOTS}, {"rate": 2 * SLOTS, "burst": 2 * SLOTS, "capacity": SLOTS}],
    ids=["capacity", "rate", "both"],
)
async def test_of_many_who_ask_all_gateways_at_once_exactly_as_many_enter_as_may(
    clients: list[Client], limits: dict[str, int]
) -> None:
    for seed in range(SEEDS):
        chance = random.Random(seed)
        for master in await clients[0].masters():
            await master.command("FLUSHALL")
        gateways = [RedisStore(client, [Room(name="sale", **limits)]) for client in clients]
        asking = [f"v{number}" for number in range(VISITORS)] * 3
        chance.shuffle(asking)
        calls = [arrive(chance.choice(gateways), visitor) for visitor in asking]
        visits, _ = await asyncio.gather(
            asyncio.gather(*calls), asyncio.gather(*(gateway.beat("sale") for gateway in gateways))
        )
        assert len({visit.visitor for visit in visits if visit.answer is Answer.ADMITTED}) == SLOTS, seed
        assert (await gateways[0].beat("sale")).active == SLOTS, seed


async def test_after_a_total_loss_thousands_who_come_back_to_all_gateways_in_any_order_stand_as_before(
    clients: list[Client],
) -> None:
    chance = random.Random(2)
    gateways = [RedisStore(client, [Room(name="sale", capacity=1)]) for client in clients]
    inside = await arrive(gateways[0], "inside")
    joined = [await arrive(chance.choice(gateways), f"v{number}") for number in range(WAITING)]
    assert [visit.position for visit in joined] == list(range(1, WAITING + 1))
    for master in await clients[0].masters():
        await master.command("FLUSHALL")
    back = joined * 2
    chance.shuffle(back)
    visits = await asyncio.gather(
        *(come_back(chance.choice(gateways), token_of(visit), chance.choice(list(Purpose))) for visit in back)
    )
    assert {visit.answer for visit in visits} == {Answer.WAITING}
    looks = [await come_back(gateways[0], token_of(visit), Purpose.LOOK) for visit in joined]
    assert [visit.position for visit in looks] == list(range(1, WAITING + 1))
    assert (await gateways[0].renew("sale", pass_of(inside))).active
    census = await gateways[0].beat("sale")
    assert (census.waiting, census.active) == (WAITING, 1)
