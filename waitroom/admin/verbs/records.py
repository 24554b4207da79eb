"""What was done and what happened, read back in pages."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from waitroom.domain.history import chart
from waitroom.errors import Mistake, RoomUnknown

from .call import Arguments, Mistaken
from .visitors import told

if TYPE_CHECKING:
    from waitroom.domain.audit import AuditLine

    from .call import Call
    from .desk import Verbs

_DEFAULT_HISTORY_MS = 900_000
_LATEST_MS = 99_999_999_999_999
_HOUSE_LINES = 1_001
_ENTRY = re.compile(r"\d{1,15}-\d{1,12}")
_CURSOR = re.compile(r"(\d{1,15}-\d{1,12})@([a-z0-9_-]{0,40})")


class AuditPage(Arguments):
    room: str | None = Field(default=None, description="Only changes of this room.")
    cursor: str = Field(default="", description="`next` of the page before; empty for the newest changes.")
    limit: int = Field(default=100, ge=1, le=1_000, description="Most lines in one page.")


class JournalPage(Arguments):
    cursor: str = Field(default="", description="`next` of the page before; empty for the newest lines.")
    limit: int = Field(default=100, ge=1, le=1_000, description="Most lines in one page.")


async def journal(desk: Verbs, call: Call[JournalPage]) -> dict[str, Any]:
    """Return `{"lines": [line, …], "next": cursor or null}`, newest first."""
    asked = call.arguments
    if asked.cursor and not _ENTRY.fullmatch(asked.cursor):
        raise Mistaken([Mistake("cursor", "is none that a page gave as `next`")])
    # One more than asked for, and the line at the cursor itself, which was on the page before.
    lines = await desk.store.journal(call.room, before=asked.cursor, limit=asked.limit + 2)
    older = [line for line in lines if line.id != asked.cursor]
    page = older[: asked.limit]
    return {"lines": [told(line) for line in page], "next": page[-1].id if len(older) > len(page) else None}


class HistoryRange(Arguments):
    since_ms: int | None = Field(
        default=None, ge=0, le=_LATEST_MS, description="From when; by default 15 minutes before the end."
    )
    until_ms: int | None = Field(
        default=None, ge=0, le=_LATEST_MS, description="Until when, in ms since 1970; by default now."
    )


async def history(desk: Verbs, call: Call[HistoryRange]) -> dict[str, Any]:
    """Return `{"step_seconds", "points": [point, …]}`, oldest first (`domain/history.py`), reaching back 48 hours."""
    asked = call.arguments
    until_ms = desk.store.now_ms() if asked.until_ms is None else asked.until_ms
    since_ms = max(0, until_ms - _DEFAULT_HISTORY_MS) if asked.since_ms is None else asked.since_ms
    if since_ms > until_ms:
        raise Mistaken([Mistake("since_ms", "is later than until_ms")])
    step_seconds, samples = await desk.store.history(call.room, since_ms=since_ms, until_ms=until_ms)
    return {"step_seconds": step_seconds, "points": chart(samples)}


async def audit(desk: Verbs, call: Call[AuditPage]) -> dict[str, Any]:
    """Return `{"changes": [line, …], "next": cursor or null}`, newest first."""
    asked = call.arguments
    logs = await desk.store.audit_logs()
    if asked.room is not None and asked.room not in logs:
        raise RoomUnknown(f"no room {asked.room!r}")
    after, before_id = None, ""
    if asked.cursor:
        match = _CURSOR.fullmatch(asked.cursor)
        if match is None:
            raise Mistaken([Mistake("cursor", "is none that a page gave as `next`")])
        before_id, room = match.groups()
        ms, _, sequence = before_id.partition("-")
        after = (int(ms), int(sequence), room)
    lines: list[AuditLine] = []
    # That a room was made or removed is in the log of the house, which is the last one.
    for log in logs if asked.room is None else [asked.room, logs[-1]]:
        # One more than asked for: the line at the cursor itself may come along.
        limit = asked.limit + 1 if log != logs[-1] else _HOUSE_LINES
        found = await desk.store.audit(log, before=before_id, limit=limit)
        lines += [line for line in found if asked.room in {None, line.room}]
    lines.sort(key=lambda line: line.order, reverse=True)
    older = [line for line in lines if after is None or line.order < after]
    page = older[: asked.limit]
    return {
        "changes": [asdict(line) for line in page],
        "next": page[-1].cursor if len(older) > len(page) else None,
    }
