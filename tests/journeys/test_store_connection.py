"""What becomes of calls while a real server is frozen, full, a replica, or lets nobody stay; and `serve` on a store it cannot use."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing, asynccontextmanager, suppress
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.journeys.stage import AS_SHIPPED_MS, PATIENT_MS, START_SECONDS, write_config
from tests.store.conftest import least_privilege
from tests.store.farm import ENCODED, Farm, Node, farm
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer
from waitroom.errors import StoreUnavailable
from waitroom.store.base import Purpose
from waitroom.store.connect import open_store
from waitroom.store.keys import FORMAT, HOUSE, key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from waitroom.store.redis import RedisStore

pytestmark = [pytest.mark.anyio, pytest.mark.journey]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm(tmp_path_factory.mktemp("farm")) as servers:
        yield servers


@pytest.fixture(scope="module")
def node(servers: Farm) -> Node:
    return servers.server()


@asynccontextmanager
async def empty_store(node: Node, deadline_ms: int) -> AsyncIterator[RedisStore]:
    node.ask("FLUSHALL")
    url = f"redis://127.0.0.1:{node.port}"
    async with aclosing(open_store(url, [Room(name="sale", rate=0)], deadline_ms=deadline_ms)) as store:
        await store.beat("sale")
        yield store


@pytest.fixture
async def store(node: Node) -> AsyncIterator[RedisStore]:
    async with empty_store(node, PATIENT_MS) as store:
        yield store


@pytest.fixture
async def hasty_store(node: Node) -> AsyncIterator[RedisStore]:
    async with empty_store(node, AS_SHIPPED_MS) as store:
        yield store


async def join(store: RedisStore, number: int) -> Any:
    return await store.enter("sale", f"v{number:015}", claims=None, purpose=Purpose.JOIN)


async def joined_again(store: RedisStore, number: int) -> Any:
    """Ask until the store answers, as a page does."""
    async with asyncio.timeout(30):
        while True:
            with suppress(StoreUnavailable):
                return await join(store, number)
            await asyncio.sleep(0.05)


def joins(node: Node) -> list[str]:
    """Who joined, in order, as the store wrote it down."""
    entries = node.ask("XRANGE", "waitroom:{sale}:journal", "-", "+")
    facts = [dict(zip(pairs[::2], pairs[1::2], strict=True)) for _, pairs in entries]
    return [fact[b"visitor"].decode() for fact in facts if fact[b"kind"] == b"joined"]


async def test_a_frozen_store_holds_nobody_for_long_and_runs_nothing_twice(hasty_store: RedisStore, node: Node) -> None:
    clock = asyncio.get_running_loop().time
    took: list[float] = []
    node.signal(signal.SIGSTOP)
    began = clock()
    try:
        while clock() - began < 2.0 or len(took) < 6:
            asked = clock()
            with pytest.raises(StoreUnavailable):
                await join(hasty_store, len(took))
            took.append(clock() - asked)
            await asyncio.sleep(0.02)
    finally:
        node.signal(signal.SIGCONT)
    assert median(seconds for seconds in took if seconds > 0.1) < 1.0, "a stall of the machine may hold up one"
    assert not hasty_store.available
    visit = await joined_again(hasty_store, 999)
    assert visit.answer is Answer.WAITING
    for number in range(len(took)):
        await joined_again(hasty_store, number)
    assert len(joins(node)) == len(set(joins(node))) == len(took) + 1


async def test_a_store_busy_with_a_script_that_does_not_end_holds_nobody_for_long_and_is_found_again(
    hasty_store: RedisStore, node: Node
) -> None:
    """As after a mistake of somebody else on the same server."""
    first = await joined_again(hasty_store, 1)
    node.ask("CONFIG", "SET", "busy-reply-threshold", "50")
    busy = asyncio.create_task(asyncio.to_thread(ended_by_force, node))
    try:
        async with asyncio.timeout(30):
            reason = ""
            while "BUSY" not in reason:
                with suppress(StoreUnavailable):
                    await join(hasty_store, 1)
                try:
                    await join(hasty_store, 2)
                except StoreUnavailable as error:
                    reason = error.reason
                await asyncio.sleep(0.02)
    finally:
        node.ask("SCRIPT", "KILL")
    assert "Script killed" in await busy
    assert (await joined_again(hasty_store, 2)).position == 2
    assert (await joined_again(hasty_store, 1)).score_us == first.score_us


def ended_by_force(node: Node) -> str:
    """Run a script that does not end by itself, and return how it ended."""
    try:
        node.ask("EVAL", "while true do end", "0")
    except redis.ResponseError as error:
        return str(error)
    return ""


async def test_a_full_store_refuses_newcomers_only_until_it_has_room(store: RedisStore, node: Node) -> None:
    first = await join(store, 1)
    node.ask("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="OOM command not allowed"):
            await join(store, 2)
    finally:
        node.ask("CONFIG", "SET", "maxmemory", "0")
    assert (await joined_again(store, 2)).position == 2
    assert (await join(store, 1)).score_us == first.score_us


async def test_a_master_that_became_a_replica_is_left_and_found_again(store: RedisStore, node: Node) -> None:
    first = await join(store, 1)
    node.ask("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await join(store, 2)
    finally:
        node.ask("REPLICAOF", "NO", "ONE")
    assert (await joined_again(store, 2)).position == 2
    assert (await join(store, 1)).score_us == first.score_us


async def test_killed_connections_and_flushed_scripts_cost_no_place(store: RedisStore, node: Node) -> None:
    for number in range(300):
        if number % 10 == 0:
            await asyncio.to_thread(node.ask, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        if number % 15 == 0:
            await asyncio.to_thread(node.ask, "SCRIPT", "FLUSH")
        await joined_again(store, number)
    assert joins(node) == [f"v{number:015}" for number in range(300)]


def served_in_vain(directory: Path, store: str) -> subprocess.CompletedProcess[str]:
    """Start `waitroom serve` on a store that it cannot use, and wait for its end."""
    config = write_config(directory, backend="http://127.0.0.1:9", store=store, rate=60)
    ended = subprocess.run(
        [sys.executable, "-m", "waitroom", "serve", str(config), "--data", str(directory / "data")],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env=os.environ | {"WAITROOM_LOG__FORMAT": "json"},
        check=False,
    )
    assert ended.returncode == 1
    return ended


def test_serve_ends_at_once_on_a_store_of_a_later_version_and_says_what_to_do(tmp_path: Path, node: Node) -> None:
    node.ask("SET", key(HOUSE, "format"), str(FORMAT + 1))
    try:
        ended = served_in_vain(tmp_path, f"redis://127.0.0.1:{node.port}")
    finally:
        node.ask("DEL", key(HOUSE, "format"))
    assert f"keeps its queues in this store (format {FORMAT + 1}, this one reads up to {FORMAT})" in ended.stderr
    assert "start that version, or give this one a store of its own" in ended.stderr


def test_serve_ends_at_once_on_a_store_that_it_cannot_use_and_says_why(tmp_path: Path, node: Node) -> None:
    node.ask("ACL", "SETUSER", "short", *least_privilege().split(), "-zadd")
    ended = served_in_vain(tmp_path, f"redis://short:{ENCODED}@127.0.0.1:{node.port}")
    assert '"reason": "the store cannot be used: its user may not run: ZADD"' in ended.stderr
    assert '"event": "store_advice"' not in ended.stderr
    assert ENCODED not in ended.stderr
