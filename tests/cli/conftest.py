"""A scripted admin listener, and the command line run in this process."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.cli import main
from waitroom.domain.room import Mode, Room
from waitroom.domain.visit import Census

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "the-token-of-the-tests"


def census(**counts: int) -> dict[str, Any]:
    everything: dict[str, Any] = dict.fromkeys(Census.__dataclass_fields__, 0)
    return everything | {"mode": "on", "generation": "g"} | counts


def state(name: str = "shop", *, live: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A room as the admin API tells it."""
    room = Room.model_validate({"name": name, "rate": 600, "capacity": 300} | (live or {}))
    whole: dict[str, Any] = {
        "name": name,
        "version": 3,
        "mode": room.mode.value,
        "room": room.model_dump(mode="json"),
        "live": live or {},
        "census": census(waiting=12, called=3, missed=1, active=250, entries=590),
        "limiting": "rate",
        "store_available": True,
    }
    return whole | changes


@dataclass
class Listener:
    """Answers as the admin listener would; `answers` wins over what it would say itself."""

    rooms: dict[str, dict[str, Any]] = field(default_factory=lambda: {"shop": state()})
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""

    def problem(self, status: int, detail: str, **more: Any) -> tuple[int, bytes]:
        return status, json.dumps(
            {"type": "about:blank", "title": "T", "status": status, "detail": detail} | more
        ).encode()

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
        self.seen.append((method, path, headers, body))
        if self.answers:
            return self.answers.pop(0)
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return self.problem(401, "send the token")
        _, _, _, _, *rest = path.split("/")
        if not rest:
            return 200, json.dumps({"rooms": list(self.rooms.values())}).encode()
        room = self.rooms.get(rest[0])
        if room is None:
            return self.problem(404, "There is no room of that name.")
        if method == "PATCH":
            changes = {key: 600 if value == "file" else value for key, value in body["changes"].items()}
            room = state(rest[0], live=changes, version=room["version"] + 1)
        elif method == "POST":
            mode = {"pause": Mode.PAUSED, "close": Mode.CLOSED}.get(rest[1], Mode.ON)
            room = room | {"mode": mode.value}
        self.rooms[rest[0]] = room
        return 200, json.dumps(room).encode()


@pytest.fixture
def listener() -> Iterator[Listener]:
    script = Listener()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = script.answer(self.command, self.path, headers, json.loads(body) if body else None)
            self.send_response(status)
            if status == 302:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815  # the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield script
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command in an empty directory; keywords are environment variables."""
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: str, **environ: str) -> Ended:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            code = main(arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run_it


@pytest.fixture
def ask(run: Callable[..., Ended], listener: Listener) -> Callable[..., Ended]:
    """Run a command against the scripted listener, with its token."""
    return lambda *arguments: run(*arguments, WAITROOM_ADMIN_URL=listener.url, WAITROOM_ADMIN__TOKEN=TOKEN)
