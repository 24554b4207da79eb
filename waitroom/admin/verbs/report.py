"""The report after a sale, as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from waitroom.admin.report.document import document
from waitroom.admin.report.lines import told

from .call import Call
from .export import Export
from .records import AuditPage, HistoryRange, audit, history

if TYPE_CHECKING:
    from .desk import Verbs

_DAY_MS = 86_400_000
_PAGE = 1_000
_MOST_PAGES = 20


async def report(desk: Verbs, call: Call[HistoryRange]) -> Export:
    """Return the report of a room; without a time given, of the last 24 hours."""
    asked = call.arguments
    until_ms = desk.store.now_ms() if asked.until_ms is None else asked.until_ms
    since_ms = max(0, until_ms - _DAY_MS) if asked.since_ms is None else asked.since_ms
    span = HistoryRange(since_ms=since_ms, until_ms=until_ms)
    points = (await history(desk, Call(call.room, span, call.author)))["points"]
    lines = await _lines(desk, call, since_ms, until_ms)
    day = datetime.fromtimestamp(until_ms / 1000, UTC).strftime("%Y-%m-%d")
    text = document(call.room, points, lines, [told(line) for line in lines])
    return Export(f"waitroom-report-{call.room}-{day}.html", "text/html; charset=utf-8", text)


async def _lines(desk: Verbs, call: Call[HistoryRange], since_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """Return the lines of the log in that time, oldest first."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(_MOST_PAGES):
        page = await audit(desk, Call("", AuditPage(room=call.room, cursor=cursor, limit=_PAGE), call.author))
        found += [line for line in page["changes"] if since_ms <= line["at_ms"] <= until_ms]
        cursor = page["next"] or ""
        if not cursor or page["changes"][-1]["at_ms"] < since_ms:
            break
    return found[::-1]
