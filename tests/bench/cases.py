"""The cases of the HTTP side: what is asked, of whom, and the targets.

A case starts its contenders, measures them in turn, round after round, and returns samples. How to read a target: see
`figures.Target`.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .contenders import AIOHTTP, CHP, CONTENDERS, EMPTY, NGINX_NAME, PROXIES, ROOM, WAITROOM, Server, Stage
from .figures import Metrics, Sample, Target, interleaved
from .machine import ROOT, BenchError, Usage, free_port, memory_mib, tree, watching
from .streams import BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

CONNECTIONS: Final = 64
VISITORS: Final = 64
MOST_ERRORS: Final = 0.001
"""Share of its requests: who fails more often is not measured but failed."""
STREAMS: Final = 4
SLOW_STREAMS: Final = 8
SLOW_CONNECTIONS: Final = 1_000
SLOW_BYTES: Final = 262_144
NAVIGATION: Final = (
    "Host: shop.example",
    "Accept: text/html,application/xhtml+xml,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate, br",
    "Accept-Language: en-US,en;q=0.5",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Site: none",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
)
FETCH: Final = ("Host: shop.example", "Accept: */*")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: int


@dataclass
class Run:
    """What a case gets, and what it found."""

    stage: Stage
    lasting: Stage
    """Where servers start that several cases use; `kept` remembers them."""
    kept: dict[Any, Any]
    effort: Effort
    say: Callable[[str], None]
    samples: list[Sample] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Contender → why it was not measured."""
    failed: dict[str, str] = field(default_factory=dict)
    """Contender → how it failed while it was measured."""

    def start(self, names: Sequence[str], backend: int, **room: Any) -> dict[str, Server]:
        """Start contenders; one that cannot be had is written down as missing."""
        servers = {}
        for name in names:
            try:
                servers[name] = self.stage.start(name, backend, **room)
            except BenchError as error:
                if name == WAITROOM:
                    raise
                self.missing[name] = str(error)
                self.say(f"{name}: missing ({error})")
        return servers

    def warm_up(self, contenders: Iterable[str], measure: Callable[[str], object]) -> None:
        """Let each work for a moment before anything counts; whoever fails now has another chance when it counts."""
        for name in contenders:
            with suppress(BenchError):
                measure(name)

    def each_round(
        self, contenders: Sequence[str], measure: Callable[[str], Metrics], rounds: int | None = None
    ) -> None:
        """Measure A B C A B C …; one that fails is told and left out from then on."""
        for number, name in interleaved(contenders, rounds or self.effort.rounds):
            if name in self.failed:
                continue
            try:
                metrics = measure(name)
            except BenchError as error:
                self.failed[name] = str(error)
                self.say(f"{name}: failed ({error})")
                continue
            self.samples.append(Sample(name, number, metrics))
            shown = "  ".join(f"{key} {value:,.4g}" for key, value in metrics.items())
            self.say(f"round {number}  {name}: {shown}")


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the bench: its name for CASE=, its title, what it measures first, and what has to be reached."""

    name: str
    title: str
    main: str
    """The metric of the ratio column."""
    columns: tuple[str, ...]
    run: Callable[[Run], None]
    targets: tuple[Target, ...] = ()
    subject: str = WAITROOM
    notes: str = ""


COMMON: Final = ("requests_per_second", "p50_ms", "p99_ms", "cpu_us_per_request", "peak_mib", "busy")


# Tools of the cases.


def watch(run: Run, server: Server) -> AbstractContextManager[Usage]:
    """Watch a server on its core."""
    return watching(server.pid, run.stage.cores.server, server.worker)


def load(run: Run, module: str, *arguments: object, patience_seconds: float) -> dict[str, Any]:
    """Run one of our load programs on the load's core and return what it printed."""
    command = ["taskset", "-c", str(run.stage.cores.load), sys.executable, "-m", f"tests.bench.{module}"]
    return _json_of([*command, *map(str, arguments)], patience_seconds, module)


