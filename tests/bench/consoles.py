"""What open consoles cost: CPU time of the admin process with none and with twenty live views, of one real Waitroom.

`python -m tests.bench.consoles`. A stream that ends is opened again at once, as browsers do.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tests.bench.machine import cpu_seconds
from tests.journeys.stage import ADMIN_TOKEN, serving
from tests.journeys.witness import witness

if TYPE_CHECKING:
    from tests.journeys.stage import Serving

CONSOLES: Final = 20
SECONDS: Final = 20.0
ROOMS: Final = 3


class Listening:
    """One console that looks."""

    def __init__(self) -> None:
        self.events = 0

    async def looks(self, port: int) -> None:
        request = f"GET /live HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request.encode())
                while (line := await reader.readline()) and line != b"0\r\n":
                    self.events += line.startswith(b"data:")
            finally:
                writer.transport.abort()


def admin_pid(running: Serving) -> int:
    ready = [e["process"] for e in running.events() if e["event"] == "child_ready" and e["child"] == "admin"]
    return int(ready[-1])


async def share_of_core(pid: int) -> float:
    """Return which share of a core a process used for `SECONDS`."""
    before = cpu_seconds([pid])
    await asyncio.sleep(SECONDS)
    return (cpu_seconds([pid]) - before) / SECONDS


async def main() -> None:
    async with witness() as site:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            lines = ["[gateway]", f'backend = "{site.url}"', "port = 0", "[store]", 'url = "embedded"', "[admin]",
                     "port = 0", f'token = "{ADMIN_TOKEN}"']  # fmt: skip
            for number in range(ROOMS):
                lines += ["[[rooms]]", f'name = "room{number}"', f"match = {json.dumps([f'/{number}/*'])}"]
            config = directory / "waitroom.toml"
            config.write_text("\n".join(lines) + "\n")
            with serving(config, directory) as running:
                port, pid = urlsplit(running.admin_url).port or 0, admin_pid(running)
                await asyncio.sleep(2)
                idle = await share_of_core(pid)
                consoles = [Listening() for _ in range(CONSOLES)]
                looking = [asyncio.create_task(console.looks(port)) for console in consoles]
                await asyncio.sleep(3)
                heard = sum(console.events for console in consoles)
                busy = await share_of_core(pid)
                heard = sum(console.events for console in consoles) - heard
                for task in looking:
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(*looking)
    each = heard / CONSOLES / SECONDS
    print(f"without consoles {idle:.1%} of a core, with {CONSOLES} {busy:.1%}: {busy - idle:.1%} for them")
    print(f"each heard {each:.2f} events a second")


if __name__ == "__main__":
    asyncio.run(main())
