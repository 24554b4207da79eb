"""Records as files: CSV for people's spreadsheets, JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from waitroom.errors import Mistake

from .call import Arguments, Call, Mistaken
from .records import AuditPage, HistoryRange, JournalPage, audit, history, journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .desk import Verbs

_MOST_LINES: Final = 200_000
_PAGE: Final = 1_000
_HISTORY_MS: Final = 172_800_000
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class Exporting(Arguments):
    what: Literal["audit", "journal", "history"] = Field(
        default="audit", description="Which record; journal and history are one room's."
    )
    room: str | None = Field(default=None, description="Only of this room.")
    format: Literal["csv", "jsonl"] = Field(default="csv", description="`csv`, or `jsonl`: one JSON object a line.")


@dataclass(frozen=True, slots=True)
class Export:
    """A file to hand out."""

    file_name: str
    media_type: str
    text: str


async def export(desk: Verbs, call: Call[Exporting]) -> Export:
    """Return a whole record, oldest first."""
    asked = call.arguments
    if asked.what != "audit" and asked.room is None:
        raise Mistaken([Mistake("room", "is missing", f"a {asked.what} is one room's")])
    if asked.what == "history":
        lines = await _history(desk, call)
    else:
        page = _audit_page if asked.what == "audit" else _journal_page
        lines = await _all_pages(lambda cursor: page(desk, call, cursor))
        lines.reverse()
    stem = f"waitroom-{asked.what}" + (f"-{asked.room}" if asked.room else "")
    if asked.format == "csv":
        return Export(f"{stem}.csv", "text/csv", as_csv(lines))
    return Export(f"{stem}.jsonl", "application/x-ndjson", as_json_lines(lines))


async def _audit_page(desk: Verbs, call: Call[Exporting], cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    page = AuditPage(room=call.arguments.room, cursor=cursor, limit=_PAGE)
    answer = await audit(desk, Call("", page, call.author))
    return answer["changes"], answer["next"]


async def _journal_page(desk: Verbs, call: Call[Exporting], cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    assert call.arguments.room is not None
    desk.store.record(call.arguments.room)
    answer = await journal(desk, Call(call.arguments.room, JournalPage(cursor=cursor, limit=_PAGE), call.author))
    return answer["lines"], answer["next"]


async def _history(desk: Verbs, call: Call[Exporting]) -> list[dict[str, Any]]:
    assert call.arguments.room is not None
    desk.store.record(call.arguments.room)
    two_days = HistoryRange(since_ms=max(0, desk.store.now_ms() - _HISTORY_MS))
    lines: list[dict[str, Any]] = (await history(desk, Call(call.arguments.room, two_days, call.author)))["points"]
    return lines


async def _all_pages(
    page: Callable[[str], Awaitable[tuple[list[dict[str, Any]], str | None]]],
) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None and len(lines) < _MOST_LINES:
        more, cursor = await page(cursor)
        lines += more
    return lines


def as_json_lines(lines: Iterable[dict[str, Any]]) -> str:
    """Return one JSON object a line."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def as_csv(lines: list[dict[str, Any]]) -> str:
    """Return CSV (RFC 4180) with a head line; tables in a cell are JSON. A cell never reads as a formula."""
    written = io.StringIO()
    if lines:
        rows = csv.DictWriter(written, list(lines[0]))
        rows.writeheader()
        rows.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return written.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = str(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
