"""Uptake: which version of each room the gateways run, as they say it themselves. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SILENT_MS: Final = 30_000
"""A gateway silent for so long is gone. One that stands still for less has not taken up what was changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Running:
    """What one gateway process said at a moment of the store's time: room → version that it runs."""

    gateway: str
    at_ms: int
    versions: Mapping[str, int]

    def as_text(self) -> str:
        return json.dumps({"at_ms": self.at_ms, "versions": dict(self.versions)}, separators=(",", ":"))


def read_running(gateway: str, text: str | bytes) -> Running:
    """Return what `as_text` wrote."""
    facts = json.loads(text)
    return Running(gateway, facts["at_ms"], facts["versions"])


@dataclass(frozen=True, slots=True)
class Uptake:
    """How many gateways there are, and which of them do not run a room's newest version yet."""

    gateways: int
    pending: tuple[str, ...]

    @property
    def words(self) -> str:
        """What operators are told; empty when the change is everywhere."""
        return f"pending on {len(self.pending)} of {self.gateways} gateways" if self.pending else ""


def uptake(said: Iterable[Running], room: str, version: int, now_ms: int) -> Uptake:
    """Return how far `version` of `room` is taken up."""
    there = [one for one in said if now_ms - one.at_ms < SILENT_MS]
    return Uptake(len(there), tuple(sorted(one.gateway for one in there if one.versions.get(room, 0) < version)))
