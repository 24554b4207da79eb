"""What the bench needs beside Waitroom: found, or set up, or named as missing with the reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .machine import ROOT

PLACE: Final = ROOT / ".bench"
VENV: Final = ROOT / ".venv-bench"
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
NPM_PACKAGE: Final = "configurable-http-proxy"
NPM_VERSION: Final = "5.3.0"
DEBIAN: Final = {"wrk": "wrk", "nginx": "nginx", "haproxy": "haproxy", "npm": "npm"}
"""Program → Debian package."""
SETUP_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: where it is and of which version, or why it is missing."""

    name: str
    path: Path | None = None
    version: str = ""
    missing: str = ""


def own_folder(path: Path) -> None:
    """Make a folder that git and linters pass by."""
    path.mkdir(exist_ok=True)
    (path / ".gitignore").write_text("*\n")


def _run(command: list[str | Path]) -> str:
    """Run a set-up step; return why it failed, or nothing."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=SETUP_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    if done.returncode == 0:
        return ""
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return f"`{' '.join(map(str, command))}` failed: {said[-1] if said else done.returncode}"


def _version(path: Path, flag: str) -> str:
    try:
        done = subprocess.run([path, flag], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    for word in (done.stdout + done.stderr).decode(errors="replace").replace("/", " ").split():
        if word.lstrip("v")[:1].isdigit() and "." in word:
            return word.strip("v,")
    return ""


def _program(name: str) -> Path | None:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def _debian() -> str:
    """Install what is missing of the Debian packages; return why it could not be done."""
    wanted = [package for program, package in DEBIAN.items() if _program(program) is None]
    if not wanted:
        return ""
    hint = f"not installed; on Debian: apt-get install {' '.join(wanted)}"
    if os.geteuid() != 0 or _program("apt-get") is None:
        return hint
    install: list[str | Path] = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted]
    if _run(install) and (_run(["apt-get", "update", "-q"]) or _run(install)):
        return f"{hint} (tried, and failed)"
    return ""


def _python() -> str:
    own_folder(VENV)
    stamp = VENV / "installed.txt"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return ""
    python = VENV / "bin" / "python"
    failed = (python.exists() and "ready") or _run([sys.executable, "-m", "venv", VENV])
    if failed not in {"", "ready"}:
        return failed
    own_folder(VENV)
    failed = _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])
    if not failed:
        stamp.write_text(REQUIREMENTS.read_text())
    return failed


def _node() -> str:
    installed = PLACE / "node_modules" / NPM_PACKAGE / "package.json"
    if installed.exists() and json.loads(installed.read_text())["version"] == NPM_VERSION:
        return ""
    npm = _program("npm")
    if npm is None:
        return "npm is not installed"
    return _run([npm, "install", "--no-audit", "--no-fund", "--prefix", PLACE, f"{NPM_PACKAGE}@{NPM_VERSION}"])


def _found(name: str, path: Path | None, why_not: str, flag: str = "--version", version: str = "") -> Tool:
    if path is None or not path.exists():
        return Tool(name, missing=why_not or "not installed")
    return Tool(name, path, version or _version(path, flag))


def set_up() -> dict[str, Tool]:
    """Install what can be installed and return every tool by name."""
    own_folder(PLACE)
    debian, python, node = _debian(), _python(), _node()
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    venv = VENV / "bin"
    tools = [_found(name, _program(name), debian, "-v") for name in ("wrk", "nginx", "haproxy")]
    tools += [_found(name, venv / name, python, version=pins[f"{name}-bin"]) for name in ("caddy", "traefik")]
    tools += [
        _found(name, venv / "python" if not python else None, python, version=pins[name])
        for name in ("aiohttp", "asgi-proxy-lib", "fastapi-proxy-lib", "uvicorn")
    ]
    binary = PLACE / "node_modules" / ".bin" / NPM_PACKAGE
    tools.append(_found(NPM_PACKAGE, binary, node, version=NPM_VERSION))
    return {tool.name: tool for tool in tools}
