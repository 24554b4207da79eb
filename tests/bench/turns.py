"""Load: pages that wait as the shared document tells them to, while slots become free one after another.

    python -m tests.bench.turns PORT ROOM PAGES TURNS

Each page joins, reads its position off the sketch, asks again when the schedule says so, asks `me` where the document
says that its turn may be near, and enters when called. Turns come in order, so the n-th slot that became free is the
n-th page's that knows of its turn. Prints one line of JSON: percentiles of the time between the two.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

import uvloop

from waitroom.domain.polling import JITTER_LEAST, JITTER_MOST
from waitroom.domain.sketch import position_of

from .figures import percentile

PAUSE_SECONDS = 0.25
PATIENCE_SECONDS = 30


class Visitor:
    """A browser: one connection, and the cookies it was given."""

    def __init__(self, port: int, room: str) -> None:
        self.port = port
        self.base = f"/.waitroom/{room}"
        self.cookies: dict[str, str] = {}
        self.requests = 0

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, target: str, method: str = "GET", more: str = "") -> tuple[int, bytes]:
        """Make a request; return status and body."""
        self.requests += 1
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        line = f"cookie: {cookies}\r\n" if cookies else ""
        length = "content-length: 0\r\n" if method == "POST" else ""
        self.writer.write(f"{method} {target} HTTP/1.1\r\nhost: shop.example\r\n{line}{length}{more}\r\n".encode())
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        size = 0
        for field in head.split("\r\n")[1:]:
            name, _, value = field.partition(": ")
            if name.lower() == "content-length":
                size = int(value)
            elif name.lower() == "set-cookie":
                cookie, _, text = value.partition(";")[0].partition("=")
                self.cookies[cookie] = text
                if not text:
                    del self.cookies[cookie]
        return status, await self.reader.readexactly(size)

    async def enter(self) -> bool:
        """Ask for the shop as a navigation; True when let in."""
        status, _ = await self.ask("/100", more="accept: text/html\r\nsec-fetch-mode: navigate\r\n")
        return status == 200 and any(name.startswith("waitroom-pass") for name in self.cookies)

    async def leave(self) -> None:
        await self.ask(f"{self.base}/leave", "POST")


class Page(Visitor):
    """A visitor who waits by the document's rules."""

    def __init__(self, port: int, room: str, chance: random.Random) -> None:
        super().__init__(port, room)
        self.chance = chance

    async def join(self) -> None:
        _, body = await self.ask(f"{self.base}/join", "POST")
        standing = json.loads(body)
        if standing["state"] != "waiting":
            raise OSError(f"joined, and is {standing['state']}")
        self.score_us: int = standing["score_us"]
        self.position: int = standing["position"]

    async def wait(self, known: list[float]) -> None:
        """Wait until it is this visitor's turn, note when the page knows it, enter, and say so in `known`."""
        near = False
        while True:
            if near:
                _, body = await self.ask(f"{self.base}/me")
                standing = json.loads(body)
                if standing["state"] == "called":
                    known.append(time.perf_counter())
                    break
                seconds = standing["poll_after_seconds"]
            else:
                _, body = await self.ask(f"{self.base}/queue.json")
                document = json.loads(body)
                if self.score_us <= document["made_ms"] * 1000:  # one made before does not know of this visitor
                    read = position_of(self.score_us, document["sketch"], document["waiting"])
                    self.position = min(self.position, read)
                near = self.score_us <= document["frontier_us"] or self.position <= document["near"]
                if near:
                    continue
                seconds = next(seconds for up_to, seconds in document["polls"] if self.position <= up_to)
            await asyncio.sleep(seconds * self.chance.uniform(JITTER_LEAST, JITTER_MOST))
        while not await self.enter():
            await asyncio.sleep(0.1)


async def measure(port: int, room: str, pages: int, turns: int) -> dict[str, Any]:
    """Run it."""
    chance = random.Random(7)
    inside = []
    while True:
        visitor = Visitor(port, room)
        await visitor.open()
        if not await visitor.enter():
            await visitor.leave()
            break
        inside.append(visitor)
    queue = [Page(port, room, chance) for _ in range(pages)]
    for page in queue:
        await page.open()
        await page.join()
    known: list[float] = []
    waiting = [asyncio.create_task(page.wait(known)) for page in queue]
    began = time.perf_counter()
    await asyncio.sleep(4)
    freed = []
    for number in range(turns):
        leaving = inside[number] if number < len(inside) else queue[number - len(inside)]
        if leaving in queue:
            await waiting[number - len(inside)]
        freed.append(time.perf_counter())
        await leaving.leave()
        await asyncio.sleep(PAUSE_SECONDS * chance.uniform(0.2, 1.8))
    give_up = time.perf_counter() + PATIENCE_SECONDS
    while len(known) < turns and time.perf_counter() < give_up:
        await asyncio.sleep(0.05)
    elapsed = time.perf_counter() - began
    failed = [task.exception() for task in waiting if task.done() and task.exception()]
    for task in waiting:
        task.cancel()
    if failed:
        raise OSError(f"{len(failed)} pages broke: {failed[0]!r}")
    if len(known) < turns:
        raise OSError(f"only {len(known)} of {turns} turns became known")
    took = [(later - earlier) * 1000 for earlier, later in zip(freed, sorted(known), strict=False)]
    return {
        "turns": len(took),
        "p50_ms": percentile(took, 0.5),
        "p95_ms": percentile(took, 0.95),
        "max_ms": max(took),
        "requests_per_second": sum(page.requests for page in queue) / elapsed,
        "errors": 0,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))))
