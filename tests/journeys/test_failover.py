"""Promises 1, 3 and 4 while the master of the store changes, planned and not, under a stream of joins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.journeys.stream import QUEUE, Stream, check
from tests.store.farm import ClusterOfSix, Watched, farm
from waitroom.store.keys import key

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.journey]


async def test_a_planned_failover_of_sentinels_loses_nothing(tmp_path: Path) -> None:
    """One replica is promoted, while the other goes on acknowledging to the old master for a second or two."""
    with farm(tmp_path) as servers:
        shop = Watched(servers)
        before = shop.master()

        async def planned() -> None:
            await asyncio.to_thread(shop.sentinels[0].ask, "SENTINEL", "FAILOVER", "shop")

        found = await Stream(shop.url).run(planned, after=3.5)
        print(f"sentinels, planned: {found}")
        check(found)
        assert shop.master() is not before


async def test_a_killed_master_of_sentinels_loses_nothing(tmp_path: Path) -> None:
    with farm(tmp_path) as servers:
        shop = Watched(servers)

        async def killed() -> None:
            shop.master().kill()

        found = await Stream(shop.url).run(killed)
        print(f"sentinels, killed: {found}")
        check(found)


async def test_a_failover_of_a_shard_loses_nothing_planned_and_not(tmp_path: Path) -> None:
    with farm(tmp_path) as servers:
        cluster = ClusterOfSix(servers)

        async def planned() -> None:
            replica = cluster.replica_of(cluster.owner(key(QUEUE, "queue")))
            await asyncio.to_thread(replica.ask, "CLUSTER", "FAILOVER")

        found = await Stream(cluster.url).run(planned, after=1.5)
        print(f"cluster, planned: {found}")
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
        print(f"cluster, killed: {found}")
        check(found)
