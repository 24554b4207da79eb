"""The supervisor with real processes: what dies comes back, what ends ends whole, and nothing is left behind."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.journey

T = TypeVar("T")
PATIENCE_SECONDS = 90.0
GOODS = "shoes and socks"
PERSON = {"accept": "text/html", "sec-fetch-mode": "navigate"}


class Shop(BaseHTTPRequestHandler):
    """The site behind: `/slow` takes a second, `/slowest` fifteen."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/slow"):
            assert isinstance(self.server, ShopServer)
            self.server.slow_asked.set()
            time.sleep(1 if self.path == "/slow" else 15)
        body = GOODS.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class ShopServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Shop)
        self.slow_asked = threading.Event()
        """A slow page has been asked for."""

    def handle_error(self, *_: Any) -> None:
        """A gateway that was killed while the shop answered is what the tests are about."""


@pytest.fixture(scope="module")
def shop_server() -> Iterator[ShopServer]:
    server = ShopServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shop(shop_server: ShopServer) -> str:
    shop_server.slow_asked.clear()
    return f"http://127.0.0.1:{shop_server.server_port}"


def wait_for(what: str, check: Callable[[], T]) -> T:
    """Return what `check` returns, as soon as that is true."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        with suppress(OSError, ValueError, http.client.HTTPException):
            if found := check():
                return found
        time.sleep(0.03)
    pytest.fail(f"waited {PATIENCE_SECONDS:g} s for: {what}")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Run:
    """One `waitroom serve`."""

    def __init__(self, directory: Path, shop: str, *, rooms: str = "rate = 6000", **sections: str) -> None:
        self.data = directory / "data"
        self.config = directory / "waitroom.toml"
        self.shop = shop
        self.sections = sections
        self.write(rooms)
        self.errors = directory / "stderr"

    def write(self, rooms: str, *, port: int = 0) -> None:
        gateway = self.sections.get("gateway", "drain_seconds = 5")
        self.config.write_text(
            f'data = "{self.data}"\n[gateway]\nbackend = "{self.shop}"\nport = {port}\n{gateway}\n'
            f'[admin]\nport = 0\n[store]\ndeadline_ms = 5000\n[log]\nformat = "json"\n[[rooms]]\nname = "drop"\n{rooms}\n'
        )

    def start(self) -> None:
        with self.errors.open("ab") as stream:
            self.process = subprocess.Popen([sys.executable, "-m", "waitroom", "serve", self.config], stderr=stream)

    def wait_ready(self) -> None:
        wait_for(
            "both listeners", lambda: all(self.said(one)["pid"] == self.process.pid for one in ("gateway", "admin"))
        )

    def said(self, listener: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads((self.data / "run" / f"{listener}.json").read_text())
        return said

    def url(self, listener: str) -> str:
        return str(self.said(listener)["url"])

    def get(self, path: str, headers: dict[str, str] | None = None, *, listener: str = "gateway") -> tuple[int, str]:
        request = urllib.request.Request(self.url(listener) + path, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def api(self, path: str, changes: dict[str, Any] | None = None) -> Any:
        token = (self.data / "admin-token").read_text().strip()
        request = urllib.request.Request(
            self.url("admin") + "/api/v1" + path,
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
            method="GET" if changes is None else "PATCH",
            data=None if changes is None else json.dumps({"changes": changes}).encode(),
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def metric(self, series: str) -> float:
        for line in self.get("/metrics", listener="admin")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return 0.0

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors.read_text().splitlines() if line.startswith("{")]

    def event(self, name: str, **fields: Any) -> dict[str, Any] | None:
        for event in self.events:
            if event["event"] == name and fields.items() <= event.items():
                return event
        return None

    def children(self) -> dict[str, int]:
        """The pids of the supervisor's children, by what they are."""
        found = {}
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in map(int, pids):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            role = words[words.index("waitroom.worker") + 1] if "waitroom.worker" in words else "store"
            found[role if role not in found else f"{role}-{pid}"] = pid
        return found

    def starts_in_vain(self) -> int:
        """Start it and return with what it ends."""
        self.start()
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            self.end()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process.poll() is not None:
            return
        children = self.children().values()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        wait_for("children to end", lambda: not any(map(alive, children)))


