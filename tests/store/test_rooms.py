"""Rooms that were made at run time, as the processes of the house hear of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.bench import Bench, by
from waitroom.domain.audit import Deed
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer
from waitroom.errors import Refused, RoomUnknown, StoreUnavailable
from waitroom.store.access import RedisAccessRecords
from waitroom.store.base import Purpose
from waitroom.store.redis import RedisStore

if TYPE_CHECKING:
    from waitroom.store.client import Client
    from waitroom.store.operators import RedisOperatorStore

pytestmark = pytest.mark.anyio
FLASH = Room(name="flash", rate=60)


async def make(store: RedisOperatorStore, room: Room = FLASH, request_id: str = "m1") -> bool:
    return await store.create(room, Deed(by(request_id), "create", room=room.name))


async def test_every_process_takes_up_what_was_made_and_forgets_what_was_removed(bench: Bench) -> None:
    one, two = bench.gateway(), bench.gateway()
    assert await make(one)
    assert (await two.follow_rooms(), await two.follow_rooms()) == (True, False)
    assert (await two.beat("flash")).waiting == 0
    assert two.record("flash").room.rate == 60
    assert await one.remove("flash", Deed(by("r1"), "remove", room="flash"))
    await two.beat("flash")  # it has not heard of it yet, and writes some of it again
    assert await two.follow_rooms()
    with pytest.raises(RoomUnknown):
        await two.beat("flash")
    assert [key for key in await bench.keys() if "flash" in key] == []


class Held:
    """A client whose scripts' answers wait until they are let go."""

    def __init__(self, client: Client) -> None:
        self.let_go = asyncio.Event()
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def call(self, *question: Any) -> Any:
        answer = await self._client.call(*question)
        await self.let_go.wait()
        return answer


async def test_who_asks_while_the_room_is_removed_is_answered(bench: Bench) -> None:
    one = bench.gateway()
    await make(one)
    held = Held(bench.client)
    two = RedisStore(held, [Room(name="sale")], store_time_us=lambda: bench.now_us)
    await two.follow_rooms()
    asked = asyncio.create_task(two.enter("flash", "visitor-0123456789ab", claims=None, purpose=Purpose.CLAIM))
    await asyncio.sleep(0)
    await one.remove("flash", Deed(by("r1"), "remove", room="flash"))
    while not await two.follow_rooms():
        pass
    held.let_go.set()
    assert (await asked).answer is Answer.ADMITTED
    assert two.last_census("flash") is None


class Keeping:
    """A client that is cut off from the store when it would remove keys."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def command(self, *words: Any) -> Any:
        if words[0] == "UNLINK":
            raise ConnectionError("cut off")
        return await self._client.command(*words)


async def test_who_follows_hears_of_a_removed_room_at_once_and_whatever_becomes_of_its_keys(bench: Bench) -> None:
    one = bench.gateway()
    await make(one)
    two = RedisStore(Keeping(bench.client), [Room(name="sale")], store_time_us=lambda: bench.now_us)
    await two.follow_rooms()
    await one.remove("flash", Deed(by("r1"), "remove", room="flash"))
    heard: list[list[str]] = []
    with pytest.raises(StoreUnavailable):
        await two.follow_rooms(lambda: heard.append([room.name for room in two.made_rooms]))
    assert heard == [[]]


async def test_a_store_that_lost_its_memory_gets_the_rooms_back(bench: Bench) -> None:
    one, two = bench.gateway(), bench.gateway()
    await make(one)
    await two.follow_rooms()
    await bench.forget()
    assert not await two.follow_rooms()
    three = bench.gateway()
    assert await three.follow_rooms()
    assert (await three.enter("flash", "visitor-0123456789ab", claims=None, purpose=Purpose.CLAIM)).now_ms
    assert [room.name for room in three.made_rooms] == ["flash"]


async def test_live_settings_that_no_longer_go_with_the_file_hold_up_no_other_room_and_can_be_mended(
    bench: Bench,
) -> None:
    store = bench.gateway(session_seconds=600)
    await store.seed()
    await store.configure("sale", {"refresh_seconds": 120}, expected_version=None, author=by("c1"))
    store.rooms = [Room(name="sale", session_seconds=60), Room(name="other", rate=7)]
    assert store.record("other").room.rate == 7
    assert store.record("sale").room.session_seconds == 600
    assert "does not go with the configuration" in store.unreadable["sale"]
    file = [Room(name="sale", session_seconds=60), Room(name="other", rate=7)]
    begun = RedisStore(bench.client, file, store_time_us=lambda: bench.now_us)
    with pytest.raises(Refused, match="sale: what is set live does not go with the configuration"):
        await begun.seed()
    assert (await begun.beat("other")).waiting == 0
    await begun.beat("sale")
    await begun.configure("sale", {}, expected_version=None, author=by("c2"))
    begun.rooms = file
    await begun.seed()
    assert begun.record("sale").room.session_seconds == 60
    assert begun.unreadable == {}


async def test_a_room_of_the_file_wins_over_one_of_the_same_name(bench: Bench) -> None:
    store = bench.gateway()
    await make(store)
    store.rooms = [*store.rooms[:1], Room(name="flash", rate=7)]
    assert (store.made_rooms, store.record("flash").room.rate) == ([], 7)
    assert not await make(store, request_id="m2")


async def test_what_belongs_to_no_room_is_in_the_log_of_the_house(bench: Bench) -> None:
    store = bench.gateway()
    await RedisAccessRecords(store).note(Deed(by("n1"), "log-in"))
    (line,) = await store.audit((await store.audit_logs())[-1], limit=5)
    assert (line.action, line.who, line.room) == ("log-in", "dana", "")


async def test_operators_hear_which_version_each_gateway_runs_until_it_ends(bench: Bench) -> None:
    one, two = bench.gateway(), bench.gateway()
    await one.beat("sale")
    await one.say_running("a", {"sale": 1})
    await two.say_running("b", {"sale": 1})
    await one.say_running("a", {"sale": 2})
    assert {said.gateway: said.versions for said in await two.running()} == {"a": {"sale": 2}, "b": {"sale": 1}}
    await two.say_ended("b")
    assert [said.gateway for said in await one.running()] == ["a"]
