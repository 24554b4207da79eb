"""What operators do to the queue and to single visitors, who are known by the short code that their page shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from waitroom.domain.audit import Deed
from waitroom.domain.journal import KINDS
from waitroom.domain.short_code import read_short_code, short_code
from waitroom.errors import Mistake, Refused, VersionConflict

from .call import Arguments, Mistaken, Stale

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from waitroom.domain.journal import JournalLine

    from .call import Call
    from .desk import Verbs

MOST_AT_ONCE: Final = 1_000
LOOKED_AT_ONCE: Final = 200_000
"""So many visitors are looked at before a search answers how far it came."""
_JOURNAL_PAGE: Final = 1_000
_NOT_ADMITTED: Final = {
    "paused": "the room is paused; use `resume` first",
    "closed": "the room is closed; use `open` first",
    "off": "the room is off: everybody passes",
    "recovering": "the room recovers from a loss of the store's memory; try again in a moment",
}
_NOT_PLACED: Final = {
    "active": "the visitor is inside",
    "called": "it is the visitor's turn already",
    "closed": "the room is closed: nobody waits",
    "off": "the room is off: everybody passes",
    "limit": "as many as the room's front_limit allows were put back today",
}


class Admitting(Arguments):
    count: int = Field(ge=1, le=MOST_AT_ONCE, description="How many of the next in the queue.")


class Code(Arguments):
    code: str = Field(description="The short code that the visitor's page shows, such as 7F3K-92QD.")


class Searching(Code):
    cursor: str = Field(
        default="",
        pattern=r"^((called|active|missed|queue):[0-9]{1,20}|journal:[0-9]{1,15}-[0-9]{1,12})?$",
        description="`next` of the answer before, to go on with the search.",
    )


async def admit(desk: Verbs, call: Call[Admitting]) -> dict[str, Any]:
    """Call the next visitors at once; `Refused` (409) when the room admits nobody. Returns `{"asked", "called"}`."""
    count = call.arguments.count
    word, called = await desk.store.admit(call.room, count, Deed(call.author, "admit", {"count": [0, count]}))
    if word != "called":
        raise Refused(_NOT_ADMITTED[word], status=409)
    desk.tell(call.room, call.author, "admit", people=called)
    return {"asked": count, "called": called}


async def reset(desk: Verbs, call: Call[Arguments]) -> dict[str, Any]:
    """Empty the queue; their tokens are new arrivals. Returns `{"people"}`: how many lost their place."""
    try:
        people = await desk.store.reset(call.room, Deed(call.author, "reset"), expected_version=call.expected_version)
    except VersionConflict as conflict:
        raise Stale(conflict.current, await desk.since(call.room, call.expected_version or 0)) from None
    desk.tell(call.room, call.author, "reset", people=people)
    return {"people": people}


def dismissing(action: str) -> Callable[[Verbs, Call[Code]], Awaitable[dict[str, Any]]]:
    """Return what `release` (the session ends) or `revoke` (session and place end) does."""

    async def dismiss(desk: Verbs, call: Call[Code]) -> dict[str, Any]:
        code, visitor = await _known(desk, call)
        deed = Deed(call.author, action, subject=code)
        ended = await desk.store.dismiss(call.room, visitor, revoke=action == "revoke", deed=deed)
        if ended:
            desk.tell(call.room, call.author, action)
        return {"code": code, "ended": ended}

    return dismiss


async def front(desk: Verbs, call: Call[Code]) -> dict[str, Any]:
    """Put a visitor back at the front, for a reason; `Refused` when they need it not (409) or too often a day (429)."""
    if not call.author.reason:
        raise Mistaken([Mistake("reason", "is missing", "say why this visitor comes before all others")])
    code, visitor = await _known(desk, call)
    limit = desk.store.record(call.room).room.front_limit
    word, position = await desk.store.front(
        call.room, visitor, most_a_day=limit, deed=Deed(call.author, "front", subject=code)
    )
    if word != "placed":
        raise Refused(_NOT_PLACED[word], status=429 if word == "limit" else 409)
    desk.tell(call.room, call.author, "front")
    return {"code": code, "position": position}


async def find(desk: Verbs, call: Call[Searching]) -> dict[str, Any]:
    """Return a visitor's story, or how far the search came.

    `{"code", "found": true, "now": {…}, "story": [line, …]}`, oldest first; or `{"code", "found": false, "looked_at",
    "next"}`, where `next` is null when nobody has that code.
    """
    code = _code(call.arguments.code)
    visitor, cursor, looked_at = await _search(desk, call.room, code, call.arguments.cursor)
    if visitor is None:
        return {"code": code, "found": False, "looked_at": looked_at, "next": cursor}
    place = await desk.store.look(call.room, visitor)
    lines = await _story(desk, call.room, visitor)
    return {
        "code": code,
        "found": True,
        "now": asdict(place),
        "story": [told(line) for line in reversed(lines)],
    }


def told(line: JournalLine) -> dict[str, Any]:
    """Return a line of the journal as operators read it: by short code, never by id."""
    return {
        "id": line.id,
        "at_ms": line.at_ms,
        "kind": line.kind,
        "words": KINDS.get(line.kind, line.kind),
        "code": short_code(line.visitor) if line.visitor else None,
        "score_us": line.score_us,
    }


async def _story(desk: Verbs, room: str, visitor: str) -> list[JournalLine]:
    """Return what happened to a visitor, newest first."""
    found: list[JournalLine] = []
    before = ""
    while True:
        page = await desk.store.journal(room, before=before, limit=_JOURNAL_PAGE)
        found += [line for line in page if line.visitor in {visitor, ""} and line.id != before]
        if len(page) < _JOURNAL_PAGE:
            break
        before = page[-1].id
    oldest = next((line.at_ms for line in reversed(found) if line.visitor), None)
    return [line for line in found if oldest is not None and line.at_ms >= oldest]


async def _search(desk: Verbs, room: str, code: str, cursor: str) -> tuple[str | None, str | None, int]:
    looked_at = 0
    while True:
        search = await desk.store.find(room, code, cursor=cursor)
        looked_at += search.looked_at
        if search.visitor is not None or search.cursor is None or looked_at >= LOOKED_AT_ONCE:
            return search.visitor, search.cursor, looked_at
        cursor = search.cursor


async def _known(desk: Verbs, call: Call[Code]) -> tuple[str, str]:
    """Return the code and the id of the visitor meant; `Refused` (404) when nobody is."""
    code = _code(call.arguments.code)
    visitor, cursor = None, ""
    while visitor is None:
        visitor, more, _ = await _search(desk, call.room, code, cursor)
        if visitor is None and more is None:
            raise Refused(f"nobody in this room has the code {code}; the journal may not reach back so far", status=404)
        cursor = more or ""
    return code, visitor


def _code(text: str) -> str:
    try:
        return read_short_code(text)
    except ValueError as error:
        raise Mistaken([Mistake("code", str(error))]) from None
