"""Two versions of Waitroom on one store: what the other one has written, and this one does not know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.bench import Bench, arrive, by, name, pass_of
from waitroom.admin.verbs.changes import checked
from waitroom.domain.access import Account, Role
from waitroom.domain.audit import Deed
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer
from waitroom.errors import StartError
from waitroom.store.keys import FORMAT, HOUSE, key

if TYPE_CHECKING:
    from waitroom.store.operators import RedisOperatorStore

pytestmark = pytest.mark.anyio


async def written(bench: Bench, *, seed: dict[str, Any] | None = None, live: dict[str, Any] | None = None) -> None:
    """The other version gives the room these settings besides those that it has."""
    config = key("sale", "config")
    version, *texts = await bench.admin.command("HMGET", config, "version", "seed", "live")
    facts = [json.loads(text) | (more or {}) for text, more in zip(texts, (seed, live), strict=True)]
    await bench.admin.command(
        "HSET", config, "version", int(version) + 1, "seed", json.dumps(facts[0]), "live", json.dumps(facts[1])
    )


async def live_in_store(bench: Bench) -> Any:
    """The live settings as they stand."""
    return json.loads(await bench.admin.command("HGET", key("sale", "config"), "live"))


async def a_room(bench: Bench, **room: Any) -> RedisOperatorStore:
    """A gateway whose room is in the store."""
    store = bench.gateway(**room)
    await store.seed()
    await store.beat("sale")
    return store


async def test_settings_that_are_not_known_are_passed_over_and_kept(bench: Bench) -> None:
    store = await a_room(bench, rate=60)
    await written(bench, seed={"music": "waltz"}, live={"lighting": "dim", "capacity": 7})
    assert (await arrive(store, "a")).answer is Answer.ADMITTED
    assert store.record("sale").room == Room(name="sale", rate=60, capacity=7)
    live = checked(store.record("sale"), {"capacity": 8})
    await store.configure("sale", live, expected_version=None, author=by("c1"))
    assert await live_in_store(bench) == {"lighting": "dim", "capacity": 8}


async def test_a_setting_that_the_other_version_does_not_know_stays_as_the_own_file_says(bench: Bench) -> None:
    store = await a_room(bench, challenge="always")
    seed = json.loads(await bench.admin.command("HGET", key("sale", "config"), "seed"))
    del seed["challenge"]
    await bench.admin.command("HSET", key("sale", "config"), "version", 9, "seed", json.dumps(seed))
    await store.beat("sale")
    assert (store.record("sale").version, store.record("sale").room.challenge) == (9, "always")


async def test_a_value_that_cannot_be_read_changes_nothing_and_is_told_until_it_can(bench: Bench) -> None:
    store = await a_room(bench, rate=60)
    await written(bench, live={"closed_as": "asleep", "capacity": 7})
    assert (await arrive(store, "a")).answer is Answer.ADMITTED
    assert (await store.beat("sale")).active == 1
    assert (store.record("sale").version, store.record("sale").room.capacity) == (1, None)
    assert "closed_as" in store.unreadable["sale"]
    await written(bench, live={"closed_as": "full"})
    await store.beat("sale")
    assert (store.record("sale").version, store.record("sale").room.capacity) == (3, 7)
    assert store.unreadable == {}


async def test_rooms_made_by_another_version_are_read_as_far_as_they_can_be(bench: Bench) -> None:
    store = bench.gateway()
    await store.create(Room(name="flash", rate=60), Deed(by("m1"), "create", room="flash"))
    rooms = key(HOUSE, "rooms")
    flash = json.dumps({"name": "flash", "rate": "many"})
    later = json.dumps({"name": "later", "rate": 30, "music": "waltz"})
    await bench.admin.command("HSET", rooms, "_version", 7, "flash", flash, "later", later)
    assert await store.follow_rooms()
    assert store.made_rooms == [Room(name="flash", rate=60), Room(name="later", rate=30)]
    assert "rate" in store.unreadable["flash"]


async def test_of_a_snapshot_that_another_version_made_what_is_known_is_read(bench: Bench) -> None:
    store = await a_room(bench)
    mine = await store.snapshot("sale")
    where = key("sale", "snapshot")
    facts = json.loads(await bench.admin.command("GET", where))
    facts["census"] += [5, 6]
    facts["pulses"] = [[*pulse, 7] for pulse in facts["pulses"]]
    facts["pulses"].insert(0, facts["pulses"][0][:4])  # by one that counts less
    facts["weather"] = "fair"
    await bench.admin.command("SET", where, json.dumps(facts))
    assert await store.snapshot("sale") == mine


async def test_a_store_in_a_later_format_is_refused_and_left_as_it_is(bench: Bench) -> None:
    where = key(HOUSE, "format")
    await bench.gateway().seed()
    assert int(await bench.admin.command("GET", where)) == FORMAT
    await bench.admin.command("SET", where, FORMAT + 1)
    store = bench.gateway(rate=7)
    with pytest.raises(StartError, match="start that version, or give this one a store of its own"):
        await store.seed()
    assert int(await bench.admin.command("GET", where)) == FORMAT + 1
    assert store.record("sale").version == 0


def test_an_account_with_more_than_is_known_is_read() -> None:
    dana = Account("dana", Role.VIEWER, 1)
    text = json.dumps(json.loads(dana.as_text()) | {"pronouns": "she"})
    assert Account.read(text) == dana


async def test_a_field_of_the_state_that_is_not_known_stays(bench: Bench) -> None:
    store = await a_room(bench, capacity=1)
    await bench.admin.command("HSET", key("sale", "state"), "tides", "high")
    await arrive(store, "a")
    await arrive(store, "b")
    await bench.run(store, 2)
    assert await bench.admin.command("HGET", key("sale", "state"), "tides") == b"high"
    assert (await arrive(store, "b")).position == 1
    assert (await arrive(store, "b")).visitor == name("b")


async def test_what_a_version_wrote_that_counts_no_moments_is_no_older_copy(bench: Bench) -> None:
    store = await a_room(bench, capacity=2)
    visit = await arrive(store, "a")
    state = key("sale", "state")
    for seconds in (1, 60):
        bench.pass_seconds(seconds)
        await bench.admin.command("HSET", state, "clock_ms", bench.now_us // 1000)
        bench.pass_seconds(0.1)
        assert (await store.beat("sale")).generation == visit.generation
    copy = await bench.copy()
    await bench.run(store, 5)
    await bench.go_back(copy)
    await bench.admin.command("HSET", state, "clock_ms", bench.now_us // 1000)
    assert (await store.beat("sale")).generation != visit.generation, "the other one came first, and left the number"


async def test_a_memory_of_a_version_that_counts_no_moments_is_counted_from_now_on(bench: Bench) -> None:
    store = await a_room(bench, capacity=2)
    visit = await arrive(store, "a")
    await bench.admin.command("HDEL", key("sale", "state"), "moments", "gap_from", "gap_to", "granted_until_ms")
    later = bench.gateway(capacity=2)
    for _ in range(3):
        bench.pass_seconds(3)
        assert (await later.beat("sale")).generation == visit.generation
    assert (await later.renew("sale", pass_of(visit))).active
