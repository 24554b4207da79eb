"""A store that comes back with an older copy of its memory: a dump of a minute ago, a replica that lagged behind."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.store.bench import Bench, arrive, by, come_back, name, pass_of, token_of
from tests.store.farm import until
from waitroom.domain.audit import Deed
from waitroom.domain.visit import Answer, Visit
from waitroom.errors import StoreUnavailable
from waitroom.store.base import Purpose
from waitroom.store.connect import open_client
from waitroom.store.keys import key

if TYPE_CHECKING:
    from tests.store.farm import Farm, Node
    from waitroom.store.redis import RedisStore

pytestmark = pytest.mark.anyio


async def queue(store: RedisStore, *visitors: str) -> list[Visit]:
    return [await arrive(store, visitor, Purpose.JOIN) for visitor in visitors]


async def test_who_was_admitted_since_the_copy_shops_on_and_their_slots_stay_theirs(bench: Bench) -> None:
    store = bench.gateway(capacity=3, refresh_seconds=10, session_seconds=100)
    before = await arrive(store, "before")
    await bench.run(store, 1)
    copy = await bench.copy()
    await bench.run(store, 50)
    since = [await arrive(store, "one"), await arrive(store, "two")]
    await queue(store, "next")
    await bench.run(store, 1)
    bench.pass_seconds(4)
    await bench.go_back(copy)
    census = await store.beat("sale")
    assert (census.recovering_ms, census.active, census.reserved) == (15_000, 0, 3)
    assert census.generation != before.generation
    assert (await arrive(store, "new")).answer is Answer.WAITING
    for visit in (before, *since[:1]):
        assert (await store.renew("sale", pass_of(visit))).active
    census = await bench.run(store, 20)
    assert (census.recovering_ms, census.active, census.reserved, census.called) == (0, 2, 1, 0)
    assert (await store.renew("sale", pass_of(since[1]))).active
    assert (await store.beat("sale")).active == 3


async def test_a_session_that_ended_since_the_copy_does_not_take_a_slot(bench: Bench) -> None:
    store = bench.gateway(capacity=1, refresh_seconds=1, session_seconds=100)
    visit = await arrive(store, "ada")
    await bench.run(store, 1)
    copy = await bench.copy()
    bench.pass_seconds(1)
    await store.release("sale", visit.visitor)
    await store.beat("sale")
    await bench.go_back(copy)
    await store.beat("sale")
    await bench.run(store, 7)
    assert (await arrive(store, "bob")).answer is Answer.ADMITTED


async def test_places_told_before_and_since_the_copy_stand_in_order(bench: Bench) -> None:
    store = bench.gateway(rate=0)
    visits = await queue(store, *(f"v{i}" for i in range(5)))
    await bench.run(store, 1)
    copy = await bench.copy()
    await bench.run(store, 50)
    visits += await queue(store, *(f"w{i}" for i in range(5)))
    bench.pass_seconds(4)
    await bench.go_back(copy)
    await store.beat("sale")
    assert (await arrive(store, "new", Purpose.JOIN)).position == 6
    for visit in reversed(visits):
        await come_back(store, token_of(visit), Purpose.LOOK)
    places = [await come_back(store, token_of(visit), Purpose.LOOK) for visit in visits]
    assert [(place.position, place.score_us) for place in places] == [
        (number, visit.score_us) for number, visit in enumerate(visits, 1)
    ]


async def test_who_entered_since_the_copy_counts_in_the_last_minute(bench: Bench) -> None:
    store, other = (bench.gateway(rate=10, burst=10, refresh_seconds=1, session_seconds=300) for _ in range(2))
    for number in range(3):
        await arrive(store, f"before{number}")
    await bench.run(store, 1)
    copy = await bench.copy()
    bench.pass_seconds(1)
    for number in range(4):
        await arrive(other, f"since{number}")
    bench.pass_seconds(2)
    await bench.go_back(copy)
    await store.beat("sale")
    assert (await other.beat("sale")).entries == 7
    await bench.run(store, 10)
    answers = [(await arrive(store, f"new{number}", Purpose.DIRECT)).answer for number in range(6)]
    assert answers.count(Answer.ADMITTED) <= 3


async def test_who_was_told_the_least_of_what_is_lost_proves_it_though_others_asked_long_before(bench: Bench) -> None:
    """A replica that lagged 1 ms behind becomes the master; the gateway that heard more is the last to reach it."""
    store, other = bench.gateway(capacity=5), bench.gateway(capacity=5)
    for gateway in (store, other):
        await gateway.beat("sale")
    copy = await bench.copy()
    bench.pass_seconds(0.001)
    visit = await arrive(other, "ada")
    bench.pass_seconds(3)
    await bench.go_back(copy)
    assert (await bench.run(store, 5, step_seconds=0.1)).generation == visit.generation
    assert (await other.beat("sale")).recovering_ms > 0
    assert (await store.renew("sale", pass_of(visit))).active


async def test_a_turn_that_the_copy_knows_goes_on(bench: Bench) -> None:
    store = bench.gateway(capacity=1, claim_seconds=20, refresh_seconds=1, session_seconds=100)
    (place,) = await queue(store, "ada")
    await bench.run(store, 5)
    copy = await bench.copy()
    await bench.run(store, 10)
    await bench.go_back(copy)
    await store.beat("sale")
    visit = await come_back(store, token_of(place), Purpose.LOOK)
    assert (visit.answer, visit.left_ms) == (Answer.CALLED, 15_000)
    await bench.run(store, 7)
    assert (await come_back(store, token_of(place))).answer is Answer.ADMITTED


async def test_a_copy_that_comes_back_again_and_again_is_known_each_time(bench: Bench) -> None:
    store = bench.gateway(capacity=5, refresh_seconds=1, session_seconds=100)
    await store.beat("sale")
    copy = await bench.copy()
    bench.pass_seconds(1)
    visit = await arrive(store, "ada")
    generations = {visit.generation}
    for _ in range(3):
        bench.pass_seconds(3)
        await bench.go_back(copy)
        generations.add((await store.beat("sale")).generation)
        assert (await store.renew("sale", pass_of(visit))).active
    assert len(generations) == 4


async def test_a_backup_of_an_earlier_memory_is_known(bench: Bench) -> None:
    store = bench.gateway(capacity=2, refresh_seconds=1, session_seconds=100)
    first = await arrive(store, "first")
    backup = await bench.copy()
    bench.pass_seconds(3_000)
    await bench.forget()
    await store.beat("sale")
    await bench.run(store, 7)
    second = await arrive(store, "second")
    await bench.run(store, 1)
    await bench.go_back(backup)
    census = await store.beat("sale")
    assert (census.active, census.reserved, census.recovering_ms) == (0, 1, 6_000)
    assert len({first.generation, second.generation, census.generation}) == 3
    assert (await store.renew("sale", pass_of(second))).active


async def test_what_operators_set_since_the_copy_stays_in_force(bench: Bench) -> None:
    store = bench.gateway(rate=600, burst=10)
    await store.seed()
    await store.beat("sale")
    copy = await bench.copy()
    bench.pass_seconds(1)
    await store.configure("sale", {"rate": 5}, expected_version=None, author=by("slower"))
    for number in range(5):
        await arrive(store, f"v{number}")
    await bench.go_back(copy)
    await store.beat("sale")
    assert await bench.admin.command("HMGET", key("sale", "config"), "rate", "version") == [b"5", b"2"]
    assert store.record("sale").room.rate == 5
    census = await store.beat("sale")
    assert (census.version, census.entries) == (2, 5), "to restore a rate begins no new minute"


async def test_a_grant_that_may_have_been_used_since_the_copy_is_forgotten(bench: Bench) -> None:
    store = bench.gateway(rate=2, burst=2, refresh_seconds=1)
    for visitor in "xy":
        await arrive(store, visitor)
    visits = await queue(store, *"abcd")
    await store.admit("sale", 2, Deed(by("r1"), "admit"))
    await store.beat("sale")
    copy = await bench.copy()
    bench.pass_seconds(1)
    for visit in visits[:2]:
        assert (await come_back(store, token_of(visit))).answer is Answer.ADMITTED
    await bench.go_back(copy)
    await store.beat("sale")
    await bench.run(store, 7)
    assert (await come_back(store, token_of(visits[0]))).answer is Answer.CALLED


async def test_a_gateway_that_heard_nothing_for_a_while_proves_nothing(bench: Bench) -> None:
    idle, busy = bench.gateway(capacity=5), bench.gateway(capacity=5)
    await idle.beat("sale")
    generation = (await bench.run(busy, 100)).generation
    assert (await idle.beat("sale")).generation == generation
    assert (await idle.census("sale")).generation == generation
    bench.pass_seconds(60)
    assert (await busy.beat("sale")).generation == generation


@pytest.mark.parametrize("seconds", [-3_600, -3, -1, 3, 3_600])
async def test_a_clock_that_is_set_is_no_older_copy(bench: Bench, seconds: int) -> None:
    one, two = bench.gateway(capacity=5), bench.gateway(capacity=5)
    visit = await arrive(one, "ada")
    await two.beat("sale")
    bench.pass_seconds(seconds)
    for store in (one, two, one):
        census = await bench.run(store, 2)
        assert (census.generation, census.recovering_ms) == (visit.generation, 0)


async def test_a_loss_with_a_clock_that_is_set_back_is_one_loss(bench: Bench) -> None:
    store = bench.gateway(capacity=5)
    await arrive(store, "ada")
    await bench.forget()
    bench.pass_seconds(-5)
    generation = (await bench.gateway(capacity=5).beat("sale")).generation
    bench.pass_seconds(1)
    census = await store.beat("sale")
    assert (census.generation, census.reserved) == (generation, 1)


async def test_a_copy_that_no_gateway_heard_beyond_goes_on_as_it_was(bench: Bench) -> None:
    store = bench.gateway(capacity=5)
    visit = await arrive(store, "ada")
    census = await bench.run(store, 1)
    await bench.go_back(await bench.copy())
    assert (await store.beat("sale")).generation == census.generation
    assert (await store.renew("sale", pass_of(visit))).active


# On a real server, with real files.


@pytest.mark.parametrize("kept", ["a dump", "an append-only file"])
async def test_a_server_that_starts_with_older_files_throws_nobody_out(servers: Farm, kept: str) -> None:
    node = servers.server(*(["--appendonly", "no"] if kept == "a dump" else []))
    client = open_client(f"redis://127.0.0.1:{node.port}", deadline_ms=5_000)
    bench = Bench(client)
    stores = [bench.gateway(capacity=6, rate=60, burst=6, refresh_seconds=5, session_seconds=600) for _ in range(2)]
    inside = [await arrive(stores[0], f"early{number}") for number in range(3)]
    await bench.run(stores[1], 60)
    put_aside(node, kept)
    bench.pass_seconds(1)
    inside += [await arrive(store, f"late{number}") for number, store in enumerate([*stores, stores[0]])]
    visits = []
    for second in range(50):
        bench.pass_seconds(1)
        visits.append(await arrive(stores[second % 2], f"queue{second:02}", Purpose.JOIN))
        await stores[second % 2].beat("sale")
    assert {visit.answer for visit in inside} == {Answer.ADMITTED}

    node.kill()
    put_back(node, kept)
    node.start()
    until(node.answers, "it is there again")
    bench.pass_seconds(10)
    for store in stores:
        await answered(store)
    assert {(await arrive(store, f"new{number}", Purpose.DIRECT)).answer for number, store in enumerate(stores)} == {
        Answer.REFUSED
    }
    for visit in reversed(visits):
        await come_back(stores[0], token_of(visit), Purpose.LOOK)
    places = [await come_back(stores[1], token_of(visit), Purpose.LOOK) for visit in visits]
    assert [place.position for place in places] == list(range(1, 51))
    for number, visit in enumerate(inside[:-1]):
        assert (await stores[number % 2].renew("sale", pass_of(visit))).active
    census = await bench.run(stores[0], 60)
    assert (census.active, census.reserved, census.called, census.waiting) == (5, 1, 0, 50)
    assert (await stores[1].renew("sale", pass_of(inside[-1]))).active
    await stores[0].release("sale", name("early0"))
    assert (await bench.run(stores[0], 1)).called == 1
    assert (await come_back(stores[1], token_of(visits[0]))).answer is Answer.ADMITTED
    await client.aclose()
    node.kill()


def put_aside(node: Node, kept: str) -> None:
    """Keep the server's files as they are now."""
    if kept == "a dump":
        node.ask("SAVE")
    else:
        shutil.copytree(node.directory / "appendonlydir", node.directory / "aside")


def put_back(node: Node, kept: str) -> None:
    """Let the server, which does not run, find the files that were put aside; a dump is not written meanwhile."""
    if kept != "a dump":
        shutil.rmtree(node.directory / "appendonlydir")
        (node.directory / "aside").rename(node.directory / "appendonlydir")


async def answered(store: RedisStore) -> None:
    """Beat until the store answers; the connection that it had is lost."""
    async with asyncio.timeout(15):
        while True:
            with suppress(StoreUnavailable):
                await store.beat("sale")
                return
            await asyncio.sleep(0.02)