def _json_of(command: Sequence[str], patience_seconds: float, name: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=patience_seconds, check=False, cwd=ROOT, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{name} did not end in {patience_seconds:g} s") from None
    lines = [line.removeprefix(b"FOUND ") for line in done.stdout.splitlines() if line.startswith((b"FOUND {", b"{"))]
    if done.returncode or not lines:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise BenchError(f"{name} failed: {said[-1] if said else done.returncode}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def wrk(
    run: Run,
    server: Server,
    path: str,
    *,
    seconds: int,
    fixed: Sequence[str] = FETCH,
    cookies: Sequence[str] = (),
    delay_ms: float = 0,
    connections: int = CONNECTIONS,
) -> Metrics:
    """Ask a server for one path over kept-alive connections, and watch it meanwhile."""
    stage = run.stage
    fixed_file = stage.write("fixed-headers", "\n".join(fixed) + "\n")
    each_file = stage.write("each-cookie", "\n".join(cookies) + "\n") if cookies else "-"
    command = [
        "taskset", "-c", str(stage.cores.load), str(stage.program("wrk")), "-t1", f"-c{connections}", f"-d{seconds}s",
        "--timeout", "10s", "-s", str(ROOT / "tests/bench/load.lua"), server.url,
        "--", path, str(fixed_file), str(each_file), f"{delay_ms:.3f}",
    ]  # fmt: skip
    with watch(run, server) as usage:
        found = _json_of(command, seconds + 20, "wrk")
    if not found["requests"]:
        raise BenchError(f"{server.name} answered no request ({found['errors']} errors)")
    if found["errors"] > found["requests"] * MOST_ERRORS:
        raise BenchError(f"{found['errors']:,} of {found['requests']:,} requests to {server.name} failed")
    metrics = {
        "requests_per_second": found["requests"] / found["seconds"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "cpu_us_per_request": usage.cpu_seconds / found["requests"] * 1e6,
        "core_us": usage.worker_cpu_seconds / found["requests"] * 1e6,
        "peak_mib": usage.peak_mib,
        "busy": usage.busy,
        "foreign": usage.foreign,
    }
    if found["errors"]:
        metrics["errors"] = found["errors"]
    return metrics


def ask(url: str, headers: Sequence[str] = FETCH, cookie: str = "") -> tuple[int, list[tuple[str, str]], bytes]:
    """Make one request; return status, headers and body as it reads."""
    fields = dict(line.split(": ", 1) for line in headers) | ({"Cookie": cookie} if cookie else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=10) as answer:
            body = answer.read()
            if answer.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            return answer.status, answer.headers.items(), body
    except OSError as error:
        raise BenchError(f"{url}: {error}") from None


def passes(server: Server, count: int = VISITORS) -> list[str]:
    """Let that many visitors in, and return their cookies: fresh passes."""
    found = []
    for _ in range(count):
        _, headers, _ = ask(server.url + "/100", NAVIGATION)
        found += [
            value.partition(";")[0]
            for name, value in headers
            if name.lower() == "set-cookie" and value.startswith(f"waitroom-pass-{ROOM}=")
        ]
    if len(found) != count:
        raise BenchError("a visitor got no pass although the room has no limits")
    return found


def check_page(server: Server, path: str, cookie: str, length: int) -> None:
    """See that a server answers with the site's page, and Waitroom without asking the store: it sets no cookie."""
    status, headers, body = ask(server.url + path, FETCH, cookie)
    if status != 200 or len(body) != length or any(name.lower() == "set-cookie" for name, _ in headers):
        raise BenchError(f"{server.name}: {path} gets status {status} and {len(body)} bytes, not the site's page")


# Admitted visitors.


def get(path: str, length: int, contenders: Sequence[str]) -> Callable[[Run], None]:
    """Make the case of a small page behind a fresh pass."""

    def run_case(run: Run) -> None:
        site = run.stage.site()
        servers = run.start(contenders, site.port)
        run.warm_up(servers, lambda name: wrk(run, servers[name], path, seconds=1))

        def measure(name: str) -> Metrics:
            # The same bytes are asked of everybody: passes are made anew each time, so they are fresh.
            cookies = passes(servers[WAITROOM])
            check_page(servers[name], path, cookies[0], length)
            metrics = wrk(run, servers[name], path, seconds=run.effort.seconds, cookies=cookies)
            check_page(servers[name], path, cookies[-1], length)
            return metrics

        run.each_round(list(servers), measure)

    return run_case


def bulk(what: str) -> Callable[[Run], None]:
    """Make the case of bodies of 100 MB, `down` or `up`."""

    def run_case(run: Run) -> None:
        if what == "down":
            backend = run.stage.site().port
        else:
            backend = free_port()
            program: list[str | Path] = [sys.executable, "-m", "tests.bench.sink", str(backend)]
            run.stage.launch("sink", program, backend, run.stage.cores.load)
        servers = run.start(PROXIES, backend)
        path = "/100m" if what == "down" else "/"

        def count() -> int:
            return int(ask(f"http://127.0.0.1:{backend}/count")[2])

        idle_mib = {name: memory_mib(tree(server.pid)) for name, server in servers.items()}

        def stream(name: str, streams: int, seconds: float, pause_ms: int) -> tuple[Metrics, Usage]:
            server = servers[name]
            with watch(run, server) as usage:
                before = count() if what == "up" else 0
                arguments = (what, server.port, path, streams, seconds, pause_ms)
                found = load(run, "streams", *arguments, patience_seconds=seconds + 30)
                moved = count() - before if what == "up" else found["bytes"]
            if found["errors"]:
                raise BenchError(found["errors"][0])
            if not moved and not pause_ms:
                raise BenchError(f"nothing came through in {seconds:g} s")
            growth = max(0.0, usage.peak_mib - idle_mib[name]) / streams
            return {"bytes": moved, "seconds": found["seconds"], "growth": growth}, usage

        tried: set[str] = set()

        def measure(name: str) -> Metrics:
            slow: Metrics = {}
            if name not in tried:  # memory once taken stays, so the first time tells
                tried.add(name)
                slow, _ = stream(name, SLOW_STREAMS, 2, 50)
                slow = {"slow_growth_mib_per_stream": slow["growth"]}
            fast, usage = stream(name, STREAMS, run.effort.seconds, 0)
            return {
                "mb_per_second": fast["bytes"] / 1e6 / fast["seconds"],
                "cpu_ms_per_100_mb": usage.cpu_seconds / fast["bytes"] * BODY_BYTES * 1000,
                "core_us": usage.worker_cpu_seconds / fast["bytes"] * 1e12,
                "growth_mib_per_stream": fast["growth"],
                **slow,
                "busy": usage.busy,
                "foreign": usage.foreign,
            }

        run.each_round(list(servers), measure)

    return run_case


def slow(path: str, gateway: str) -> Callable[[Run], None]:
    """Make a case of a thousand visitors on slow lines; `gateway` is what Waitroom's configuration says beside."""

    def run_case(run: Run) -> None:
        site = run.stage.site()
        servers = run.start((WAITROOM, NGINX_NAME, "haproxy", AIOHTTP), site.port, gateway=gateway)

        def measure(name: str) -> Metrics:
            server = servers[name]
            ask(server.url + "/256k")
            with watch(run, server) as usage:
                arguments = (server.port, path, SLOW_CONNECTIONS, SLOW_BYTES)
                found = load(run, "slow", *arguments, patience_seconds=120)
            for why in found["why"]:
                run.say(f"{name}: {why}")
            return {
                "connections_served": found["requests"],
                "errors": found["errors"],
                "kb_per_connection": (usage.peak_mib - usage.before_mib) * 1_048_576 / 1000 / SLOW_CONNECTIONS,
                "cpu_ms_per_connection": usage.cpu_seconds * 1000 / SLOW_CONNECTIONS,
                "peak_mib": usage.peak_mib,
            }

        # Memory that one round took is there for the next: only a fresh process tells what a connection costs.
        run.each_round(list(servers), measure, rounds=1)

    return run_case


UVICORN_ECHO: Final = "uvicorn echo, direct"


def websocket(run: Run) -> None:
    """Messages of 64 bytes through a proxy to the same echo that is also asked directly."""
    stage = run.stage
    behind = stage.uvicorn("echo behind", "echo", free_port(), stage.cores.load)
    servers = {UVICORN_ECHO: stage.uvicorn(UVICORN_ECHO, "echo", free_port(), stage.cores.server)}
    servers |= run.start((WAITROOM, NGINX_NAME, "haproxy", "caddy", "traefik", CHP), behind.port, mode="off")

    def measure(name: str) -> Metrics:
        server = servers[name]
        with watch(run, server) as usage:
            found = load(run, "echoes", server.port, CONNECTIONS, run.effort.seconds, patience_seconds=60)
        if not found["requests"]:
            raise BenchError("no message came back")
        metrics = {
            "messages_per_second": found["requests"] / found["seconds"],
            "p50_ms": found["p50_ms"],
            "p99_ms": found["p99_ms"],
            "cpu_us_per_message": usage.cpu_seconds / found["requests"] * 1e6,
            "core_us": usage.worker_cpu_seconds / found["requests"] * 1e6,
            "peak_mib": usage.peak_mib,
            "busy": usage.busy,
            "foreign": usage.foreign,
        }
        if found["errors"]:
            metrics["errors"] = found["errors"]
        return metrics

    run.each_round(list(servers), measure)


DIRECT: Final = "the site, direct"


def latency(run: Run) -> None:
    """What Waitroom adds when it has half to do: its maximum is measured first, then everybody gets half of that."""
    site = run.stage.site()
    servers = {DIRECT: site} | run.start((WAITROOM, NGINX_NAME, "haproxy"), site.port)
    cookies = passes(servers[WAITROOM])
    most = wrk(run, servers[WAITROOM], "/100", seconds=max(2, run.effort.seconds), cookies=cookies)
    half = most["requests_per_second"] / 2
    run.say(f"half of the maximum: {half:,.0f} requests/s")

    def measure(name: str) -> Metrics:
        cookies = passes(servers[WAITROOM])
        pause_ms = CONNECTIONS / half * 1000
        for _ in range(3):  # a pause is counted from an answer, so the answer's time has to come off it
            metrics = wrk(
                run, servers[name], "/100", seconds=run.effort.seconds, cookies=cookies, delay_ms=max(0.1, pause_ms)
            )
            off = metrics["requests_per_second"] / half
            if 0.95 < off < 1.05:
                break
            pause_ms += CONNECTIONS / half * 1000 - CONNECTIONS / metrics["requests_per_second"] * 1000
        return metrics

    run.each_round(list(servers), measure)


PACKAGED: Final = ("asgi-proxy-lib", "fastapi-proxy-lib")


def _at_least(metric: str, bounds: dict[str, float]) -> tuple[Target, ...]:
    return tuple(Target(WAITROOM, metric, "ratio", bound, versus=versus) for versus, bound in bounds.items())


def _growth() -> tuple[Target, ...]:
    return tuple(
        Target(WAITROOM, metric, "value", 2, least=False, unit="MiB")
        for metric in ("growth_mib_per_stream", "slow_growth_mib_per_stream")
    )


BULK_COLUMNS: Final = (
    "mb_per_second", "cpu_ms_per_100_mb", "growth_mib_per_stream", "slow_growth_mib_per_stream", "busy",
)  # fmt: skip

SLOW_COLUMNS: Final = ("connections_served", "errors", "kb_per_connection", "cpu_ms_per_connection", "peak_mib")
SLOW_TARGETS: Final = (
    Target(WAITROOM, "errors", "value", 0, least=False),
    Target(WAITROOM, "kb_per_connection", "value", 40, least=False, unit="kB"),
)

HTTP_CASES: Final = (
    Case(
        "get-100",
        "Admitted GET, 100 B body, fresh pass",
        "requests_per_second",
        COMMON,
        get("/100", 100, (WAITROOM, *CONTENDERS)),
        _at_least(
            "requests_per_second",
            {EMPTY: 0.45, NGINX_NAME: 0.25, AIOHTTP: 2.5, **dict.fromkeys(PACKAGED, 10.0), CHP: 1.0},
        ),
        notes=f"{CONNECTIONS} kept-alive connections of {VISITORS} visitors.",
    ),
    Case(
        "get-16k",
        "Admitted GET, 16 kB body, fresh pass",
        "requests_per_second",
        COMMON,
        get("/16k", 16_384, PROXIES),
        _at_least("requests_per_second", {NGINX_NAME: 0.4}),
        notes=f"{CONNECTIONS} kept-alive connections of {VISITORS} visitors.",
    ),
    Case(
        "download",
        "100 MB download",
        "mb_per_second",
        BULK_COLUMNS,
        bulk("down"),
        (*_at_least("mb_per_second", {NGINX_NAME: 0.5}), *_growth()),
        notes=f"{STREAMS} streams as fast as they go; memory also with {SLOW_STREAMS} slow readers (64 kB, then 50 ms rest).",
    ),
    Case(
        "upload",
        "100 MB upload",
        "mb_per_second",
        BULK_COLUMNS,
        bulk("up"),
        (*_at_least("mb_per_second", {NGINX_NAME: 0.5}), *_growth()),
        notes=(
            f"{STREAMS} streams as fast as they go, counted where they arrive; "
            f"memory also with {SLOW_STREAMS} slow senders (64 kB, then 50 ms rest)."
        ),
    ),
    Case(
        "slow",
        f"{SLOW_CONNECTIONS:,} connections, each slow",
        "kb_per_connection",
        SLOW_COLUMNS,
        slow("/256k", ""),
        SLOW_TARGETS,
        notes=(
            f"Each sends its head over two seconds and reads {SLOW_BYTES // 1024} kB at 32 kB/s. One round: memory "
            "that a process has once taken is there for the next."
        ),
    ),
    Case(
        "slow-full",
        f"{SLOW_CONNECTIONS:,} connections, each slow, with more behind than the kernel takes",
        "kb_per_connection",
        SLOW_COLUMNS,
        slow("/100m", f"pool_size = {SLOW_CONNECTIONS + 100}"),
        SLOW_TARGETS,
        notes=(
            "The same, of a body of 100 MB: every buffer on the way is full all the time. The site gives each of them a "
            f"connection for as long (`gateway.pool_size = {SLOW_CONNECTIONS + 100}`)."
        ),
    ),
    Case(
        "websocket",
        "WebSocket echo, 64 B messages",
        "messages_per_second",
        ("messages_per_second", "p50_ms", "p99_ms", "cpu_us_per_message", "peak_mib", "busy"),
        websocket,
        _at_least("messages_per_second", {UVICORN_ECHO: 0.5}),
        notes=f"{CONNECTIONS} connections, one message in flight on each. Proxied, the echo shares the load's core.",
    ),
    Case(
        "latency",
        "Added latency at half of Waitroom's maximum load",
        "p50_ms",
        COMMON,
        latency,
        (
            Target(WAITROOM, "p50_ms", "difference", 0.6, least=False, versus=DIRECT, unit="ms"),
            Target(WAITROOM, "p99_ms", "difference", 4, least=False, versus=DIRECT, unit="ms"),
        ),
        notes=f"{CONNECTIONS} connections that pause between requests, so that all get the same load.",
    ),
)
