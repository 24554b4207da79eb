"""Promises 1, 3 and 4 while the master of the store changes, planned and not, under a stream of joins."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
import redis

from tests.journeys.experiment.link import Link
from tests.journeys.stage import AS_SHIPPED_MS, observing_site, on_site, serving, visitors, write_config
from tests.journeys.stream import QUEUE, Stream, check
from tests.store.farm import ClusterOfSix, Watched, farm
from waitroom.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.store.farm import Node

pytestmark = [pytest.mark.anyio, pytest.mark.journey, pytest.mark.scaled]


async def another_than(before: Node, shop: Watched) -> Node:
    """Return the new master as soon as the sentinels agree on one."""
    async with asyncio.timeout(30):
        while True:
            with suppress(ValueError, redis.RedisError):  # they differ, or one is busy
                if (master := await asyncio.to_thread(shop.master)) is not before:
                    return master
            await asyncio.sleep(0.05)


async def test_a_planned_failover_of_sentinels_loses_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """One replica is promoted, while the other goes on acknowledging to the old master for a second or two."""
    with farm(tmp_path) as servers:
        shop = Watched(servers)
        before = shop.master()
        for sentinel in shop.sentinels:  # a stall of the machine starts no other failover
            sentinel.ask("SENTINEL", "SET", "shop", "down-after-milliseconds", 10_000)

        async def planned() -> None:
            await asyncio.to_thread(shop.sentinels[0].ask, "SENTINEL", "FAILOVER", "shop")

        found = await Stream(shop.url).run(planned, after=3.5)
        record_property("planned:", found)
        check(found)
        await another_than(before, shop)


async def test_a_killed_master_of_sentinels_loses_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with farm(tmp_path) as servers:
        shop = Watched(servers)

        async def killed() -> None:
            shop.master().kill()

        found = await Stream(shop.url).run(killed)
        record_property("killed:", found)
        check(found)


async def test_a_master_cut_off_from_its_replicas_and_sentinels_loses_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Two masters at once: gateways still reach the old one, and what it takes now is gone when it follows the new one."""
    with farm(tmp_path) as servers, ExitStack() as at_the_end:
        links: list[Link] = []

        def in_front(door: int, port: int) -> None:
            links.append(Link(door, port))
            at_the_end.callback(links[0].close)

        shop = Watched(servers, in_front)
        before = shop.master()
        (link,) = links

        async def parted() -> None:
            link.tell("part")
            after, _ = await asyncio.gather(another_than(before, shop), asyncio.sleep(4.0))
            assert before.ask("ROLE")[0] == after.ask("ROLE")[0] == b"master"
            link.tell("heal")
            # The sentinels would do it too, some eight seconds later.
            await asyncio.to_thread(before.ask, "REPLICAOF", "127.0.0.1", after.port)

        found = await Stream(shop.url).run(parted)
        record_property("parted for 4 s:", found)
        check(found)
        await another_than(before, shop)


async def test_behind_a_killed_master_everybody_gets_a_page_and_keeps_the_place(tmp_path: Path) -> None:
    """The same as visitors meet it, through `waitroom serve`."""
    with farm(tmp_path / "farm") as servers:
        shop = Watched(servers)
        async with observing_site() as site:
            config = write_config(
                tmp_path, backend=f"http://127.0.0.1:{site.port}", store=shop.url, deadline_ms=AS_SHIPPED_MS, workers=2,
                rate=600, capacity=20, session_seconds=600, refresh_seconds=1,
            )  # fmt: skip
            with serving(config, tmp_path, ready=2) as running:
                async with visitors(running.port, 90) as crowd:
                    shoppers, waiting, newcomers = crowd[:20], crowd[20:50], crowd[50:]
                    for visitor in shoppers:
                        assert on_site(await visitor.enter())
                    for visitor in waiting:
                        assert not on_site(await visitor.navigate("/"))

                    shop.master().kill()
                    for visitor in newcomers:
                        assert (await visitor.navigate("/")).status == 200
                        for shopper in shoppers[:5]:
                            assert on_site(await shopper.navigate("/page"))
                        await asyncio.sleep(0.1)

                    everybody = [*waiting, *newcomers]
                    async with asyncio.timeout(60):
                        for visitor in everybody[::-1]:
                            await visitor.standing()
                        states = [await visitor.standing() for visitor in everybody]
                    assert {state["state"] for state in states} == {"waiting"}
                    assert [state["position"] for state in states[:30]] == list(range(1, 31))
                    scores = [state["score_us"] for state in states]
                    assert scores == sorted(set(scores))
                    assert site.peak_active <= 20


async def test_a_failover_of_a_shard_loses_nothing_planned_and_not(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with farm(tmp_path) as servers:
        cluster = ClusterOfSix(servers)

        async def planned() -> None:
            replica = cluster.replica_of(cluster.owner(key(QUEUE, "queue")))
            await asyncio.to_thread(replica.ask, "CLUSTER", "FAILOVER")

        found = await Stream(cluster.url).run(planned, after=1.5)
        record_property("planned:", found)
        check(found)
        for master in {cluster.owner(key(room, "queue")) for room in (QUEUE, "sale")}:
            master.ask("FLUSHALL")

        async def killed() -> None:
            """A supervisor starts it again after a while, as the replica that the other needs."""
            master = cluster.owner(key(QUEUE, "queue"))
            master.kill()
            await asyncio.sleep(2.0)
            master.start()

        found = await Stream(cluster.url).run(killed)
        record_property("killed:", found)
        check(found)
