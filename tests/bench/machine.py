"""The machine: which core does what, what a tree of processes has used, and processes that end with the bench."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
TICKS: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class BenchError(Exception):
    """The bench cannot go on; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server under test, and the one of load, backend and everything else."""

    server: int
    load: int


def choose_cores() -> Cores:
    """Return the first two cores this process may use."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("two cores are needed: one for the server, one for load and backend")
    return Cores(server=cores[1], load=cores[0])


def pin(pid: int, core: int) -> None:
    """Bind every thread of a process to one core."""
    for thread in (Path("/proc") / str(pid) / "task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read_stat(line: str) -> tuple[int, int]:
    """Return the parent and the CPU ticks (user and system) of a /proc/<pid>/stat line."""
    fields = line.rpartition(")")[2].split()  # the name before may hold spaces and parentheses
    return int(fields[1]), int(fields[11]) + int(fields[12])


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children.setdefault(read_stat((entry / "stat").read_text())[0], []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return what processes have used of the CPU so far."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += read_stat(Path(f"/proc/{pid}/stat").read_text())[1]
    return total / TICKS


def _status_kib(pids: Sequence[int], name: str) -> int:
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(name):
                    total += int(line.split()[1])
    return total


def memory_mib(pids: Sequence[int]) -> float:
    """Return what processes hold now (resident, each counted whole)."""
    return _status_kib(pids, "VmRSS:") / 1024


def peak_mib(pids: Sequence[int]) -> float:
    """Return the sum of the most that each process held since `reset_peak`."""
    return _status_kib(pids, "VmHWM:") / 1024


def reset_peak(pids: Sequence[int]) -> None:
    """Begin to look for the peak anew."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass
class Usage:
    """What a server used while it was watched."""

    cpu_seconds: float = 0.0
    worker_cpu_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    core_seconds: float = 0.0
    """What anybody used of the server's core."""
    before_mib: float = 0.0
    peak_mib: float = 0.0

    @property
    def busy(self) -> float:
        """Share of the server's core that was used."""
        return self.worker_cpu_seconds / self.elapsed_seconds if self.elapsed_seconds else 0.0

    @property
    def foreign(self) -> float:
        """Share of the server's core that went to others than the server."""
        return (
            max(0.0, self.core_seconds - self.worker_cpu_seconds) / self.elapsed_seconds
            if self.elapsed_seconds
            else 0.0
        )


def core_seconds(core: int, text: str) -> float:
    """Return what was used of a core so far, all but idling, from the text of /proc/stat."""
    for line in text.splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    return 0.0


@contextmanager
def watching(root: int, core: int, worker: int | None = None) -> Iterator[Usage]:
    """Watch the tree of `root` and the server's core; `worker` is the process there, if that is not the whole tree."""
    pids = tree(root)
    on_core = pids if worker is None else [worker]
    usage = Usage(before_mib=memory_mib(pids))
    reset_peak(pids)
    cpu, on_core_cpu, began = cpu_seconds(pids), cpu_seconds(on_core), time.monotonic()
    core_before = core_seconds(core, Path("/proc/stat").read_text())
    yield usage
    usage.elapsed_seconds = time.monotonic() - began
    usage.cpu_seconds = cpu_seconds(pids) - cpu
    usage.worker_cpu_seconds = cpu_seconds(on_core) - on_core_cpu
    usage.core_seconds = core_seconds(core, Path("/proc/stat").read_text()) - core_before
    usage.peak_mib = peak_mib(pids)


@dataclass
class Programs:
    """All processes that the bench started, so that none outlives it."""

    directory: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str | Path], core: int, *, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program bound to `core`; what it says goes to a file of that name."""
        with (self.directory / f"{name}.log").open("ab") as sink:
            process = subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=ROOT,
                env=os.environ | dict(env or {}),
                process_group=0,
            )
        self.running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a program and its group."""
        if process in self.running:
            self.running.remove(process)
        for number, patience_seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience_seconds)
        # A member of the group that outlived its leader is gone by the second signal.

    def stop_all(self) -> None:
        for process in [*self.running]:
            self.stop(process)

    def wait_for_port(
        self, process: subprocess.Popen[bytes], name: str, port: int, patience_seconds: float = 20
    ) -> None:
        """Wait until somebody accepts on `port`."""
        give_up = time.monotonic() + patience_seconds
        while time.monotonic() < give_up:
            if process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        log = (self.directory / f"{name}.log").read_text(errors="replace")[-600:]
        raise BenchError(f"{name} does not answer on its port; it said: {log.strip() or 'nothing'}")


def commit() -> str:
    """Return which commit is measured, where git can tell."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, timeout=10, check=False, cwd=ROOT
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode().strip().replace("-dirty", " with changes on top") if done.returncode == 0 else ""


def describe() -> dict[str, str]:
    """Return what to know of the machine: nothing that names it."""
    model = "unknown processor"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory_gib = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES / 2**30
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "memory": f"{memory_gib:.0f} GiB",
        "kernel": os.uname().release.partition("-")[0],
    }
