"""Commands that need no running Waitroom, and the command line as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click
import pytest

from waitroom import __version__
from waitroom.cli import COMMANDS, main, waitroom
from waitroom.cli.outcome import EXIT_CODES, Exit
from waitroom.errors import StartError
from waitroom.settings import FLAGS, LIMIT_FLAGS, ROWS, flag_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., Any]


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "waitroom", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **options,
    )


# -- the command line as a whole ---------------------------------------------------------------------------


def test_the_version_is_told_without_loading_what_it_does_not_need() -> None:
    script = (
        "import sys; from waitroom.cli import main; code = main(['--version']);"
        "heavy = {'pydantic', 'redis', 'uvicorn', 'rich', 'starlette'} & set(sys.modules); sys.exit(code or heavy or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"waitroom {__version__}\n", "")


def test_a_health_check_does_not_pay_for_the_models() -> None:
    script = (
        "import sys; from waitroom.cli import main; main(['healthcheck', '--url', 'http://127.0.0.1:1']);"
        "sys.exit({'pydantic', 'redis', 'uvicorn', 'rich'} & set(sys.modules) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr


def test_help_names_every_command_and_exit_code(run: Run) -> None:
    out = run("--help").out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert all(f"{code.value:>3}  {words}" in out for code, words in EXIT_CODES.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run: Run, name: str) -> None:
    ended = run(name, "--help")
    assert ended.code == Exit.FINE
    assert ended.out.startswith(f"Usage: waitroom {name}")


def test_help_of_serve_tells_variable_and_default_of_every_option(run: Run) -> None:
    out = " ".join(run("serve", "--help").out.split())
    variables = {**{parameter: ROWS[name].environment for parameter, name in FLAGS.items()}, **LIMIT_FLAGS}
    for parameter, variable in variables.items():
        assert flag_text(parameter) in out
        assert f"[env: {variable}; default: " in out
    serve = waitroom.get_command(click.Context(waitroom), "serve")
    assert serve is not None
    assert {parameter.name for parameter in serve.params} == {"config", *variables}


@pytest.mark.parametrize("wrong", ["chek", "Serve", "paus"])
def test_an_unknown_command_is_told_with_the_one_it_was_meant_to_be(run: Run, wrong: str) -> None:
    ended = run(wrong)
    assert ended.code == Exit.USAGE
    assert "Did you mean" in ended.err


def test_an_unknown_option_is_a_usage_error(run: Run) -> None:
    assert run("serve", "--prot", "1").code == Exit.USAGE
    assert run("--nothing").code == Exit.USAGE


def test_no_command_shows_help(run: Run) -> None:
    ended = run()
    assert "Commands:" in ended.out + ended.err


@pytest.mark.parametrize("arguments", [("config", "show"), ("keys", "new"), ("config", "show", "--json"), ("--help",)])
def test_a_reader_who_leaves_ends_a_command_quietly(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [sys.executable, "-m", "waitroom", *arguments], stdout=write, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(write)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == Exit.FAILED
    assert "Traceback" not in errors
    assert "Exception" not in errors


def test_ctrl_c_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("waitroom.configuration.load", interrupted)
    ended = run("config", "show")
    assert (ended.code, ended.err.strip()) == (Exit.INTERRUPTED, "")


# -- serve -------------------------------------------------------------------------------------------------


def test_serve_hands_over_a_loader_that_reads_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []

    def supervise(load: Callable[[], Any]) -> int:
        ports.append(load().settings.gateway.port)
        Path("waitroom.toml").write_text("[gateway]\nport = 2\n")
        ports.append(load().settings.gateway.port)
        return 0

    monkeypatch.setattr("waitroom.supervisor.run", supervise)
    Path("waitroom.toml").write_text("[gateway]\nport = 1\n")
    assert run("serve", "--backend", "http://b").code == Exit.FINE
    assert ports == [1, 2]


def test_serve_tells_every_mistake(run: Run) -> None:
    ended = run("serve", "--port", "x", "--workers", "0")
    assert ended.code == Exit.USAGE
    assert ended.out == ""
    assert ended.err.splitlines() == [
        "waitroom: 3 mistakes in the configuration:",
        "  flag --port: gateway.port: cannot be 'x' (a whole number from 0 to 65535)",
        "  flag --workers: gateway.workers: cannot be 0 (a whole number from 1 to 256)",
        (
            "  settings: gateway.backend: the site behind is not set "
            "(--backend http://127.0.0.1:9000, WAITROOM_GATEWAY__BACKEND, or `backend` in [gateway])"
        ),
    ]


def test_what_cannot_start_is_told_in_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def supervise(load: Callable[[], Any]) -> int:
        raise StartError("port 8080 is taken")

    monkeypatch.setattr("waitroom.supervisor.run", supervise)
    ended = run("serve", "--backend", "http://b")
    assert (ended.code, ended.err) == (Exit.FAILED, "waitroom: port 8080 is taken\n")


# -- check -------------------------------------------------------------------------------------------------

GOOD = """
[gateway]
backend = "http://127.0.0.1:9000"
workers = 2
[store]
url = "redis://u:hush@h"
[keys]
signing = ["0123456789abcdef0123456789abcdef"]
[[rooms]]
name = "shop"
rate = 600
[[rooms]]
name = "open"
match = ["/open*"]
"""


def test_check_says_what_a_good_configuration_means(run: Run) -> None:
    Path("w.toml").write_text(GOOD)
    ended = run("check", "w.toml")
    assert ended.code == Exit.FINE
    assert "w.toml is fine." in ended.out
    assert "127.0.0.1:8080, 2 workers" in ended.out
    assert "Neither rate nor capacity, so nobody waits: open." in ended.out
    assert "hush" not in ended.out
    assert "1 given, the first signs" in ended.out


def test_check_in_json(run: Run) -> None:
    Path("w.toml").write_text(GOOD)
    document = run("check", "w.toml", "--json").json
    assert (document["ok"], document["config"], document["mistakes"]) == (True, "w.toml", [])
    assert [room["name"] for room in document["rooms"]] == ["shop", "open"]


def test_check_tells_mistakes_and_ends_with_2(run: Run) -> None:
    Path("waitroom.toml").write_text('[gateway]\nbackend = "x"\n')
    ended = run("check")
    assert ended.code == Exit.USAGE
    assert ended.err.splitlines() == [
        "waitroom: one mistake in the configuration:",
        "  waitroom.toml:2: gateway.backend: the backend is 'http://host:port' or 'https://host:port'",
    ]
    ended = run("check", "--json")
    assert ended.code == Exit.USAGE
    assert ended.json["mistakes"] == [
        {
            "where": "waitroom.toml:2",
            "what": "gateway.backend: the backend is 'http://host:port' or 'https://host:port'",
            "allowed": "",
        }
    ]


def test_check_of_nothing_is_a_usage_error(run: Run) -> None:
    ended = run("check")
    assert ended.code == Exit.USAGE
    assert "there is no waitroom.toml here" in ended.err


def test_check_of_embedded_defaults(run: Run) -> None:
    Path("w.toml").write_text('[gateway]\nbackend = "http://b"\n[[rooms]]\nname = "a"\ncapacity = 5\n')
    out = run("check", "w.toml").out
    assert "embedded" in out
    assert "1 worker " in out
    assert "nobody waits" not in out


# -- keys, demo --------------------------------------------------------------------------------------------


def test_a_new_key_is_fresh_and_long_enough_to_be_taken(run: Run) -> None:
    first, second = run("keys", "new"), run("keys", "new")
    key = first.out.strip()
    assert key != second.out.strip()
    assert len(key) == 43
    assert "\n" not in key
    assert "[keys] signing" in first.err
    assert run("config", "show", WAITROOM_KEYS__SIGNING=key).code == Exit.FINE


def test_demo_passes_its_options_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run_module = pytest.importorskip("waitroom.demo.run")
    given: dict[str, Any] = {}

    def show(**options: Any) -> int:
        given.update(options)
        return 1

    monkeypatch.setattr(run_module, "main", show)
    ended = run(
        "demo", "--unprotected", "--shoppers", "5", "--seconds", "2", "--rate", "7", "--seed", "3", "--json", "-"
    )
    assert ended.code == Exit.FAILED
    assert given == {
        "unprotected": True,
        "stay": False,
        "shoppers": 5,
        "arrive_seconds": 2.0,
        "rate": 7,
        "capacity": 60,
        "seed": 3,
        "json_path": "-",
    }


# -- healthcheck -------------------------------------------------------------------------------------------


class Gateway(HTTPServer):
    answer: tuple[int, bytes] = (200, b"{}")
    asked = ""


class GatewayHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Gateway)
        self.server.asked = self.path
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(("127.0.0.1", 0), GatewayHandler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_ready_gateway_is_healthy(run: Run, gateway: Gateway) -> None:
    ended = run("healthcheck", "--url", f"http://127.0.0.1:{gateway.server_port}")
    assert (ended.code, ended.out) == (Exit.FINE, "ready\n")
    assert gateway.asked == "/.waitroom/readyz"


def test_the_gateway_is_found_by_run_file_or_settings(run: Run, gateway: Gateway) -> None:
    environ = {"WAITROOM_GATEWAY__PORT": str(gateway.server_port), "WAITROOM_GATEWAY__HOST": "0.0.0.0"}
    assert run("healthcheck", **environ).code == Exit.FINE
    Path("waitroom.toml").write_text('[gateway]\nport = 1\nprefix = "/.queue"\n')
    Path("waitroom-data/run").mkdir(parents=True)
    url = f"http://127.0.0.1:{gateway.server_port}/"
    Path("waitroom-data/run/gateway.json").write_text(json.dumps({"url": url}))
    assert run("healthcheck").code == Exit.FINE
    assert gateway.asked == "/.queue/readyz"


def test_a_path_in_the_url_is_asked_as_it_is(run: Run, gateway: Gateway) -> None:
    assert run("healthcheck", "--url", f"http://127.0.0.1:{gateway.server_port}/livez").code == Exit.FINE
    assert gateway.asked == "/livez"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"reasons": ["store away", "no rooms"]}', ": store away; no rooms"),
        (b'{"detail": "draining"}', ": draining"),
        (b"[]", ""),
        (b"<html>", ""),
    ],
)
def test_a_gateway_that_is_not_ready_says_why(run: Run, gateway: Gateway, body: bytes, words: str) -> None:
    gateway.answer = (503, body)
    url = f"http://127.0.0.1:{gateway.server_port}"
    ended = run("healthcheck", "--url", url)
    assert (ended.code, ended.err) == (Exit.FAILED, f"waitroom: not ready: {url} answers 503{words}\n")


def test_a_gateway_that_is_not_there_is_not_ready(run: Run, gateway: Gateway) -> None:
    ended = run("healthcheck", "--url", "http://[::1]:1")
    assert ended.code == Exit.FAILED
    assert "cannot be reached" in ended.err
    assert run("healthcheck", "--url", "shop.example").code == Exit.USAGE


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["waitroom", "--version"])
    assert main() == Exit.FINE
    assert capsys.readouterr().out == f"waitroom {__version__}\n"


def test_python_dash_m_is_the_command_line() -> None:
    assert command("--version").stdout == f"waitroom {__version__}\n"
    assert command("check", "/nonexistent.toml").returncode == Exit.USAGE


def test_check_online_says_what_the_store_is(run: Run, valkey_url: str) -> None:
    Path("w.toml").write_text(GOOD.replace("redis://u:hush@h", valkey_url))
    ended = run("check", "w.toml", "--online")
    assert ended.code == Exit.FINE
    assert "The store is Valkey " in ended.out
    assert "set appendonly yes" in " ".join(ended.out.split())
    document = run("check", "w.toml", "--online", "--json").json
    assert document["ok"] is True
    assert document["store"]["refusals"] == []


def test_check_online_fails_where_no_store_answers_and_shows_no_password(run: Run) -> None:
    Path("w.toml").write_text(GOOD.replace("redis://u:hush@h", "redis://u:hush@127.0.0.1:1"))
    ended = run("check", "w.toml", "--online")
    assert ended.code == Exit.FAILED
    assert "waitroom: the store cannot be used: it does not answer: the store at 127.0.0.1:1" in ended.err
    assert "hush" not in ended.out + ended.err


def test_check_online_needs_no_embedded_store(run: Run) -> None:
    Path("w.toml").write_text(GOOD.replace("redis://u:hush@h", "embedded"))
    ended = run("check", "w.toml", "--online")
    assert ended.code == Exit.FINE
    assert "The store is the embedded one" in ended.out
