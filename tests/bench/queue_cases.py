"""The cases of the queue: the waiting page, `me`, and what a million waiting visitors cost the store."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import redis

from tests.journeys.stage import ADMIN_TOKEN
from waitroom.beat import PERIOD_SECONDS
from waitroom.domain.claims import QueueClaims
from waitroom.domain.room import Room
from waitroom.store.base import Purpose
from waitroom.store.connect import open_store
from waitroom.store.keys import key
from waitroom.store.scripts import load_scripts
from waitroom.tokens import Tokens

from .cases import COMMON, FETCH, NAVIGATION, Case, Run, ask, wrk
from .contenders import EMPTY, ROOM, WAITROOM, Server
from .figures import Metrics, Target, percentile
from .machine import ROOT, BenchError

THOUSAND: Final = f"{WAITROOM}, 1,000 waiting"
MILLION: Final = f"{WAITROOM}, 1,000,000 waiting"
REAL_JOINS: Final = 101_000
"""So many join by the store's own verb: more than the journal holds. The others are written into the queue."""
ASKING: Final = 512
"""Visitors who poll, spread over the whole queue."""
CALLS_PER_MINUTE: Final = 60_000
BEAT_SECONDS: Final = 30
SETTLE_SECONDS: Final = 3


@dataclass
class Queue:
    """A running Waitroom in whose room many wait and nobody is let in."""

    server: Server
    waiting: int
    cookies: list[str]
    bytes_before: int
    bytes_after: int


def connect(server: Server) -> Any:
    """Return a client of a server's embedded store, beside the gateway's."""
    assert server.serving is not None
    settings = json.loads((server.serving.data / "run" / "settings.json").read_text())
    return redis.Redis.from_url(settings["store"]["url"], socket_timeout=120)


def store_url(server: Server) -> str:
    assert server.serving is not None
    settings = json.loads((server.serving.data / "run" / "settings.json").read_text())
    url: str = settings["store"]["url"]
    return url


async def join(url: str, count: int) -> QueueClaims:
    """Let that many join by the store's own verb; return the last one's place."""
    store = open_store(url, [Room(name=ROOM, rate=0)], deadline_ms=60_000)
    try:
        for start in range(0, count, 250):
            some = range(start, min(start + 250, count))
            visits = await asyncio.gather(
                *(store.enter(ROOM, new_visitor(), claims=None, purpose=Purpose.JOIN) for _ in some)
            )
        last = visits[-1]
        return QueueClaims(ROOM, last.visitor, last.score_us, last.epoch, last.generation)
    finally:
        await store.aclose()


def new_visitor() -> str:
    """Return an id such as the gateway makes."""
    return secrets.token_urlsafe(16)


def fill(server: Server, waiting: int) -> Queue:
    """Let `waiting` visitors wait."""
    assert server.serving is not None
    with connect(server) as client:
        before = settled_memory(client)
        known = asyncio.run(join(store_url(server), min(waiting, REAL_JOINS)))
        started_us, left = time.time_ns() // 1000, max(0, waiting - REAL_JOINS)
        for start in range(0, left, 10_000):
            members = {new_visitor(): started_us + start + number for number in range(min(10_000, left - start))}
            client.zadd(key(ROOM, "queue"), members)
        if client.zcard(key(ROOM, "queue")) != waiting:
            raise BenchError(f"{client.zcard(key(ROOM, 'queue'))} wait, not {waiting}")
        with client.pipeline(transaction=False) as asked:
            for rank in spread_over(waiting, ASKING):
                asked.zrange(key(ROOM, "queue"), rank, rank, withscores=True)
            found = asked.execute()
        after = settled_memory(client)
    places = [
        QueueClaims(ROOM, visitor.decode(), int(score), known.epoch, known.generation) for ((visitor, score),) in found
    ]
    tokens = Tokens((server.serving.data / "signing-keys").read_text().split())
    cookies = [f"waitroom-queue-{ROOM}={tokens.sign_queue(place)}" for place in places]
    return Queue(server, waiting, cookies, before, after)


