"""Gets the suites from their registries, each pinned, into `.conformance/`, which git passes by; nothing of them is kept in the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PLACE: Final = ROOT / ".conformance"
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
SETUP_SECONDS: Final = 300


class Missing(Exception):
    """Something cannot be had here; the text says what, and where known how to get it."""


def run(command: list[str | Path], *, folder: Path | None = None) -> str:
    """Run a set-up step and return what it printed; raises Missing."""
    shown = " ".join(map(str, command))
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=SETUP_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"`{shown}`: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise Missing(f"`{shown}` failed: {said[-1] if said else done.returncode}")
    return done.stdout.decode(errors="replace")


def program(name: str) -> Path | None:
    """Return where a program is, also where only root looks."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def debian(name: str) -> Path:
    """Return a program of a Debian package of the same name, installed when root runs this; raises Missing."""
    if found := program(name):
        return found
    hint = f"{name} is not installed; on Debian: apt-get install {name}"
    apt = program("apt-get")
    if apt is None or os.geteuid() != 0:
        raise Missing(hint)
    install: list[str | Path] = [apt, "install", "-y", "-q", "--no-install-recommends", name]
    try:
        run(install)
    except Missing:
        run([apt, "update", "-q"])
        run(install)
    if found := program(name):
        return found
    raise Missing(hint)


def debian_version(name: str) -> str:
    """Return the version of an installed Debian package."""
    try:
        return run(["dpkg-query", "-W", "-f", "${Version}", name]).strip()
    except Missing:
        return "unknown"


def _unpack(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")


def sdist(name: str, version: str) -> Path:
    """Return the unpacked source distribution of a Python package."""
    folder = PLACE / f"{name}-{version}"
    if not folder.exists():
        PLACE.mkdir(exist_ok=True)
        pip: list[str | Path] = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--no-deps", "--no-binary", ":all:", "--dest", PLACE, f"{name}=={version}"])
        _unpack(PLACE / f"{name}-{version}.tar.gz", PLACE)
    return folder


def npm_package(name: str, version: str, *needs: str) -> Path:
    """Return the unpacked npm package, with what it needs at run time beside it."""
    folder = PLACE / f"{name}-{version}" / "package"
    if not (folder.parent / "node_modules").exists():
        PLACE.mkdir(exist_ok=True)
        npm = debian("npm")
        folder.parent.mkdir(exist_ok=True)
        run([npm, "pack", "--silent", f"{name}@{version}"], folder=folder.parent)
        _unpack(folder.parent / f"{name}-{version}.tgz", folder.parent)
        run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder.parent, *needs])
    return folder


def python_venv() -> Path:
    """Return the Python of a venv with what requirements.txt pins."""
    venv = PLACE / "venv"
    stamp = venv / "installed.txt"
    python = venv / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
        PLACE.mkdir(exist_ok=True)
        run([sys.executable, "-m", "venv", "--clear", venv])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])
        stamp.write_text(REQUIREMENTS.read_text())
    return python


def python2() -> Path:
    """Return a Python 2.7 with pip, where one is to be had; raises Missing."""
    candidates = [
        *filter(None, (program("python2.7"), program("python2"))),
        *sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions").glob("2.7.*/bin/python2.7")),
    ]
    for candidate in candidates:
        try:
            said = run([candidate, "-c", "import sys, pip; print(sys.version_info[:2] == (2, 7))"])
        except Missing:
            continue
        if said.strip() == "True":
            return candidate
    raise Missing("no Python 2.7 with pip here: Debian 12 packages none; pyenv can build one")


def python2_library(python: Path, name: str, version: str) -> Path:
    """Return a folder with a package for Python 2.7 and all it needs."""
    folder = PLACE / f"{name}-{version}-python2"
    stamp = folder / "installed.txt"
    if not stamp.exists():
        PLACE.mkdir(exist_ok=True)
        run([python, "-m", "pip", "install", "--quiet", "--upgrade", "--target", folder, f"{name}=={version}"])
        stamp.write_text(version)
    return folder
