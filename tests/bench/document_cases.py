"""The cases of the shared document: what a poll costs, and how soon a called visitor's page knows it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Final

from .cases import COMMON, Case, Run, ask, load, wrk
from .contenders import EMPTY, ROOM, WAITROOM, Server
from .figures import Metrics, Target
from .machine import BenchError, memory_mib
from .queue_cases import MILLION, queue_of

PATH: Final = f"/.waitroom/{ROOM}/queue.json"
POLL: Final = ("Host: shop.example", "Accept: */*", "Accept-Encoding: gzip, deflate, br")
CACHED: Final = "waitroom behind nginx"
STATIC: Final = "nginx, a file of that size"
NOBODY: Final = f"{WAITROOM}, nobody waiting"
PAGES, TURNS = 200, 100
"""How many pages wait, and how many of their turns come."""


def check_document(server: Server, waiting: int) -> int:
    """See that a server serves the document of a room where so many wait; return its length as it is sent."""
    status, headers, body = ask(server.url + PATH)
    document = json.loads(body)
    if status != 200 or document["waiting"] != waiting or not document["sketch"]:
        raise BenchError(f"{server.name}: status {status}, {document['waiting']} waiting")
    status, headers, body = ask(server.url + PATH, POLL)
    if ("content-encoding", "gzip") not in [(name.lower(), value) for name, value in headers]:
        raise BenchError(f"{server.name} does not send the document compressed")
    return len(body)


def document_case(run: Run) -> None:
    """The document of a million waiting, beside an app that does nothing."""
    queue = queue_of(run, 1_000_000)
    servers = {MILLION: queue.server} | run.start((EMPTY,), 9)
    length = check_document(queue.server, queue.waiting)
    run.warm_up(servers, lambda name: wrk(run, servers[name], PATH, seconds=1, fixed=POLL))

    def measure(name: str) -> Metrics:
        metrics = wrk(run, servers[name], PATH, seconds=run.effort.seconds, fixed=POLL)
        return metrics | {"body_bytes": length if name == MILLION else 100}

    run.each_round(list(servers), measure)


def cached_case(run: Run) -> None:
    """The same behind nginx as a cache, beside nginx with a file of the same size."""
    queue = queue_of(run, 1_000_000)
    length = check_document(queue.server, queue.waiting)
    file = run.stage.directory / "static" / PATH[1:]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * length)
    servers = {
        CACHED: run.stage.nginx_cache("cache", queue.server.port),
        STATIC: run.stage.nginx_static("static", run.stage.directory / "static"),
    }
    check_document(replace(servers[CACHED], name=CACHED), queue.waiting)
    run.warm_up(servers, lambda name: wrk(run, servers[name], PATH, seconds=1, fixed=POLL))
    run.each_round(list(servers), lambda name: wrk(run, servers[name], PATH, seconds=run.effort.seconds, fixed=POLL))


def memory_case(run: Run) -> None:
    """The gateway's memory with a million waiting and with none, while each serves the document."""
    servers = {NOBODY: run.stage.waitroom(9, rate=0), MILLION: queue_of(run, 1_000_000).server}

    def measure(name: str) -> Metrics:
        worker = servers[name].worker
        assert worker is not None
        wrk(run, servers[name], PATH, seconds=run.effort.seconds, fixed=POLL)
        time.sleep(2)
        return {"gateway_mib": memory_mib([worker])}

    run.each_round(list(servers), measure, rounds=1)


def turn_case(run: Run) -> None:
    """Slots become free one after another; each time the page of the next in the queue has to know soon."""
    site = run.stage.site()
    server = run.stage.waitroom(site.port, capacity=10, rate=60_000)

    def measure(_: str) -> Metrics:
        arguments = (server.port, ROOM, PAGES, TURNS)
        found = load(run, "turns", *arguments, patience_seconds=240)
        return {name: value for name, value in found.items() if name != "errors"}

    run.each_round([WAITROOM], measure, rounds=1)


DOCUMENT_CASES: Final = (
    Case(
        "queue-json",
        "`queue.json` of a million waiting",
        "requests_per_second",
        (*COMMON, "body_bytes"),
        document_case,
        (Target(MILLION, "requests_per_second", "ratio", 0.75, versus=EMPTY),),
        subject=MILLION,
        notes="Compressed with gzip, as browsers ask for it.",
    ),
    Case(
        "queue-json-cached",
        "`queue.json` behind nginx as a cache",
        "requests_per_second",
        COMMON,
        cached_case,
        (Target(CACHED, "requests_per_second", "ratio", 0.8, versus=STATIC),),
        subject=CACHED,
        notes="A million wait. nginx keeps the document for its second, and asks for the next behind the visitors' backs.",
    ),
    Case(
        "waiting-memory",
        "Gateway memory with 1,000,000 waiting",
        "gateway_mib",
        ("gateway_mib",),
        memory_case,
        (Target(MILLION, "gateway_mib", "difference", 20, least=False, versus=NOBODY, unit="MiB"),),
        subject=MILLION,
        notes="Resident memory of the worker, after it served the document.",
    ),
    Case(
        "turn-known",
        "From a freed slot to the called visitor's page knowing it",
        "p95_ms",
        ("turns", "p50_ms", "p95_ms", "max_ms", "requests_per_second"),
        turn_case,
        (Target(WAITROOM, "p95_ms", "value", 2_500, least=False, unit="ms"),),
        notes=(
            f"{PAGES} pages poll as the document tells them to, with jitter; {TURNS} times a shopper leaves and frees a slot. "
            "The request rate is that of all pages together."
        ),
    ),
)