def spread_over(length: int, count: int) -> list[int]:
    """Return `count` ranks evenly over 0 … length − 1, both ends among them."""
    return [number * (length - 1) // (count - 1) for number in range(count)]


def settled_memory(client: Any) -> int:
    """Return the store's memory once it neither rewrites its file nor moves its tables."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        persistence = client.info("persistence")
        if not persistence["aof_rewrite_in_progress"] and not persistence.get("aof_rewrite_scheduled", 0):
            break
        time.sleep(0.2)
    time.sleep(1.5)
    used: int = client.info("memory")["used_memory"]
    return used


def queue_of(run: Run, waiting: int) -> Queue:
    """Return a running Waitroom with that many waiting; it stays for the cases that follow."""
    if waiting not in run.kept:
        run.say(f"filling a queue with {waiting:,} visitors")
        server = run.lasting.waitroom(9, f"waitroom-{waiting}", rate=0)
        run.kept[waiting] = fill(server, waiting)
    queue: Queue = run.kept[waiting]
    return queue


# The cases.


def join_case(run: Run) -> None:
    """Newcomers at a room that lets nobody in: each gets a place and the waiting page."""
    servers = {WAITROOM: run.stage.waitroom(9, rate=0)} | run.start((EMPTY,), 9)
    run.warm_up(servers, lambda name: wrk(run, servers[name], "/", seconds=1, fixed=NAVIGATION))

    def waiting() -> int:
        with connect(servers[WAITROOM]) as client:
            count: int = client.zcard(key(ROOM, "queue"))
            return count

    def measure(name: str) -> Metrics:
        before = waiting()
        metrics = wrk(run, servers[name], "/", seconds=run.effort.seconds, fixed=NAVIGATION)
        if name == WAITROOM:
            joined = waiting() - before
            if joined < metrics["requests_per_second"] * run.effort.seconds * 0.9:
                raise BenchError(f"only {joined} places were given")
            status, headers, body = ask(servers[name].url + "/", NAVIGATION)
            if b"<html" not in body or not any(value.startswith("waitroom-queue-") for _, value in headers):
                raise BenchError(f"status {status} without a waiting page and a place")
            metrics["queue_after"] = waiting()
        return metrics

    run.each_round(list(servers), measure)


def me_case(run: Run) -> None:
    """One's own state, asked by visitors spread over a short and over a long queue."""
    queues = {THOUSAND: queue_of(run, 1_000), MILLION: queue_of(run, 1_000_000)}
    servers = run.start((EMPTY,), 9)
    path = f"/.waitroom/{ROOM}/me"
    run.warm_up(queues, lambda name: wrk(run, queues[name].server, path, seconds=1, cookies=queues[name].cookies))

    def measure(name: str) -> Metrics:
        if name not in queues:
            return wrk(run, servers[name], path, seconds=run.effort.seconds, cookies=queues[THOUSAND].cookies)
        queue = queues[name]
        _, _, body = ask(queue.server.url + path, FETCH, queue.cookies[-1])
        standing = json.loads(body)
        if standing["state"] != "waiting" or standing["position"] != queue.waiting:
            raise BenchError(f"the last of {queue.waiting} stands at {standing['position']} ({standing['state']})")
        return wrk(run, queue.server, path, seconds=run.effort.seconds, cookies=queue.cookies)

    run.each_round([*queues, *servers], measure)


def memory_case(run: Run) -> None:
    """What a waiting visitor takes in the embedded store: its own count of used memory, less that of the empty queue."""
    queue = queue_of(run, 1_000_000)

    def measure(name: str) -> Metrics:
        with connect(queue.server) as client:
            memory = client.info("memory")
        return {
            "bytes_per_visitor": (queue.bytes_after - queue.bytes_before) / queue.waiting,
            "store_used_mib": queue.bytes_after / 2**20,
            "store_resident_mib": memory["used_memory_rss"] / 2**20,
        }

    run.each_round([MILLION], measure, rounds=1)


def beat_case(run: Run) -> None:
    """Store time of each beat while a million wait and 1,000 are called a second, as the store's own log of calls has it.

    Those called do not come; their turns last longer than the case, so that no missed turn is called again.
    """
    queue = queue_of(run, 1_000_000)
    serving = queue.server.serving
    assert serving is not None
    scripts = load_scripts()
    change = [sys.executable, "-m", "waitroom", "set", ROOM, f"rate={CALLS_PER_MINUTE}", "--data", str(serving.data)]
    token = os.environ | {"WAITROOM_ADMIN__TOKEN": ADMIN_TOKEN}
    done = subprocess.run(change, capture_output=True, check=False, cwd=ROOT, env=token)
    if done.returncode:
        raise BenchError(f"the rate could not be set: {done.stderr.decode(errors='replace').strip()}")
    time.sleep(SETTLE_SECONDS)

    def called() -> int:
        with connect(queue.server) as client:
            return int(client.hget(key(ROOM, "state"), "called_total") or 0)

    def measure(name: str) -> Metrics:
        with connect(queue.server) as client:
            client.config_set("slowlog-log-slower-than", 0)
            client.config_set("slowlog-max-len", 100_000)
            client.slowlog_reset()
            before, began = called(), time.monotonic()
            time.sleep(BEAT_SECONDS)
            calls, elapsed = called() - before, time.monotonic() - began
            entries = client.slowlog_get(100_000)
            client.config_set("slowlog-log-slower-than", 10_000)

        def times_ms(verb: str) -> list[float]:
            sha = scripts[verb].digest.encode()
            return sorted(entry["duration"] / 1000 for entry in entries if sha in entry["command"][:60])

        asked, snapshots = times_ms("beat"), times_ms("snapshot")
        if not asked or not snapshots:
            raise BenchError("the store logged no beat or no snapshot")
        # Several processes beat; the first in each 100 ms does the work, to the others it is a count.
        beats = asked[-round(elapsed / PERIOD_SECONDS) :]
        return {
            "beats": len(beats),
            "calls_per_second": calls / elapsed,
            "p50_ms": percentile(beats, 0.5),
            "p99_ms": percentile(beats, 0.99),
            "max_ms": max(beats),
            "snapshots": len(snapshots),
            "snapshot_p50_ms": percentile(snapshots, 0.5),
            "snapshot_max_ms": max(snapshots),
        }

    run.each_round([MILLION], measure, rounds=1)


QUEUE_CASES: Final = (
    Case(
        "join",
        "A new visitor gets the waiting page (join, real Valkey)",
        "requests_per_second",
        (*COMMON, "queue_after"),
        join_case,
        (Target(WAITROOM, "requests_per_second", "value", 4_000, unit="/s"),),
        notes="The store shares the load's core. uvicorn's empty app stands as the yardstick of the machine.",
    ),
    Case(
        "me",
        "`/me` with 1,000 and with 1,000,000 waiting",
        "requests_per_second",
        COMMON,
        me_case,
        (
            Target(THOUSAND, "requests_per_second", "value", 5_000, unit="/s"),
            Target(MILLION, "requests_per_second", "value", 5_000, unit="/s"),
            Target(MILLION, "requests_per_second", "alike", 0.85, versus=THOUSAND),
        ),
        subject=MILLION,
        notes=f"{ASKING} visitors spread over the queue ask in turn. The store shares the load's core.",
    ),
    Case(
        "store-memory",
        "Store memory with 1,000,000 waiting (embedded Valkey)",
        "bytes_per_visitor",
        ("bytes_per_visitor", "store_used_mib", "store_resident_mib"),
        memory_case,
        (Target(MILLION, "bytes_per_visitor", "value", 110, least=False, unit="bytes"),),
        subject=MILLION,
        notes=f"The first {REAL_JOINS:,} join by the store's own verb, so that the journal is full; the others are written.",
    ),
    Case(
        "beat",
        "Beat with 1,000,000 waiting, calling 1,000/s",
        "p99_ms",
        ("beats", "calls_per_second", "p50_ms", "p99_ms", "max_ms", "snapshots", "snapshot_p50_ms", "snapshot_max_ms"),
        beat_case,
        (
            Target(MILLION, "p99_ms", "value", 5, least=False, unit="ms"),
            Target(MILLION, "snapshot_p50_ms", "value", 5, least=False, unit="ms"),
        ),
        subject=MILLION,
        notes=(
            f"Store time of the beats and of the snapshots of {BEAT_SECONDS} s, as the store's slow log has it at threshold "
            "0. Worker and admin listener both beat: the longer half is counted, because the other half finds the work done."
        ),
    ),
)