@contextmanager
def running(directory: Path, shop: str, **options: str) -> Iterator[Run]:
    run = Run(directory, shop, **options)
    run.start()
    try:
        run.wait_ready()
        yield run
    except BaseException:
        sys.stderr.write(run.errors.read_text())
        raise
    finally:
        run.end()


def test_on_sigterm_what_is_in_flight_is_finished_and_nothing_stays(
    tmp_path: Path, shop: str, shop_server: ShopServer
) -> None:
    with running(tmp_path, shop, gateway="workers = 2\ndrain_seconds = 5") as run:
        assert run.get("/", PERSON) == (200, GOODS)
        assert wait_for("ready", lambda: run.get("/.waitroom/readyz")[0] == 200)
        wait_for("two workers", lambda: run.metric('waitroom_processes{role="gateway"}') == 2)
        children = run.children()
        assert len(children) == 4
        answers: list[tuple[int, str]] = []
        visitor = threading.Thread(target=lambda: answers.append(run.get("/slow", PERSON)))
        visitor.start()
        assert shop_server.slow_asked.wait(PATIENCE_SECONDS)
        assert run.stop() == 0
        visitor.join()
        assert answers == [(200, GOODS)]
        assert not any(map(alive, children.values()))
        assert not (run.data / "run").exists()
        assert run.event("stopped", clean=True)


def test_a_killed_worker_comes_back_and_no_visitor_notices(tmp_path: Path, shop: str) -> None:
    entered = 'waitroom_requests_total{outcome="admitted",room="drop"}'
    with running(tmp_path, shop) as run:
        assert run.get("/", PERSON)[0] == 200
        wait_for("the beat to write it down", lambda: run.metric(entered) == 1)
        killed = run.children()["gateway"]
        os.kill(killed, signal.SIGKILL)
        assert run.get("/", PERSON) == (200, GOODS)  # it waited in the backlog of the socket
        died = run.event("child_died", child="gateway-0")
        assert died is not None
        assert (died["process"], died["how"]) == (killed, "SIGKILL")
        assert run.metric('waitroom_child_restarts_total{child="gateway"}') == 1
        wait_for("both workers' counts", lambda: run.metric(entered) == 2)
        assert run.stop() == 0


def test_a_killed_store_comes_back_with_its_memory(tmp_path: Path, shop: str) -> None:
    with running(tmp_path, shop, rooms="rate = 0") as run:
        for _ in range(3):
            assert GOODS not in run.get("/", PERSON)[1]
        before = run.api("/rooms/drop")["census"]
        assert before["waiting"] == 3
        time.sleep(1.2)  # the append-only file is synced each second
        os.kill(run.children()["store"], signal.SIGKILL)
        wait_for("the store again", lambda: run.event("child_died", child="store") and run.children().get("store"))
        after = wait_for("its memory", lambda: run.api("/rooms/drop")["store_available"] and run.api("/rooms/drop"))
        assert after["census"]["waiting"] == 3
        assert after["census"]["generation"] == before["generation"]
        assert run.stop() == 0


def test_sighup_takes_over_a_good_file_and_keeps_the_old_for_a_bad_one(tmp_path: Path, shop: str) -> None:
    with running(tmp_path, shop) as run:
        run.write("rate = 1200")
        run.process.send_signal(signal.SIGHUP)
        wait_for("the new rate", lambda: run.api("/rooms/drop")["room"]["rate"] == 1200)

        run.write('rate = "many"\ncapacty = 5')
        run.process.send_signal(signal.SIGHUP)
        wait_for("the refusal", lambda: run.event("configuration_kept", mistakes=2))
        assert run.event("mistake", where=f"{run.config}:14")
        assert run.metric("waitroom_config_last_reload_success") == 0
        assert run.api("/rooms/drop")["room"]["rate"] == 1200
        assert run.get("/", PERSON) == (200, GOODS)

        run.write('rate = 60\n[[rooms]]\nname = "vip"\nmatch = ["/vip*"]', port=1)
        run.process.send_signal(signal.SIGHUP)
        wait_for("the new room", lambda: [room["name"] for room in run.api("/rooms")["rooms"]] == ["drop", "vip"])
        assert run.metric("waitroom_config_last_reload_success") == 1
        assert run.event("restart_needed", settings="gateway.port")
        assert run.get("/", PERSON)[0] == 200

        run.api("/rooms/drop", {"refresh_seconds": 500})
        run.write("session_seconds = 300")
        run.process.send_signal(signal.SIGHUP)
        refusal = wait_for("what contradicts a live change to be refused", lambda: run.event("seed_refused"))
        assert refusal is not None
        assert "refresh_seconds (500) must not exceed session_seconds (300)" in refusal["reason"]
        wait_for("a child that knows of the change to say so", lambda: run.event("room_unreadable", room="drop"))
        assert run.get("/", PERSON)[0] == 200


