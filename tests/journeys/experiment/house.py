"""The house of the experiments: two machines with gateways, each with a link of its own to one store, and a shop behind."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.journeys.experiment.crowd import Crowd
from tests.journeys.experiment.judge import judge
from tests.journeys.experiment.link import Link
from tests.journeys.stage import ADMIN_TOKEN, START_SECONDS, serving
from tests.store.farm import free_ports

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.journeys.experiment.disk import Disk
    from tests.journeys.experiment.judge import Verdict
    from tests.journeys.experiment.shop import Shop
    from tests.journeys.stage import BreakableStore, Serving

KEYS = ["first-signing-key-of-the-house-0123456789", "second-signing-key-of-the-house-012345678"]
RATE, CAPACITY = 1_200, 70
SECONDS_TO_FLOW = 150.0
"""Entries of before a loss of memory count as if they were of its moment, for a minute."""


@dataclass
class Machine:
    """One supervisor and its gateways."""

    name: str
    directory: Path
    port: int
    link: Link
    backend: str
    workers: int = 1
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Beside what all have: section → name → value; `room` is the room's."""
    environ: dict[str, str] = field(default_factory=dict)
    running: Serving | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def write(self) -> Path:
        """Write its configuration."""
        sections: dict[str, dict[str, Any]] = {
            "gateway": {
                "backend": self.backend, "port": self.port, "workers": self.workers, "drain_seconds": 3,
                "read_timeout_seconds": 5,
            },
            "store": {"url": self.link.url, "replicas_acknowledge": 0},
            "admin": {"port": 0, "token": ADMIN_TOKEN},
            "keys": {"signing": KEYS[:1]},
            "room": {
                "name": "sale", "rate": RATE, "capacity": CAPACITY, "burst": RATE // 60, "session_seconds": 60,
                "refresh_seconds": 1,
            },
        }  # fmt: skip
        lines = []
        for section, values in sections.items():
            lines.append("[[rooms]]" if section == "room" else f"[{section}]")
            lines += [f"{k} = {json.dumps(v)}" for k, v in (values | self.settings.get(section, {})).items()]
        path = self.directory / "waitroom.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    async def start(self) -> None:
        """Start it and wait until its gateways are ready."""
        context = serving(self.write(), self.directory, ready=self.workers, environ=self.environ)
        self.running = await asyncio.to_thread(self._stack.enter_context, context)

    async def stop(self) -> None:
        """End it as an administrator does."""
        await asyncio.to_thread(self._stack.close)
        self.running = None

    async def reload(self) -> None:
        """Read the configuration again, and wait until it is in force."""
        assert self.running is not None
        before = len([e for e in self.running.events() if e["event"] == "configuration_reloaded"])
        self.write()
        self.running.process.send_signal(1)
        deadline = time.monotonic() + START_SECONDS
        while len([e for e in self.running.events() if e["event"] == "configuration_reloaded"]) <= before:
            assert time.monotonic() < deadline, "no reload"
            await asyncio.sleep(0.05)


class House:
    """All of it, with the crowd."""

    def __init__(self, directory: Path, store: BreakableStore, shop: Shop, chance: random.Random, size: int) -> None:
        self.store = store
        self.shop = shop
        self.chance = chance
        self.machines = []
        for name, port in zip("ab", free_ports(2), strict=True):
            place = directory / name
            place.mkdir()
            link = Link(place / "link.sock", store.socket)
            self.machines.append(Machine(name, place, port, link, f"http://127.0.0.1:{shop.port}", workers=2))
        self.disk: Disk | None = None
        """What the store writes to, where one could be made."""
        self.emptied: list[float] = []
        """When the store was made to forget everything."""
        self.crowd = Crowd(size, [machine.port for machine in self.machines], chance)

    async def open(self) -> None:
        """Start both, then let the crowd come."""
        await asyncio.gather(*(machine.start() for machine in self.machines))
        self.crowd.start()
        await self.flows(RATE // 60)

    async def close(self) -> None:
        """Send everybody away and end everything."""
        await self.crowd.stop()
        await asyncio.gather(*(machine.stop() for machine in self.machines))
        for machine in self.machines:
            machine.link.close()

    def judge(self, since: float) -> Verdict:
        """Return what the observer finds from `since` on."""
        return judge(self.crowd.stories, self.shop, since, rate=RATE, capacity=CAPACITY, emptied=self.emptied)

    async def flows(self, entries: int = 10) -> float:
        """Wait until so many more have entered by a turn asked for from now on, and nobody is in trouble; how many seconds it took."""
        began = time.monotonic()
        while True:
            stories = self.crowd.stories
            entered = sum(
                story.entered > 0 and story.turn is not None and story.turn.asked >= began for story in stories
            )
            now = time.monotonic()
            troubled = [t for story in stories for t in story.troubles[-1:] if now - t.ended < 0.7]
            if entered >= entries and not troubled:
                return now - began
            assert now - began < SECONDS_TO_FLOW, f"{entered} entered in {SECONDS_TO_FLOW} s; troubles: {troubled[:5]}"
            await asyncio.sleep(0.1)
