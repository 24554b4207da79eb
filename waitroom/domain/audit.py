"""The audit log: who changed what, from where, from what to what, and why. Written once, never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .room import LIVE_FIELDS

if TYPE_CHECKING:
    from .room import Room

FROM_FILE = "file"
"""As a value: back to what the configuration file says."""


class Source(StrEnum):
    """From where a change was made."""

    CONSOLE = "console"
    API = "API"
    COMMAND_LINE = "command line"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks for a change, and why. `request_id` makes its repetition harmless."""

    who: str
    request_id: str
    source: Source = Source.API
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done, as it will be written down.

    `steps` is setting → [from, to]; `undo` the changes that take it back, or None when nothing can.
    """

    author: Author
    action: str
    steps: dict[str, list[Any]] = field(default_factory=dict)
    undo: dict[str, Any] | None = None
    subject: str = ""
    """What of the room was meant: a visitor's short code, the name of a preset."""
    room: str = ""

    def as_line(self) -> str:
        """Return the deed as the store keeps it (JSON)."""
        facts = {
            "who": self.author.who,
            "source": self.author.source.value,
            "reason": self.author.reason,
            "action": self.action,
            "steps": self.steps,
            "undo": self.undo,
            "subject": self.subject,
            "room": self.room,
        }
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the log. `id` orders the lines of one room; `at_ms` is the store's time."""

    id: str
    at_ms: int
    room: str
    version: int
    """The room's version that this change made; 0 where it made none."""
    action: str
    subject: str
    who: str
    source: Source
    reason: str
    request_id: str
    steps: dict[str, list[Any]]
    undo: dict[str, Any] | None
    people: int
    """How many visitors it touched, where the store counted them."""

    @property
    def order(self) -> tuple[int, int, str]:
        """Sorts the lines of all rooms by time."""
        ms, _, sequence = self.id.partition("-")
        return int(ms), int(sequence or 0), self.room

    @property
    def cursor(self) -> str:
        """Where the lines before this one begin."""
        return f"{self.id}@{self.room}"


def steps_between(before: Room, after: Room) -> dict[str, list[Any]]:
    """Return what is in force otherwise, as setting → [from, to] in JSON's types."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return {name: [old[name], new[name]] for name in new if old[name] != new[name]}


def undoing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the changes that lead from the live settings `after` back to `before`."""
    changed = [key for key in LIVE_FIELDS if before.get(key, FROM_FILE) != after.get(key, FROM_FILE)]
    return {key: before.get(key, FROM_FILE) for key in changed}


def read_line(id_: str, facts: dict[str, str], room: str) -> AuditLine:
    """Return the line that the store kept under `id_` in the log of `room`."""
    line = json.loads(facts["line"])
    return AuditLine(
        id=id_,
        at_ms=int(id_.partition("-")[0]),
        room=line["room"] or room,
        version=int(facts["version"]),
        action=line["action"],
        subject=line["subject"],
        who=line["who"],
        source=Source(line["source"]),
        reason=line["reason"],
        request_id=facts["request"],
        steps=line["steps"],
        undo=line["undo"],
        people=int(facts["people"]),
    )
