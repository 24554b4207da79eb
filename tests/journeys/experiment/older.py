"""An older Waitroom, out of the project's own history, to run beside the present one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from waitroom.domain.room import Room

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "cda6fea1361d244ad5c33d2e5717c013f23e54bc"
"""The last before `enter` learnt to keep a place that was told while the store was away: an older script on the same keys. It refuses rooms with
settings that it does not know; when rooms get one, take a later commit, which passes them over."""


def older_waitroom(root: Path, directory: Path) -> dict[str, str]:
    """Unpack it from the history of `root` into `directory`, and return the environment in which Python imports it.

    It runs on the packages that are installed for the present one. Raises LookupError where there is no such history.
    """
    archive = subprocess.run(
        ["git", "-C", root, "archive", COMMIT, "waitroom", "static"], capture_output=True, check=False
    )
    if archive.returncode:
        raise LookupError(archive.stderr.decode().strip())
    subprocess.run(["tar", "-x", "-C", directory], input=archive.stdout, check=True)
    environ = {"PYTHONPATH": str(directory)}
    room = Room(name="sale").model_dump_json()
    refused = _asked(environ, f"from waitroom.domain.room import Room; Room.model_validate_json({room!r})").returncode
    assert not refused, f"{COMMIT} refuses a setting that rooms have now: take a later commit as the older version"
    return environ


def digest_of_enter(environ: dict[str, str]) -> str:
    """Return the SHA-1 of the script that the Waitroom of this environment runs for `enter`."""
    asked = _asked(environ, "from waitroom.store.scripts import load_scripts; print(load_scripts()['enter'].digest)")
    return asked.stdout.strip()


def _asked(environ: dict[str, str], question: str) -> subprocess.CompletedProcess[str]:
    """Let the Waitroom of this environment answer. It must not run where another stands in the working directory."""
    return subprocess.run(
        [sys.executable, "-c", question],
        env=os.environ | environ,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
