"""The data directory: one owner at a time, secrets made once and kept, and the files that say what runs.

<data>/lock           held by the supervisor as long as it runs; holds its pid
<data>/signing-keys   one key a line, the first signs (made when none is configured)
<data>/admin-token    bearer token of the verbs (made when none is configured)
<data>/store/         the embedded store's append-only file
<data>/run/           of the present run only: settings.json, gateway.json, admin.json, metrics/,
                      first-link

The directory and the secrets in it are readable by their owner alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from .errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_SOCKET_PATH: Final = 100
"""Bytes; the kernels allow 103 to 107."""
SHORTEST_KEY: Final = 32


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things lie under a data directory; asking needs no lock."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def signing_keys(self) -> Path:
        return self.root / "signing-keys"

    @property
    def admin_token(self) -> Path:
        return self.root / "admin-token"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def settings(self) -> Path:
        return self.run / "settings.json"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics"

    @property
    def first_link(self) -> Path:
        """The text of the link that sets the first password, while nobody has one."""
        return self.run / "first-link"

    def listener(self, name: str) -> Path:
        """The run file of a listener (`gateway`, `admin`): `{"url": …, "pid": …}`."""
        return self.run / f"{name}.json"


class DataDirectory:
    """A data directory that is ours until `close`."""

    def __init__(self, root: Path, *, new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> None:
        """Make the directory if need be and take it; raises `StartError` when another process has it."""
        self.paths = Paths(Path(os.path.abspath(root)))  # noqa: PTH100  # resolve() would follow links of the operator
        self._new_secret = new_secret
        self._short: Path | None = None
        try:
            self.paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(
                f"data directory {self.paths.root}: {error.strerror}; "
                "give a directory this user may write to with --data or `data` in the configuration"
            ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise StartError(
                f"data directory {self.paths.root} is in use by process {owner}; "
                "stop that one, or give this one a directory of its own with --data"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        try:
            shutil.rmtree(self.paths.run, ignore_errors=True)
            for directory in (self.paths.run, self.paths.metrics, self.paths.store):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            os.close(self._fd)
            raise StartError(f"data directory {self.paths.root}: {error.strerror} ({error.filename})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def signing_keys(self) -> tuple[str, ...]:
        """Return the keys kept here, made now if there are none."""
        keys = tuple(self._kept(self.paths.signing_keys).split())
        short = [number for number, key in enumerate(keys, 1) if len(key) < SHORTEST_KEY]
        if short:
            raise StartError(
                f"{self.paths.signing_keys}: key {short[0]} has fewer than {SHORTEST_KEY} characters; "
                "make one with `waitroom keys new`"
            )
        return keys

    def admin_token(self) -> str:
        """Return the token kept here, made now if there is none."""
        return self._kept(self.paths.admin_token).strip()

    def _kept(self, path: Path) -> str:
        try:
            text = path.read_text("utf-8") if path.exists() else ""
            if not text.strip():
                text = self._new_secret() + "\n"
                write_private(path, text)
            elif stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o600)
        except OSError as error:
            raise StartError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise StartError(f"{path}: not text; remove it to have a new one made") from None
        return text

    def store_socket(self) -> Path:
        """Return where the embedded store listens: under `run/`, or where that is too long, a short private place."""
        wanted = self.paths.run / "store.sock"
        if len(os.fsencode(wanted)) <= LONGEST_SOCKET_PATH:
            return wanted
        mark = hashlib.sha256(os.fsencode(self.paths.root)).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"waitroom-{mark}"
        with suppress(FileExistsError):
            short.mkdir(mode=0o700)
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
            raise StartError(f"{short} is not a private directory of this user; remove it, or choose a shorter --data")
        self._short = short
        return short / "store.sock"

    def announce(self, listener: str, url: str) -> None:
        """Write the run file of a listener, for the command line and for scripts."""
        write_private(self.paths.listener(listener), json.dumps({"url": url, "pid": os.getpid()}) + "\n")

    def hand_over(self, settings: dict[str, Any]) -> None:
        """Write the resolved settings, secrets inside, for the children."""
        write_private(self.paths.settings, json.dumps(settings) + "\n")

    def close(self) -> None:
        """Take the run files away and let the directory go."""
        shutil.rmtree(self.paths.run, ignore_errors=True)
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
        os.close(self._fd)


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by this user alone."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
