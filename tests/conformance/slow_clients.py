"""slowhttptest: hundreds of clients that send heads or bodies, or read answers, as slowly as they can, and one who is in a hurry."""

from __future__ import annotations

import csv
import http.client
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .fetch import ROOT, Missing, debian, debian_version
from .fronts import before, free_port, running, wait_until_open
from .results import GATEWAY, NGINX, Outcome, Result

NAME: Final = "slowhttptest"
ATTACK_SECONDS: Final = 15
CONNECTIONS: Final = 500
ATTACKS: Final = {
    "slow heads": ["-H", "-i", "5", "-x", "24"],
    "slow bodies": ["-B", "-i", "5", "-s", "8192", "-x", "10", "-t", "POST"],
    "slow readers": ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"],
}
"""Attack → slowhttptest's arguments."""
P99_MS: Final = 100.0
CALM_SECONDS: Final = 2.0
MEASURE: Final = (
    f"{CONNECTIONS} connections for {ATTACK_SECONDS} s in each of three attacks, while one client asks, on a new "
    "connection each time, as fast as it is answered. It must be answered every time, with a p99 under "
    f"{P99_MS:.0f} ms; slowhttptest's own probe must find the service available throughout; and those who send slowly "
    "must be told 408 and hung up on within the attack (both proxies give a head or body 10 s or less)."
)


@dataclass(slots=True)
class Asked:
    """What a client in a hurry got: the times of its answers, and how often it got none."""

    times_ms: list[float] = field(default_factory=list)
    unanswered: int = 0

    def p99_ms(self) -> float:
        """The time in which 99 of 100 requests were answered; infinite if none was."""
        times = sorted(self.times_ms)
        return times[min(len(times) - 1, len(times) * 99 // 100)] if times else float("inf")


def ask(port: int, asked: Asked) -> None:
    """Ask once, on a connection of its own."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        asked.unanswered += 1
    else:
        if answer.status == 200:
            asked.times_ms.append((time.perf_counter() - began) * 1_000)
        else:
            asked.unanswered += 1
    finally:
        connection.close()


def ask_until(port: int, stop: threading.Event, asked: Asked) -> None:
    """Ask again and again, with a breath between."""
    while not stop.wait(0.01):
        ask(port, asked)


def slow_sender(port: int, opening: bytes, told: list[str]) -> None:
    """Send the beginning of a request, then a byte every few seconds; note how it ends."""
    ends_at = time.monotonic() + ATTACK_SECONDS
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(opening)
        answer = b""
        while time.monotonic() < ends_at:
            try:
                part = connection.recv(4096)
            except TimeoutError:
                with suppress(OSError):
                    connection.sendall(b"x")
                continue
            except OSError:
                break
            if not part:
                break
            answer += part
        else:
            told.append("still open")
            return
    told.append(answer.split(b"\r\n")[0].decode("latin-1") or "closed without an answer")


OPENINGS: Final = {
    "slow heads": b"GET / HTTP/1.1\r\nHost: slow.test\r\nX-Slow: ",
    "slow bodies": b"POST / HTTP/1.1\r\nHost: slow.test\r\nContent-Length: 100000\r\n\r\nx",
}


def availability(rows: list[dict[str, str]]) -> tuple[int, int]:
    """Return in how many of slowhttptest's seconds the service was available, and of how many."""
    found = [row["Service Available"].strip() for row in rows if (row.get("Service Available") or "").strip()]
    return sum(value not in {"", "0"} for value in found), len(found)


def _attack(program: Path, attack: str, port: int) -> dict[str, Outcome]:
    calm, hurried, stop = Asked(), Asked(), threading.Event()
    told: list[str] = []
    ends_at = time.monotonic() + CALM_SECONDS
    while time.monotonic() < ends_at:
        ask(port, calm)
    threads = [threading.Thread(target=ask_until, args=(port, stop, hurried))]
    threads += [
        threading.Thread(target=slow_sender, args=(port, OPENINGS[attack], told))
        for _ in range(5 if attack in OPENINGS else 0)
    ]
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        command: list[str | Path] = [
            program, *ATTACKS[attack], "-c", str(CONNECTIONS), "-r", "250", "-l", str(ATTACK_SECONDS), "-p", "3",
            "-g", "-o", Path(folder, "slow"), "-u", f"http://127.0.0.1:{port}/large" if attack == "slow readers"
            else f"http://127.0.0.1:{port}/",
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=ATTACK_SECONDS + 20, check=False, stdin=subprocess.DEVNULL
            )
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        table = Path(folder, "slow.csv")
        if not table.exists():
            raise Missing(f"slowhttptest wrote no table: {done.stdout.decode(errors='replace').strip()[-300:]}")
        available, seconds = availability(list(csv.DictReader(table.read_text().splitlines())))
    found = {
        f"{attack}: available": Outcome(ok=0 < seconds == available, seen=f"{available} of {seconds} s"),
        f"{attack}: answered": Outcome(
            ok=bool(hurried.times_ms) and not hurried.unanswered,
            seen=f"{len(hurried.times_ms)} of {len(hurried.times_ms) + hurried.unanswered}",
        ),
        f"{attack}: p99": Outcome(
            ok=hurried.p99_ms() < P99_MS, seen=f"{hurried.p99_ms():.1f} ms, {calm.p99_ms():.1f} ms before"
        ),
    }
    if attack in OPENINGS:
        found[f"{attack}: told 408"] = Outcome(
            ok=all(" 408 " in line for line in told), seen="; ".join(sorted(set(told)))
        )
    return found


def run() -> Result:
    """Attack both proxies, one after the other."""
    program = debian("slowhttptest")
    result = Result(NAME, debian_version("slowhttptest"), MEASURE)
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "tests.conformance.plain_server", str(port)]
    with running(command, folder=ROOT) as process:
        wait_until_open(port, process)
        for front in (NGINX, GATEWAY):
            result.outcomes[front] = {}
            for attack in ATTACKS:
                with before(port, front) as at:
                    result.outcomes[front] |= _attack(program, attack, at)
    return result
