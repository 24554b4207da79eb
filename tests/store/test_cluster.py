"""Where a key lives, what redirections mean, and how the map of the slots is kept true."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.scripted import Scripted, scripted, text
from waitroom.domain.room import Room
from waitroom.errors import StoreUnavailable
from waitroom.store.base import Purpose
from waitroom.store.cluster import SLOTS, Cluster, owners_of, slot_of
from waitroom.store.connect import open_client
from waitroom.store.redis import RedisStore
from waitroom.store.scripts import Script
from waitroom.store.wire import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.store.conftest import Urls

pytestmark = pytest.mark.anyio

SCRIPT = Script("look", "return 1", ("queue",), "d1ge57")
KEY = "waitroom:{sale}:queue"


@pytest.mark.parametrize(
    ("key", "slot"),
    [("123456789", 0x31C3), ("{user1000}.following", 3443), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015), (KEY, 1974)],
)
def test_a_key_s_slot_is_that_of_its_hash_tag(key: str, slot: int) -> None:
    assert slot_of(key) == slot


async def test_slots_are_reckoned_as_the_servers_do(cluster: Urls) -> None:
    async with aclosing(open_client(cluster.gateway, deadline_ms=5_000)) as client:
        (master, *_) = await client.masters()
        for key in ("a", "{}", "{a}b", "a{b}{c}", "{{a}}", "}{", "waitroom:{ü}:state"):
            assert await master.command("CLUSTER", "KEYSLOT", key) == slot_of(key)


def test_the_map_names_a_master_for_each_slot_that_has_one() -> None:
    owners = owners_of([[0, 9, [b"a", 1, b"id"], [b"r", 2, b"id"]], [20, 20, [b"", 3, b"id", []]]], "asked")
    assert owners[:10] == [("a", 1)] * 10
    assert owners[20:22] == [("asked", 3), None]
    assert len(owners) == SLOTS
    assert owners_of([], "asked") == []


class Stage:
    """Two scripted nodes, `one` having all slots, and a client of the cluster."""

    def __init__(self, nodes: list[tuple[Scripted, int]], deadline_seconds: float) -> None:
        (self.one, self.one_port), (self.two, self.two_port) = nodes
        self.owner = self.one_port
        self.url = f"redis+cluster://127.0.0.1:{self.one_port},127.0.0.1:{self.two_port}"
        self.client = open_client(self.url, deadline_ms=int(deadline_seconds * 1000), replicas=0)
        assert isinstance(self.client, Cluster)
        self.answers(self.one, lambda _: text("one"))
        self.answers(self.two, lambda _: text("two"))

    def answers(self, node: Scripted, says: Callable[[list[bytes]], bytes]) -> None:
        def say(command: list[bytes]) -> bytes:
            if command[0] == b"CLUSTER":
                return b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n" + text("127.0.0.1") + b":%d\r\n" % self.owner
            return says(command)

        node.answers = say

    def run(self) -> Any:
        return self.client.call(SCRIPT, [KEY], ["a"])

    def heard(self, node: Scripted) -> list[bytes]:
        """What `node` heard beside questions for the map: the command."""
        return [command[0] for command in node.heard if command[0] != b"CLUSTER"]


@asynccontextmanager
async def staged(deadline_seconds: float = 5.0) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        stage = Stage([await stack.enter_async_context(scripted()) for _ in range(2)], deadline_seconds)
        stack.push_async_callback(stage.client.aclose)
        yield stage


async def test_a_key_is_asked_of_the_node_that_has_it() -> None:
    async with staged() as stage:
        assert await stage.run() == b"one"
        assert stage.client.part(KEY) == f"127.0.0.1:{stage.one_port}"
        assert stage.heard(stage.two) == []


async def test_a_slot_that_moved_is_asked_of_its_new_node_from_then_on() -> None:
    async with staged() as stage:
        assert await stage.run() == b"one"
        stage.owner = stage.two_port
        moved = b"-MOVED %d 127.0.0.1:%d\r\n" % (slot_of(KEY), stage.two_port)
        stage.answers(stage.one, lambda _: moved)
        assert list(await asyncio.gather(stage.run(), stage.run())) == [b"two", b"two"]
        assert await stage.run() == b"two"
        assert stage.heard(stage.one) == [b"EVALSHA"] * 3
        assert stage.heard(stage.two) == [b"EVALSHA"] * 3


async def test_a_redirection_without_a_host_means_the_one_asked() -> None:
    async with staged() as stage:
        stage.answers(stage.one, lambda _: b"-MOVED 1 :%d\r\n" % stage.two_port)
        assert await stage.run() == b"two"


async def test_a_key_that_has_left_is_asked_for_this_once_and_whole() -> None:
    async with staged() as stage:
        stage.answers(stage.one, lambda _: b"-ASK %d 127.0.0.1:%d\r\n" % (slot_of(KEY), stage.two_port))
        assert await stage.run() == b"two"
        assert await stage.client.command("GET", KEY) == b"two"
        assert stage.heard(stage.two) == [b"ASKING", b"EVAL", b"ASKING", b"GET"]
        assert stage.client.part(KEY) == f"127.0.0.1:{stage.one_port}"


async def test_while_a_room_s_keys_are_on_both_sides_the_call_waits() -> None:
    async with staged() as stage:
        answers = iter([b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"] * 3 + [text("one")])
        stage.answers(stage.one, lambda _: next(answers))
        assert await stage.run() == b"one"
        assert stage.heard(stage.one) == [b"EVALSHA"] * 4


async def test_a_room_that_stays_torn_fails_within_the_deadline() -> None:
    async with staged(1.0) as stage:
        stage.answers(stage.one, lambda _: b"-TRYAGAIN Multiple keys request\r\n")
        async with asyncio.timeout(20):
            with pytest.raises(ServerError, match="TRYAGAIN"):
                await stage.run()


async def test_a_call_that_was_sent_on_has_what_is_left_of_its_deadline() -> None:
    async with staged(5.0) as stage:
        loop = asyncio.get_running_loop()
        assert await stage.run() == b"one"
        sent_on: list[float] = []

        def send_on(_: list[bytes]) -> bytes:
            sent_on.append(loop.time())
            stage.owner = stage.two_port  # on a slow machine the map is asked for again meanwhile, and agrees
            return b"-MOVED 1 127.0.0.1:%d\r\n" % stage.two_port

        stage.answers(stage.one, send_on)
        stage.answers(stage.two, lambda _: b"")
        call = asyncio.create_task(stage.run())
        await stage.two.until(lambda: b"EVALSHA" in stage.heard(stage.two))
        assert isinstance(stage.client, Cluster)
        wire = stage.client._node(("127.0.0.1", stage.two_port)).ready()
        dues = [under_way.due for under_way in wire._asked if under_way.words[0] == "EVALSHA"]
        call.cancel()
        assert len(dues) == 1
        assert dues[0] < sent_on[0] + 5.0


async def test_nodes_that_send_on_to_each_other_end_somewhere() -> None:
    async with staged() as stage:
        stage.answers(stage.one, lambda _: b"-MOVED 1 127.0.0.1:%d\r\n" % stage.two_port)
        stage.answers(stage.two, lambda _: b"-MOVED 1 127.0.0.1:%d\r\n" % stage.one_port)
        with pytest.raises(ServerError, match="MOVED"):
            await stage.run()
        assert len(stage.heard(stage.one) + stage.heard(stage.two)) == 6


async def test_a_lost_connection_is_never_asked_again_but_the_map_is() -> None:
    async with staged() as stage:
        assert await stage.run() == b"one"
        stage.owner = stage.two_port

        def hang_up(_: list[bytes]) -> bytes:
            stage.one.connections[-1].hang_up()
            return b""

        stage.answers(stage.one, hang_up)
        with pytest.raises(ConnectionError):
            await stage.run()
        async with asyncio.timeout(30):
            while stage.client.part(KEY) != f"127.0.0.1:{stage.two_port}":
                with pytest.raises(ConnectionError):
                    await stage.run()
        assert await stage.run() == b"two"
        assert set(stage.heard(stage.two)) == {b"EVALSHA"}


async def test_a_cluster_that_is_down_is_told_and_looked_at_again() -> None:
    async with staged() as stage:
        stage.answers(stage.one, lambda _: b"-CLUSTERDOWN The cluster is down\r\n")
        with pytest.raises(ServerError, match="CLUSTERDOWN"):
            await stage.run()


async def test_a_slot_that_moves_while_visitors_join_costs_no_place(cluster: Urls) -> None:
    """On real nodes; every key of the room goes over by itself, as resharding does it."""
    client = open_client(cluster.gateway, deadline_ms=2_000)
    store = RedisStore(client, [Room(name="moving", rate=0)])
    async with aclosing(store), asyncio.TaskGroup() as tasks:
        slot = slot_of("waitroom:{moving}:queue")
        masters = {str(master): master for master in await client.masters()}
        source = next(master for name, master in masters.items() if client.part("{moving}") in name)
        target = next(master for master in masters.values() if master is not source)
        source_id, target_id = [await master.command("CLUSTER", "MYID") for master in (source, target)]
        joined: list[str] = []
        held = 0

        async def join_all() -> None:
            nonlocal held
            for number in range(400):
                while True:
                    try:
                        visit = await store.enter("moving", f"v{number:015}", claims=None, purpose=Purpose.JOIN)
                    except StoreUnavailable:
                        held += 1
                        await asyncio.sleep(0.02)
                    else:
                        assert visit.position == number + 1
                        joined.append(visit.visitor)
                        break

        joining = tasks.create_task(join_all())
        while len(joined) < 50:
            await asyncio.sleep(0)
        await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        host, port = str(target).rpartition(" ")[2].split(":")
        while moved := await source.command("CLUSTER", "GETKEYSINSLOT", slot, 1):
            await source.command("MIGRATE", host, port, moved[0], 0, 5000)
        for node in (target, source):
            await node.command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        await joining
        assert len(joined) == 400
        assert client.part("{moving}") in str(target)
        assert int(await client.command("ZCARD", "waitroom:{moving}:queue")) == 400


async def test_where_no_node_answers_the_last_reason_is_told() -> None:
    async with aclosing(open_client("redis+cluster://:secret@127.0.0.1:1,127.0.0.1:2", deadline_ms=2_000)) as client:
        with pytest.raises(ConnectionError, match=r"the map of the slots: 127.0.0.1:\d: .*Refused") as told:
            await client.command("GET", KEY)
    assert "secret" not in str(told.value)


async def test_a_server_without_cluster_mode_is_named() -> None:
    async with staged() as stage:
        stage.one.answers = stage.two.answers = lambda _: b"-ERR This instance has cluster support disabled\r\n"
        with pytest.raises(ConnectionError, match="cluster support disabled"):
            await stage.run()


async def test_a_cancelled_call_says_nothing_to_the_others() -> None:
    async with staged() as stage:
        assert await stage.run() == b"one"
        gone = asyncio.create_task(stage.run())
        await asyncio.sleep(0)
        gone.cancel()
        assert await stage.run() == b"one"
