"""What is said of a store before it is trusted with a queue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.conftest import least_privilege
from tests.store.farm import ENCODED
from waitroom import store
from waitroom.errors import StoreUnavailable
from waitroom.store.inspection import COMMANDS, Inspection, inspect_store, judged
from waitroom.store.scripts import load_scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store.conftest import Urls
    from tests.store.farm import Farm, Node

pytestmark = pytest.mark.anyio

SOUND = {
    "redis_version": "7.0.15", "connected_slaves": "1", "maxmemory_policy": "noeviction", "maxmemory": "0",
    "aof_enabled": "1", "min_slaves_good_slaves": "1", "cluster_enabled": "0",
}  # fmt: skip


PROTOCOL = {"eval", "evalsha", "client|setname", "select", "info", "role", "wait", "cluster|slots", "asking"}
"""What the client itself needs beside the verbs."""


def test_every_command_of_the_verbs_is_looked_for_and_given_to_the_user_of_the_documentation() -> None:
    """A new command needs a row in `COMMANDS` and a word in the user's line in docs/operating.md."""
    scripts = "".join(script.source for script in load_scripts().values())
    modules = "".join(path.read_text("utf-8") for path in Path(store.__path__[0]).glob("*.py"))
    used = set(re.findall(r"redis\.p?call\('([A-Z]+)'", scripts))
    used |= set(re.findall(r"\.command\(\s*(?:\"[a-z]+\"|name), \"([A-Z]+)\"", modules))
    looked_for = {command.partition(" ")[0] for command in COMMANDS}
    assert used <= looked_for
    allowed = {word.removeprefix("+") for word in least_privilege().split() if word.startswith("+")}
    assert allowed == {command.lower() for command in looked_for} | PROTOCOL


def test_a_sound_store_is_named_and_nothing_else_is_said() -> None:
    assert judged(SOUND, replicas=1, clustered=False) == ("Redis 7.0.15, 1 replica", [], [])
    assert judged(SOUND | {"valkey_version": "9.1.2"}, replicas=0, clustered=False)[0] == "Valkey 9.1.2, 1 replica"


@pytest.mark.parametrize("version", ["2.8", "5.0.14", "6.0.9"])
def test_an_old_store_is_refused(version: str) -> None:
    assert judged(SOUND | {"redis_version": version}, replicas=0, clustered=False)[1] == [
        f"Redis {version} is too old: 6.2 or later is needed"
    ]


@pytest.mark.parametrize(
    ("facts", "replicas", "told"),
    [
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": "1000"}, 0, "set maxmemory-policy noeviction"),
        ({"aof_enabled": "0"}, 0, "set appendonly yes"),
        ({"cluster_enabled": "1"}, 0, r"use redis\+cluster://"),
        ({"connected_slaves": "0"}, 1, "it has 0 of 1 replicas"),
    ],
)
def test_a_store_that_may_lose_places_gets_advice(facts: dict[str, str], replicas: int, told: str) -> None:
    _, refusals, advice = judged(SOUND | facts, replicas=replicas, clustered=False)
    assert refusals == []
    assert len(advice) == 1
    assert re.search(told, advice[0])


def test_a_policy_that_evicts_is_no_matter_without_a_limit_of_memory() -> None:
    assert judged(SOUND | {"maxmemory_policy": "allkeys-lru"}, replicas=0, clustered=False)[2] == []


def test_with_replicas_the_master_should_notice_when_they_leave() -> None:
    facts = {name: value for name, value in SOUND.items() if name != "min_slaves_good_slaves"}
    assert judged(facts, replicas=0, clustered=False)[2] == []
    assert "min-replicas-to-write 1" in judged(facts, replicas=1, clustered=False)[2][0]


# On real ones.


async def look(url: str, **options: Any) -> Inspection:
    return await inspect_store(url, **{"deadline_ms": 5_000, "replicas": None} | options)


@pytest.fixture(scope="module")
def node(servers: Farm) -> Iterator[Node]:
    node = servers.server()
    yield node
    node.kill()


async def test_the_user_of_the_documentation_is_enough_over_tls(guarded: Urls) -> None:
    found = await look(guarded.gateway)
    assert re.fullmatch(r"Redis \S+, 0 replicas", found.servers[0])
    assert (found.refusals, found.advice) == ((), ())


async def test_the_scratch_key_is_gone_afterwards(node: Node) -> None:
    await look(f"redis://127.0.0.1:{node.port}")
    assert node.ask("DBSIZE") == 0


async def test_commands_that_the_user_may_not_run_are_named(node: Node) -> None:
    node.ask("ACL", "SETUSER", "short", *least_privilege().split(), "-zadd", "-xtrim")
    found = await look(f"redis://short:{ENCODED}@127.0.0.1:{node.port}")
    assert found.refusals == ("its user may not run: XTRIM, ZADD",)


async def test_a_user_without_scripts_or_without_info_is_refused(node: Node) -> None:
    node.ask("ACL", "SETUSER", "still", *least_privilege().split(), "-eval", "-evalsha")
    found = await look(f"redis://still:{ENCODED}@127.0.0.1:{node.port}")
    assert "may not run scripts (EVAL, EVALSHA)" in found.refusals[0]
    node.ask("ACL", "SETUSER", "blind", *least_privilege().split(), "-info")
    assert (await look(f"redis://blind:{ENCODED}@127.0.0.1:{node.port}")).refusals == ("its user may not run INFO",)


async def test_a_user_of_other_keys_is_refused(node: Node) -> None:
    node.ask("ACL", "SETUSER", "elsewhere", *least_privilege().split(), "resetkeys", "~shop:*")
    found = await look(f"redis://elsewhere:{ENCODED}@127.0.0.1:{node.port}")
    assert "keys that begin with 'waitroom:'" in found.refusals[0]


async def test_every_master_of_a_cluster_is_looked_at(cluster: Urls) -> None:
    found = await look(cluster.gateway)
    assert len(found.servers) == 3
    assert found.refusals == ()
    assert found.advice == (
        "cut off from its replicas it takes what a failover will lose: set min-replicas-to-write 1",
    )


async def test_a_master_without_the_replicas_that_are_wanted_is_told(node: Node) -> None:
    found = await look(f"redis://127.0.0.1:{node.port}", replicas=1, deadline_ms=500)
    assert found.refusals == ()
    assert any("it has 0 of 1 replicas" in advice for advice in found.advice)


async def test_a_replica_is_refused(servers: Farm, node: Node) -> None:
    replica = servers.server("--replicaof", f"127.0.0.1 {node.port}")
    found = await look(f"redis://127.0.0.1:{replica.port}")
    assert found.refusals == ("it is a replica: name the master, or the sentinels that know it",)
    replica.kill()


async def test_a_store_that_does_not_answer_is_no_finding() -> None:
    with pytest.raises(StoreUnavailable, match="Connect call failed"):
        await look("redis://127.0.0.1:1")
