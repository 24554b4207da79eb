"""What operators ask of the store, on top of what visitors need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.audit import read_line
from waitroom.domain.history import STEPS, Sample, step_for
from waitroom.domain.journal import JournalLine, Place, Search
from waitroom.domain.short_code import mark_of, mark_of_code
from waitroom.domain.uptake import Running, read_running
from waitroom.errors import VersionConflict

from .keys import HOUSE, key
from .redis import RedisStore, new_generation

if TYPE_CHECKING:
    from waitroom.domain.audit import AuditLine, Deed
    from waitroom.domain.room import Room

SEARCHED: Final = ("called", "active", "missed", "queue", "journal")
"""Where a visitor may be known, the small ones first."""
_FORGOTTEN_MS: Final = 600_000
_STEP: Final = 1_000
_STEPS_A_CALL: Final = 20


class RedisOperatorStore(RedisStore):
    """`OperatorStore` on Redis or Valkey."""

    async def audit(self, room: str, *, before: str = "", limit: int) -> list[AuditLine]:
        entries = await self._entries("audit", room, before, limit)
        return [read_line(id_, facts, "" if room == HOUSE else room) for id_, facts in entries]

    async def journal(self, room: str, *, before: str = "", limit: int) -> list[JournalLine]:
        entries = await self._entries("journal", room, before, limit)
        return [
            JournalLine(id_, int(id_.partition("-")[0]), facts["kind"], facts["visitor"], int(facts["score"]))
            for id_, facts in entries
        ]

    async def create(self, room: Room, deed: Deed) -> bool:
        await self.follow_rooms()
        if room.name in self._memories and not await self._made_by(room.name, deed):
            return False
        done, _ = await self._call(
            "define", HOUSE, deed.author.request_id, deed.as_line(), room.name, room.model_dump_json()
        )
        await self.follow_rooms()
        if done:
            await self._seed_room(room.name)
        return bool(done)

    async def _made_by(self, room: str, deed: Deed) -> bool:
        """Whether this very request made the room before."""
        lines = await self.audit(HOUSE, limit=100)
        return any((line.room, line.request_id) == (room, deed.author.request_id) for line in lines)

    async def remove(self, room: str, deed: Deed) -> bool:
        done, _ = await self._call("define", HOUSE, deed.author.request_id, deed.as_line(), room, "")
        await self.follow_rooms()
        return bool(done)

    async def audit_logs(self) -> list[str]:
        names: list[bytes] = await self.command("rooms", "HKEYS", key(HOUSE, "rooms"))
        made = {name.decode() for name in names} - {"_version"}
        return [*self._memories, *sorted(made - set(self._memories)), HOUSE]

    async def running(self) -> list[Running]:
        words: list[bytes] = await self.command("gateways", "HGETALL", key(HOUSE, "gateways"))
        known = [read_running(name.decode(), text) for name, text in zip(words[::2], words[1::2], strict=True)]
        gone = [one.gateway for one in known if self.now_ms() - one.at_ms > _FORGOTTEN_MS]
        if gone:
            await self.command("gateways", "HDEL", key(HOUSE, "gateways"), *gone)
        return [one for one in known if one.gateway not in gone]

    async def admit(self, room: str, count: int, deed: Deed) -> tuple[str, int]:
        word, *number = await self._run("admit", room, new_generation(), count, deed.author.request_id, deed.as_line())
        return word.decode(), int(number[0]) if number else 0

    async def dismiss(self, room: str, visitor: str, *, revoke: bool, deed: Deed) -> bool:
        purpose = "revoke" if revoke else "release"
        (ended,) = await self._run(
            "dismiss", room, new_generation(), visitor, purpose, deed.author.request_id, deed.as_line()
        )
        return bool(ended)

    async def front(self, room: str, visitor: str, *, most_a_day: int, deed: Deed) -> tuple[str, int]:
        word, *position = await self._run(
            "front", room, new_generation(), visitor, most_a_day, deed.author.request_id, deed.as_line()
        )
        return word.decode(), int(position[0]) if position else 0

    async def reset(self, room: str, deed: Deed, *, expected_version: int | None) -> int:
        expected = "" if expected_version is None else expected_version
        done, version, people = await self._run(
            "reset", room, new_generation(), expected, deed.author.request_id, deed.as_line()
        )
        if not done:
            raise VersionConflict(int(version))
        await self._follow_version(room, int(version))
        return int(people)

    async def history(self, room: str, *, since_ms: int, until_ms: int) -> tuple[int, list[Sample]]:
        name, step_seconds = step_for(self.now_ms() - since_ms)
        for finer, seconds, kept in STEPS:
            # What was never trimmed reaches back to the room's beginning, however long ago was asked for.
            if seconds < step_seconds and await self.command("history", "XLEN", key(room, finer)) < kept:
                name, step_seconds = finer, seconds
                break
        from_ms = max(0, since_ms - step_seconds * 1000)  # one before, to know what happened since
        entries = await self.command("history", "XRANGE", key(room, name), from_ms, until_ms)
        samples = [Sample(int(id_.partition(b"-")[0]), _numbers(pairs)) for id_, pairs in entries]
        return step_seconds, samples

    async def look(self, room: str, visitor: str) -> Place:
        state, score, position, left = await self._run("look", room, visitor)
        return Place(state.decode(), int(score), int(position), int(left))

    async def find(self, room: str, code: str, *, cursor: str = "") -> Search:
        looked_at, mark = 0, mark_of_code(code)
        place, _, at = cursor.partition(":")
        places = SEARCHED[SEARCHED.index(place) if place in SEARCHED else 0 :]
        for name in places:
            for _ in range(_STEPS_A_CALL):
                visitors, at = await self._some_visitors(room, name, at)
                looked_at += len(visitors)
                found = next((visitor for visitor in visitors if mark_of(visitor) == mark), None)
                if found is not None:
                    return Search(found.decode(), None, looked_at)
                if not at:
                    break
            else:
                return Search(None, f"{name}:{at}", looked_at)
        return Search(None, None, looked_at)

    async def _some_visitors(self, room: str, name: str, at: str) -> tuple[list[bytes], str]:
        """Return some of the visitors that a key knows, and where to go on; empty at its end."""
        if name == "journal":
            lines = await self.journal(room, before=at, limit=_STEP)
            known = [line.visitor.encode() for line in lines if line.visitor]
            return known, lines[-1].id if len(lines) == _STEP else ""
        scanned, pairs = await self.command("find", "ZSCAN", key(room, name), at or "0", "COUNT", _STEP)
        return pairs[::2], "" if scanned == b"0" else scanned.decode()

    async def _entries(self, name: str, room: str, before: str, limit: int) -> list[tuple[str, dict[str, str]]]:
        """Return entries of a stream, newest first."""
        entries = await self.command(name, "XREVRANGE", key(room, name), before or "+", "-", "COUNT", limit)
        return [(id_.decode(), _texts(pairs)) for id_, pairs in entries]


def _numbers(pairs: list[Any]) -> dict[str, int]:
    return {name: int(value) for name, value in _texts(pairs).items()}


def _texts(pairs: list[Any]) -> dict[str, str]:
    """Return a stream entry's fields."""
    words = [word.decode() for word in pairs]
    return dict(zip(words[::2], words[1::2], strict=True))
