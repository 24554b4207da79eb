"""Load: a thousand visitors on slow lines. A program of its own.

    python -m tests.bench.slow PORT PATH CONNECTIONS BYTES

Each connects, sends its request head in four pieces over two seconds, reads BYTES of the body, 16 kB at a time with half
a second between, through a small receive buffer, and then stays until all are done. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from typing import Final

STEP_BYTES: Final = 16_384
PAUSE_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 60
SPREAD_SECONDS: Final = 2.0


async def visit(port: int, path: str, body_bytes: int, begin_at: float, all_done: asyncio.Event) -> str:
    """Return what went wrong, or nothing."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(begin_at)
    with socket.socket() as line:
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STEP_BYTES)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await loop.sock_connect(line, ("127.0.0.1", port))
                for piece in (f"GET {path} HTTP/1.1\r\n", "Host: shop.example\r\n", "Accept: */*\r\n", "\r\n"):
                    await loop.sock_sendall(line, piece.encode())
                    await asyncio.sleep(PAUSE_SECONDS)
                head = b""
                while b"\r\n\r\n" not in head:
                    got = await loop.sock_recv(line, STEP_BYTES)
                    if not got:
                        return "no answer"
                    head += got
                if not head.startswith(b"HTTP/1.1 200"):
                    return f"answered {head[:30]!r}"
                came = len(head.partition(b"\r\n\r\n")[2])
                while came < body_bytes:
                    await asyncio.sleep(PAUSE_SECONDS)
                    got = await loop.sock_recv(line, STEP_BYTES)
                    if not got:
                        return f"broke off after {came} bytes"
                    came += len(got)
        except (OSError, TimeoutError) as error:
            return f"{type(error).__name__} {error}"
        await all_done.wait()
    return ""


async def measure(port: int, path: str, connections: int, body_bytes: int) -> dict[str, object]:
    """Run it."""
    began, all_done = time.monotonic(), asyncio.Event()
    tasks = [
        asyncio.create_task(visit(port, path, body_bytes, SPREAD_SECONDS * number / connections, all_done))
        for number in range(connections)
    ]
    steps = body_bytes / STEP_BYTES * PAUSE_SECONDS
    await asyncio.wait(tasks, timeout=SPREAD_SECONDS + 4 * PAUSE_SECONDS + steps + 3)
    all_done.set()
    failures = [failure for failure in await asyncio.gather(*tasks) if failure]
    return {
        "requests": connections - len(failures),
        "seconds": time.monotonic() - began,
        "errors": len(failures),
        "why": sorted(set(failures))[:5],
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))))
