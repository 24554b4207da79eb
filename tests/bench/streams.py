"""Load: whole bodies down or up over a few connections, fast or slow; a program of its own.

    python -m tests.bench.streams down|up PORT PATH STREAMS SECONDS PAUSE_MS

Each stream asks again and again until the time is over. With PAUSE_MS it moves 64 kB, then rests. Prints one line of
JSON: bytes moved, seconds, errors.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from typing import Final

BODY_BYTES: Final = 100_000_000
SLOW_STEP_BYTES: Final = 65_536
FAST_STEP_BYTES: Final = 1_048_576


class Streams:
    """What all streams have done so far."""

    def __init__(self, port: int, path: str, seconds: float, pause_ms: float) -> None:
        self.port = port
        self.path = path
        self.pause_seconds = pause_ms / 1000
        self.step_bytes = SLOW_STEP_BYTES if pause_ms else FAST_STEP_BYTES
        self.end = time.monotonic() + seconds
        self.moved = 0
        self.errors: list[str] = []
        self._lock = threading.Lock()

    def over(self) -> bool:
        return time.monotonic() >= self.end

    def moved_more(self, count: int) -> None:
        with self._lock:
            self.moved += count
        if self.pause_seconds:
            time.sleep(self.pause_seconds)

    def run(self, what: str) -> None:
        """One stream: a connection, then exchanges until the time is over."""
        try:
            while not self.over():
                with socket.create_connection(("127.0.0.1", self.port), 10) as line:
                    line.settimeout(30)
                    if what == "down":
                        self._down(line)
                    else:
                        self._up(line)
        except OSError as error:
            if not self.over():
                self.errors.append(str(error))

    def _head(self, method: str, more: str = "") -> bytes:
        return f"{method} {self.path} HTTP/1.1\r\nHost: shop.example\r\n{more}\r\n".encode()

    def _down(self, line: socket.socket) -> None:
        buffer = bytearray(self.step_bytes)
        if self.pause_seconds:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_STEP_BYTES)
        while not self.over():
            line.sendall(self._head("GET"))
            left = self._answer(line)
            while left > 0 and not self.over():
                got = line.recv_into(buffer, min(left, self.step_bytes))
                if not got:
                    raise OSError("the body broke off")
                left -= got
                self.moved_more(got)

    def _up(self, line: socket.socket) -> None:
        block = memoryview(bytes(self.step_bytes))
        while not self.over():
            line.sendall(self._head("POST", f"Content-Length: {BODY_BYTES}\r\n"))
            left = BODY_BYTES
            while left > 0:
                if self.over():
                    return
                step = min(left, self.step_bytes)
                line.sendall(block[:step])
                left -= step
                self.moved_more(step)
            self._answer(line)

    @staticmethod
    def _answer(line: socket.socket) -> int:
        """Read a response head byte by byte, so that the body stays in the socket; return the body's length."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            got = line.recv(1)
            if not got or len(head) > 65_536:
                raise OSError("no answer")
            head += got
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError(f"answered {head[:40]!r}")
        for field in head.lower().split(b"\r\n"):
            if field.startswith(b"content-length:"):
                return int(field[15:])
        raise OSError("an answer without a length")


def main(what: str, port: str, path: str, streams: str, seconds: str, pause_ms: str) -> None:
    began = time.monotonic()
    work = Streams(int(port), path, float(seconds), float(pause_ms))
    threads = [threading.Thread(target=work.run, args=(what,), daemon=True) for _ in range(int(streams))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, work.end + 5 - time.monotonic()))
    result = {"bytes": work.moved, "seconds": time.monotonic() - began, "errors": work.errors[:5]}
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
