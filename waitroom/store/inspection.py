"""Inspection: what a store says of itself, and what that means for the memory of a queue.

Asked once at start and by `waitroom check --online`. A store that cannot work is refused, with what is missing; one
that may lose places works, with advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from waitroom.errors import StoreUnavailable

from .connect import open_client, replicas_wanted
from .keys import key
from .scripts import load_scripts
from .url import read
from .wire import ServerError, Unacknowledged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .client import Client

OLDEST: Final = (6, 2)
"""Version of Redis; Valkey says which it is compatible with."""
SCRATCH_ROOM: Final = "?"
"""No room can have this name."""

COMMANDS: Final = (
    "DEL KEY", "EXPIRE KEY 1", "GET KEY", "GETEX KEY", "HDEL KEY a", "HEXISTS KEY a", "HGET KEY a", "HGETALL KEY",
    "HINCRBY KEY a 1", "HKEYS KEY", "HMGET KEY a", "HSET KEY a 1", "INCR KEY", "LINDEX KEY 0", "LPOP KEY",
    "LRANGE KEY 0 0", "LSET KEY 0 a", "LTRIM KEY 0 0", "PEXPIRE KEY 1000", "PTTL KEY", "RPUSH KEY a", "SET KEY a",
    "TIME", "UNLINK KEY", "XADD KEY * a b", "XLEN KEY", "XRANGE KEY - +", "XREVRANGE KEY + -", "XTRIM KEY MAXLEN 1",
    "ZADD KEY 1 a", "ZCARD KEY", "ZCOUNT KEY 0 1", "ZPOPMIN KEY", "ZRANGE KEY 0 0", "ZRANGEBYSCORE KEY 0 1",
    "ZRANK KEY a", "ZREM KEY a", "ZSCAN KEY 0", "ZSCORE KEY a",
)  # fmt: skip
"""Every command that the verbs use, with arguments that do no harm."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found: each server in words, why the store cannot be used, and what is better changed."""

    servers: tuple[str, ...]
    refusals: tuple[str, ...]
    advice: tuple[str, ...]


async def inspect_store(url: str, *, deadline_ms: int, replicas: int | None) -> Inspection:
    """Look at the store behind `url`; raises `StoreUnavailable` when it does not answer, `StartError` for the URL."""
    client = open_client(url, deadline_ms=deadline_ms, replicas=replicas)
    try:
        where = read(url)
        return await inspect(client, replicas=replicas_wanted(where, replicas), clustered=where.kind == "cluster")
    except OSError as error:
        raise StoreUnavailable(str(error)) from error
    except ServerError as error:
        raise StoreUnavailable(f"the store answers: {error}") from error
    finally:
        await client.aclose()


async def inspect(client: Client, *, replicas: int, clustered: bool) -> Inspection:
    """Look at every master of `client`; raises OSError and `ServerError`."""
    servers: list[str] = []
    advice: list[str] = []
    refusals = await _forbidden(client)
    for master in await client.masters():
        try:
            facts = _facts(await master.command("INFO"))
        except ServerError as error:
            if not str(error).startswith("NOPERM"):
                raise
            return Inspection((), (*refusals, "its user may not run INFO"), ())
        name, refused, advised = judged(facts, replicas=replicas, clustered=clustered)
        servers.append(name)
        refusals += refused
        advice += advised
    return Inspection(tuple(servers), tuple(dict.fromkeys(refusals)), tuple(dict.fromkeys(advice)))


async def _forbidden(client: Client) -> list[str]:
    """Return why the verbs cannot run, if they cannot."""
    try:
        told: Any = await client.call(load_scripts()["permissions"], [key(SCRATCH_ROOM, "queue")], COMMANDS)
    except Unacknowledged:
        return []  # told by what INFO says of replicas
    except ServerError as error:
        words = str(error)
        if words.startswith(("NOPERM", "ERR unknown command")):
            return [f"its user may not run scripts (EVAL, EVALSHA) on keys that begin with 'waitroom:': {words}"]
        raise
    names = ", ".join(text.decode().partition(" ")[0] for text in told)
    return [f"its user may not run: {names}"] if names else []


def _facts(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def judged(facts: Mapping[str, str], *, replicas: int, clustered: bool) -> tuple[str, Sequence[str], Sequence[str]]:
    """Return a server's name, refusals and advice from the fields of its INFO. `replicas` must acknowledge."""
    version = facts.get("redis_version", "0")
    make = f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"Redis {version}"
    there = int(facts.get("connected_slaves", "0"))
    name = f"{make}, {there} replica{'' if there == 1 else 's'}"
    refusals = []
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < OLDEST:
        refusals.append(f"{make} is too old: 6.2 or later is needed")
    if facts.get("role") == "slave":
        refusals.append("it is a replica: name the master, or the sentinels that know it")
    advice = []
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and facts.get("maxmemory", "0") != "0":
        advice.append(f"it throws away places when memory is short ({policy}): set maxmemory-policy noeviction")
    if facts.get("aof_enabled", "1") == "0":
        advice.append(
            "a restart makes it forget all that its last dump does not know, and nobody new enters until tokens and "
            "passes told it again: set appendonly yes"
        )
    if facts.get("cluster_enabled") == "1" and not clustered:
        advice.append("it is a node of a cluster: use redis+cluster://")
    if there < replicas:
        advice.append(
            f"it has {there} of {replicas} replicas: nobody new enters until they are there, or "
            "store.replicas_acknowledge is lowered"
        )
    if replicas and "min_slaves_good_slaves" not in facts:
        advice.append("cut off from its replicas it takes what a failover will lose: set min-replicas-to-write 1")
    return name, refusals, advice