def test_what_is_taken_is_told_and_ends_the_start_with_one(tmp_path: Path, shop: str) -> None:
    with running(tmp_path, shop) as run:
        second = Run(tmp_path, shop)
        second.errors = tmp_path / "second"
        assert second.starts_in_vain() == 1
        refusal = second.event("cannot_start")
        assert refusal is not None
        assert f"in use by process {run.process.pid}" in refusal["reason"]

        (tmp_path / "third").mkdir()
        third = Run(tmp_path / "third", shop)
        port = urlsplit(run.url("gateway")).port
        assert port is not None
        third.write("rate = 1", port=port)
        assert third.starts_in_vain() == 1
        refusal = third.event("cannot_start")
        assert refusal is not None
        assert f":{port}: the port is taken" in refusal["reason"]
        assert not (third.data / "run").exists()
        assert run.get("/", PERSON)[0] == 200


def test_a_killed_supervisor_leaves_no_process_and_the_next_one_starts_at_once(tmp_path: Path, shop: str) -> None:
    with running(tmp_path, shop, rooms="rate = 0") as run:
        run.get("/", PERSON)
        children = run.children()
        assert set(children) == {"store", "admin", "gateway"}
        run.process.kill()
        run.process.wait()
        run.start()
        run.wait_ready()
        wait_for("the old children to end", lambda: not any(map(alive, children.values())))
        assert run.api("/rooms/drop")["census"]["waiting"] == 1
        assert run.stop() == 0


def test_a_second_signal_stops_at_once(tmp_path: Path, shop: str, shop_server: ShopServer) -> None:
    with running(tmp_path, shop, gateway="drain_seconds = 60") as run:
        url = urlsplit(run.url("gateway"))
        children = run.children()
        with socket.create_connection((url.hostname, url.port)) as stuck:
            stuck.sendall(b"GET /slowest HTTP/1.1\r\nHost: shop\r\nAccept: text/html\r\n\r\n")
            assert shop_server.slow_asked.wait(PATIENCE_SECONDS)
            run.process.send_signal(signal.SIGTERM)
            wait_for("the first signal to be heard", lambda: run.event("stopping"))
            time.sleep(0.7)  # what comes within half a second is the same signal
            assert run.process.poll() is None
            began = time.monotonic()
            run.process.send_signal(signal.SIGTERM)
            assert run.process.wait(PATIENCE_SECONDS) == 1
            assert time.monotonic() - began < 10
        assert not any(map(alive, children.values()))


def test_a_terminal_that_is_closed_ends_it(tmp_path: Path, shop: str) -> None:
    run = Run(tmp_path, shop)
    screen, terminal = os.openpty()
    run.process = subprocess.Popen(
        [sys.executable, "-m", "waitroom", "serve", run.config], stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    try:
        run.wait_ready()
        children = run.children()
        os.close(screen)
        run.process.send_signal(signal.SIGHUP)
        run.process.wait(PATIENCE_SECONDS)
        assert not any(map(alive, children.values()))
    finally:
        run.end()


def test_before_the_store_has_read_its_file_nobody_is_served_and_it_can_be_stopped(tmp_path: Path, shop: str) -> None:
    run = Run(tmp_path, shop)
    (run.data / "store").mkdir(parents=True)
    with (run.data / "store" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a store does that still writes
        run.start()
        try:
            wait_for("patience", lambda: run.event("store_starting", state="does not answer yet"))
            assert list(run.children()) == ["store"]
            assert run.stop() == 0
        finally:
            run.end()
