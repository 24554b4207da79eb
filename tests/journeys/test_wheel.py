"""The wheel that people install: built, put into a venv of its own, and serving, static files and all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journeys.stage import START_SECONDS, on_site, write_config
from tests.journeys.witness import PERSON, ask, witness
from waitroom import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

CHECKOUT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, seconds: float = 200) -> str:
    """Return what a command writes on standard output; one that fails fails the test with its own words."""
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False)
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@contextmanager
def installed(tmp_path: Path) -> Iterator[Path]:
    """Build the wheel, install it into a fresh venv with the pinned versions, and return its `waitroom`."""
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    build = subprocess.Popen(
        [sys.executable, "-m", "build", "--wheel", "--outdir", wheels, CHECKOUT],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
        said, _ = build.communicate(timeout=200)
        assert build.returncode == 0, said
    finally:
        if build.poll() is None:
            build.kill()
            build.communicate()
    (wheel,) = wheels.glob("*.whl")
    run(
        venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
        "--constraint", CHECKOUT / "constraints.txt", wheel, cwd=tmp_path,
    )  # fmt: skip
    yield venv / "bin" / "waitroom"


async def test_the_wheel_alone_serves_the_site_and_the_waiting_page(tmp_path: Path) -> None:
    with installed(tmp_path) as waitroom:
        assert run(waitroom, "--version", cwd=tmp_path).split()[-1] == __version__
        async with witness() as site:
            config = write_config(tmp_path, backend=site.url, capacity=1)
            assert f"{config} is fine." in run(waitroom, "check", config, cwd=tmp_path)
            data = tmp_path / "data"
            with (tmp_path / "serve.log").open("w") as log:
                serving = subprocess.Popen(
                    [waitroom, "serve", config, "--data", data], cwd=tmp_path, stdout=log, stderr=log, env=os.environ
                )
            try:
                announced = data / "run" / "gateway.json"
                give_up = time.monotonic() + START_SECONDS
                while not announced.exists():
                    fine = serving.poll() is None and time.monotonic() < give_up
                    assert fine, (tmp_path / "serve.log").read_text()
                    time.sleep(0.05)
                port = int(json.loads(announced.read_text())["url"].rpartition(":")[2])
                assert on_site(await ask(port, "/", *PERSON))
                waiting = await ask(port, "/", *PERSON)
                assert b"You are next" in waiting.body
                assert b"</html>" in waiting.body
                serving.terminate()
                assert serving.wait(60) == 0
            finally:
                if serving.poll() is None:
                    serving.kill()
                    serving.wait()
