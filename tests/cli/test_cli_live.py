"""The commands against a Waitroom that really runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.cli.outcome import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., Any]

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The data directory of a running Waitroom with two rooms."""
    place: Path = tmp_path_factory.mktemp("live")
    (place / "w.toml").write_text(
        '[gateway]\nbackend = "http://127.0.0.1:9"\nport = 0\n[admin]\nport = 0\n[log]\nformat = "json"\n'
        '[[rooms]]\nname = "shop"\nrate = 600\n[[rooms]]\nname = "drop"\nmatch = ["/drop*"]\n'
    )
    arguments = [sys.executable, "-m", "waitroom", "serve", str(place / "w.toml"), "--data", str(place / "data")]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        listening = 0
        while listening < 2 and (line := process.stderr.readline()):
            said.append(line)
            listening += '"event": "listening"' in line
        try:
            assert listening == 2, "".join(said)
            yield str(place / "data")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def test_an_operator_can_do_a_sale_from_the_command_line(run: Run, data: str) -> None:
    assert run("healthcheck", "--data", data).out == "ready\n"
    assert [state["name"] for state in run("rooms", "--json", "--data", data).json["rooms"]] == ["shop", "drop"]
    assert run("set", "shop", "rate=900", "capacity=50", "--data", data).out == (
        "shop: rate 600 → 900\nshop: capacity none → 50\n"
    )
    assert run("pause", "shop", "--reason", "too slow", "--data", data).out == "shop: on → paused\n"
    assert run("open", "shop", "--data", data).code == Exit.REFUSED
    assert run("resume", "shop", "--data", data).out == "shop: paused → on\n"
    assert run("close", "drop", "--data", data).out == "drop: on → closed\n"
    assert run("set", "shop", "rate=file", "--data", data).out == "shop: rate 900 → 600 (as in the file)\n"
    state = run("status", "--json", "--data", data).json["rooms"][0]
    assert (state["room"]["rate"], state["room"]["capacity"]) == (600, 50)
    assert "drop" in run("status", "--data", data).out


def test_what_the_listener_refuses_is_told_in_words(run: Run, data: str) -> None:
    ended = run("set", "shop", "refresh_seconds=3000", "--data", data)
    assert ended.code == Exit.REFUSED
    assert "refresh_seconds" in ended.err
    ended = run("pause", "shpo", "--data", data)
    assert (ended.code, ended.err) == (Exit.REFUSED, "waitroom: there is no room 'shpo'. Did you mean `shop`?\n")
    assert run("rooms", "--token", "a-wrong-token-of-ours", "--data", data).code == Exit.REFUSED


def test_config_show_tells_what_is_live(run: Run, data: str) -> None:
    run("set", "drop", "capacity=7", "--data", data)
    settings = run("config", "show", data.removesuffix("data") + "w.toml", "--json", "--data", data).json["settings"]
    live = settings["rooms.drop.capacity"]
    assert (live["value"], live["source"], live["configured"]) == (7, "live", None)
