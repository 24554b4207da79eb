"""Lines of the log of changes, in words."""

from __future__ import annotations

from typing import Any


def told(line: dict[str, Any]) -> str:
    """Return a line of the log of changes in words."""
    steps = ", ".join(
        f"{name} {_shown(before)} → {_shown(after)}" for name, (before, after) in (line["steps"] or {}).items()
    )
    people = f" ({line['people']:,} visitors)" if line.get("people") else ""
    reason = f" — {line['reason']}" if line["reason"] else ""
    return f"{line['who']}: {line['action']}{': ' + steps if steps else ''}{people}{reason}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_shown(one)}".removeprefix("*: ") for name, one in value.items()) or "nothing"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
