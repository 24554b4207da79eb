"""An older Waitroom, out of the project's own history, to run beside the present one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "162f928dd446fe97b8b317941de41c85286132ac"
"""The first that passes over what a later version has written beside what it knows. The pulses of its snapshots hold one number less. Versions
before it refuse rooms with settings that they do not know, and stop at longer pulses: they cannot run beside this one."""


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
    return {"PYTHONPATH": str(directory)}


def digests(environ: dict[str, str]) -> set[str]:
    """Return the SHA-1 of each script that the Waitroom of this environment runs."""
    ask = "from waitroom.store.scripts import load_scripts; print(*(s.digest for s in load_scripts().values()))"
    command = [sys.executable, "-c", ask]
    # Not where another Waitroom stands in the working directory, which Python looks into first.
    asked = subprocess.run(command, env=os.environ | environ, cwd="/", capture_output=True, text=True, check=True)
    return set(asked.stdout.split())
