"""The Dockerfile, as far as it can be judged without a container engine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from waitroom.cli import waitroom
from waitroom.configuration import load

ROOT = Path(__file__).parent.parent
LINES = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def last(instruction: str) -> str:
    return [line.removeprefix(instruction).strip() for line in LINES if line.startswith(instruction + " ")][-1]


def test_the_environment_it_sets_is_a_valid_configuration() -> None:
    environ = dict(pair.split("=", 1) for pair in shlex.split(last("ENV")) if pair.startswith("WAITROOM_"))
    settings = load(None, {}, environ | {"WAITROOM_GATEWAY__BACKEND": "http://shop:9000"}).settings
    assert (settings.gateway.host, settings.admin.host) == ("0.0.0.0", "127.0.0.1")
    assert settings.data.is_relative_to(last("VOLUME"))


def test_it_runs_as_nobody_special_and_has_a_health_check() -> None:
    assert int(last("USER")) > 1000
    command = re.search(r"CMD (\[.*\])", last("HEALTHCHECK"))
    assert command
    assert command[1] == '["waitroom", "healthcheck"]'
    assert last("STOPSIGNAL") == "SIGTERM"


def test_the_command_it_starts_exists() -> None:
    assert CliRunner().invoke(waitroom, [last("CMD").strip('[]"'), "--help"]).exit_code == 0


def test_what_it_copies_is_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        word for line in LINES if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert all(f"!{name}" in ignored for name in copied)
    assert all((ROOT / name).exists() for name in copied)
