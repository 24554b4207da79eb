"""The supervisor's decisions: sockets, delays, words; and the embedded store's command."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from waitroom.errors import StartError
from waitroom.store import embedded
from waitroom.supervisor import Child, bind, ending, next_delay, url_of


def test_a_child_that_keeps_dying_waits_twice_as_long_each_time_up_to_five_seconds() -> None:
    delays = [0.0]
    for _ in range(8):
        delays.append(next_delay(delays[-1], lived_seconds=0.05))
    assert delays[1:] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert next_delay(5.0, lived_seconds=60) == 0.1


@pytest.mark.parametrize(("code", "words"), [(0, "exit 0"), (3, "exit 3"), (-9, "SIGKILL"), (-99, "signal 99")])
def test_an_ending_is_told_in_words(code: int, words: str) -> None:
    assert ending(code) == words


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:")],
)
def test_a_listener_has_a_url_for_this_machine(host: str, url: str) -> None:
    with bind("gateway", host, 0, "--port") as listener:
        assert url_of(listener) == f"{url}{listener.getsockname()[1]}"


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"\[gateway\] 127.0.0.1:{port}: the port is taken .* --port"):
            bind("gateway", "127.0.0.1", port, "--port")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1:0: .*give an address of this machine"):
        bind("admin", "192.0.2.1", 0, "--admin-port")
    with pytest.raises(StartError, match="give an address of this machine"):
        bind("admin", "not..a..host", 0, "--admin-port")


def test_a_port_that_is_not_allowed_says_which_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(StartError, match="choose one above 1023 with --port"):
        bind("gateway", "127.0.0.1", 80, "--port")


def test_a_child_that_is_not_there_is_not_told() -> None:
    child = Child("gateway-0", "gateway")
    child.send(b"reload\n")
    ours, theirs = socket.socketpair()
    with ours:
        child.channel = ours
        theirs.close()
        child.send(b"reload\n")


def test_the_embedded_store_keeps_every_write_and_evicts_nothing() -> None:
    arguments = embedded.arguments(Path("/d/store"), Path("/d/run/s.sock"))
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert given["--port"] == "0"
    assert (given["--appendonly"], given["--save"], given["--maxmemory-policy"]) == ("yes", "", "noeviction")
    assert embedded.url(Path("/a b/s.sock")) == "unix:///a%20b/s.sock"


def test_where_the_wheel_brings_no_server_it_says_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan9")
    with pytest.raises(StartError, match="--store redis://"):
        embedded.binary_path()


@pytest.mark.anyio
async def test_a_ping_tells_ready_loading_and_away(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "s.sock"
        assert await embedded.ping(path) == "away"
        for answer, expected in ((b"+PONG\r\n", "ready"), (b"-LOADING reads\r\n", "loading"), (b"-ERR\r\n", "away")):

            async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = answer) -> None:
                await reader.readline()
                writer.write(said)
                writer.close()

            server = await asyncio.start_unix_server(reply, path)
            async with server:
                assert await embedded.ping(path) == expected


def test_a_server_whose_supervisor_died_before_it_started_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "waitroom.store.embedded", "1", tmp_path, "/bin/false"], timeout=20, check=False
    )
    assert done.returncode == 0


def test_the_embedded_store_becomes_the_program_it_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "waitroom.store.embedded", str(os.getpid()), tmp_path, "/bin/echo", "here"],
        timeout=20,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "here\n"
