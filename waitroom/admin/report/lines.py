"""Lines of the log of changes, in words: the same in console, report and command line. Pure."""

from __future__ import annotations

from typing import Any


def told(line: dict[str, Any]) -> str:
    """Return a line in words: who did what, and why."""
    reason = f" — {line['reason']}" if line["reason"] else ""
    return f"{line['who']}: {what(line)}{reason}"


def what(line: dict[str, Any]) -> str:
    """Return what was done: `change: rate 600 → 300`, `remove-account noa`, `reset (12 visitors)`."""
    steps = ", ".join(f"{name} {_shown(before)} → {_shown(after)}" for name, (before, after) in line["steps"].items())
    done = " ".join(filter(None, (line["action"], line["subject"])))
    people = f" ({visitors(line['people'])})" if line["people"] else ""
    return f"{done}{': ' + steps if steps else ''}{people}"


def visitors(count: int) -> str:
    """Return how many visitors, in words."""
    return "one visitor" if count == 1 else f"{count:,} visitors"


def _shown(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(entry)}".removeprefix("*: ") for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
