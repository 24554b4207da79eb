"""The promise kept: one verb, one script, one round trip."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from waitroom.domain.audit import Author, Deed, Source, steps_between, undoing
from waitroom.domain.message import said
from waitroom.domain.room import LIVE_FIELDS, Mode, Room, known_settings, wrong_in
from waitroom.domain.sketch import FRONT, LONGEST_QUEUE, ranks
from waitroom.domain.snapshot import Pulse, Snapshot
from waitroom.domain.uptake import Running
from waitroom.domain.visit import Answer, Census, Renewal, Visit
from waitroom.errors import Refused, RoomUnknown, StartError, StoreUnavailable, VersionConflict

from .base import Purpose, RoomRecord
from .calls import Calls
from .clock import StoreClock
from .keys import FORMAT, HOUSE, NAMES, key
from .records import READ, fields_of, merged, read_record, seeded
from .scripts import load_scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from waitroom.domain.claims import PassClaims, QueueClaims

    from .calls import StoreObserver
    from .client import Client
    from .wire import Word

UNCONFIGURED = b"unconfigured"
_ATTEMPTS = 5
_COUNTS, _PULSED = len(fields(Census)), len(fields(Pulse))
"""A snapshot may be made by another version of Waitroom, which counts more behind what this one knows, or less."""


@dataclass(slots=True)
class _Memory:
    """What this process remembers of a room, and tells a store that forgot (lua/lib/recover.lua)."""

    record: RoomRecord
    generation: str = ""
    heard_ms: int = 0
    active: int = 0
    entries: int = 0
    moments: int = 0
    census: Census | None = None
    unreadable_version: int | None = None
    """Of the record, when this version of Waitroom cannot read what another one wrote."""
    unfit: str = ""
    """What of the configuration could not be taken up beside what is set live."""

    def arguments(self) -> tuple[str, int, int, int, int]:
        return self.generation, self.heard_ms, self.active, self.entries, self.moments


class RedisStore:
    """`Store` on Redis or Valkey 6.2 and later.

    `clock` is the process's own monotonic clock in seconds; `store_time_us` replaces the store's `TIME` in tests.
    """

    def __init__(
        self,
        client: Client,
        rooms: Iterable[Room],
        *,
        observer: StoreObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        store_time_us: Callable[[], int] | None = None,
    ) -> None:
        self._clock = clock
        self._calls = Calls(client, observer, clock, lambda: (key(room, "state") for room in self._memories))
        self._store_time_us = store_time_us
        self._scripts = load_scripts()
        self._memories: dict[str, _Memory] = {}
        self._file_rooms: list[Room] = []
        self._made_rooms: dict[str, Room] = {}
        self._made_version = 0
        self._keys: dict[tuple[str, str], tuple[str, ...]] = {}
        self._unreadable: dict[str, str] = {}
        """Rooms of which another version of Waitroom wrote what this one cannot read, and what that is."""
        self._store_clock = StoreClock(clock, time.time() * 1000)
        self.rooms = rooms

    @property
    def rooms(self) -> list[Room]:
        """The rooms as the configuration seeds them."""
        return [Room.model_validate(memory.record.seed) for memory in self._memories.values()]

    @rooms.setter
    def rooms(self, rooms: Iterable[Room]) -> None:
        self._file_rooms = list(rooms)
        self._remember()

    @property
    def made_rooms(self) -> list[Room]:
        """The rooms made at run time, as they were made."""
        known = {room.name for room in self._file_rooms}
        return [room for name, room in sorted(self._made_rooms.items()) if name not in known]

    def _remember(self) -> None:
        memories: dict[str, _Memory] = {}
        for room in (*self._file_rooms, *self.made_rooms):
            known = self._memories.get(room.name)
            if known is None:
                memories[room.name] = _Memory(RoomRecord(room, 0, 1, seed=room.model_dump(mode="json")))
                continue
            memories[room.name] = known
            try:
                known.record = merged(room, known.record)
            except ValidationError as error:
                known.unfit = _unfit(error, room.name)
            else:
                known.unfit = ""
        self._memories = memories

    # What is known without asking.

    @property
    def unreadable(self) -> dict[str, str]:
        """Rooms that could not be taken up as they were written, and why."""
        return self._unreadable | {name: memory.unfit for name, memory in self._memories.items() if memory.unfit}

    @property
    def available(self) -> bool:
        return self._calls.available

    def now_ms(self) -> int:
        return int(self._store_clock.now_ms())

    def record(self, room: str) -> RoomRecord:
        return self._memory(room).record

    def last_census(self, room: str) -> Census | None:
        memory = self._memories.get(room)
        return None if memory is None else memory.census

    # The verbs.

    async def enter(self, room: str, visitor: str, *, claims: QueueClaims | None, purpose: Purpose) -> Visit:
        memory = self._memory(room)
        token: tuple[Word, Word, Word, Word] = ("", "", "", "")
        if claims is not None:
            token = (claims.score_us, claims.epoch, claims.generation, int(claims.provisional))
        reply = await self._run("enter", room, visitor, purpose.value, *token, new_generation(), *memory.arguments())
        answer, now_ms, version, generation, epoch, score, position, end, left, *facts = reply
        generation = generation.decode()
        self._heard(memory, now_ms, generation, *facts)
        if int(version) != memory.record.version:
            await self._follow_version(room, int(version))
        return Visit(
            answer=Answer(answer.decode()),
            visitor=visitor,
            now_ms=int(now_ms),
            generation=generation,
            epoch=int(epoch),
            score_us=int(score),
            position=int(position),
            session_end_ms=int(end),
            left_ms=int(left),
        )

    async def count_join(self, room: str, network: str, *, most_a_minute: int) -> int:
        now_us: Word = "" if self._store_time_us is None else self._store_time_us()
        return int(await self.call("join", (f"{key(room, 'joins')}:{network}",), now_us, most_a_minute))

    async def beat(self, room: str) -> Census:
        memory = self._memory(room)
        reply = await self._run("beat", room, new_generation(), *memory.arguments())
        return await self._take_census(room, reply)

    async def census(self, room: str) -> Census:
        return await self._take_census(room, await self._run("census", room))

    async def renew(self, room: str, claims: PassClaims) -> Renewal:
        memory = self._memory(room)
        reply = await self._run(
            "renew", room, claims.visitor, claims.session_end_ms, claims.generation, int(claims.provisional),
            new_generation(), *memory.arguments(),
        )  # fmt: skip
        active, now_ms, version, generation, end, *facts = reply
        self._heard(memory, now_ms, generation.decode(), *facts)
        await self._follow_version(room, int(version))
        return Renewal(active=bool(active), now_ms=int(now_ms), generation=generation.decode(), session_end_ms=int(end))

    async def leave(self, room: str, visitor: str) -> bool:
        return bool((await self._run("leave", room, visitor, new_generation()))[0])

    async def release(self, room: str, visitor: str, *, generation: str = "") -> bool:
        return bool((await self._run("release", room, visitor, generation, new_generation()))[0])

    async def snapshot(self, room: str) -> Snapshot:
        census = self._memory(room).census
        # The queue may have grown since the census; ranks beyond its end cost next to nothing.
        longest = LONGEST_QUEUE if census is None else 2 * census.waiting + 10_000
        (text,) = await self._run("snapshot", room, FRONT, *ranks(longest))
        facts = json.loads(text)
        return Snapshot(
            _census(facts["census"]),
            facts["frontier_us"],
            tuple((score_us, position) for score_us, position in facts["points"]),
            tuple(Pulse(*numbers[:_PULSED]) for numbers in facts["pulses"] if len(numbers) >= _PULSED),
        )

    async def configure(
        self, room: str, live: dict[str, Any], *, expected_version: int | None, author: Author, action: str = "change"
    ) -> RoomRecord:
        memory = self._memory(room)
        for attempt in range(1, _ATTEMPTS + 1):
            record = await self._read_record(room)
            if forbidden := set(live) - set(LIVE_FIELDS) - set(record.live):
                raise Refused(f"cannot be changed live: {', '.join(sorted(forbidden))}")
            seed = Room.model_validate(memory.record.seed)
            try:
                changed = self._with_message(merged(seed, replace(record, live=live)))
                steps = steps_between(_in_force(seed, record), changed.room)
            except ValidationError as error:
                raise Refused(_in_words(error, room)) from error
            deed = Deed(author, action, steps, undoing(record.live, live))
            expected = record.version if expected_version is None else expected_version
            try:
                version = await self._write(room, changed, expected, deed)
            except VersionConflict:
                if expected_version is not None or attempt == _ATTEMPTS:
                    raise
            else:
                break
        memory.record = replace(changed, version=version)
        if version != expected + 1:  # this request was answered before, and others may have come after it
            await self._follow_version(room, -1)
        return memory.record

    async def seed(self) -> None:
        await self._agree_on_format()
        refused: list[str] = []
        for room in self._memories:
            try:
                await self._seed_room(room)
            except ValidationError as error:
                refused.append(f"{room}: {_unfit(error, room)}")
        if refused:
            raise Refused("; ".join(refused))

    async def _agree_on_format(self) -> None:
        """Write down the format of what this version keeps; raises `StartError` where a later one stands."""
        where = key(HOUSE, "format")
        found = int(await self.command("format", "GET", where) or 0)
        if found > FORMAT:
            raise StartError(
                f"a later version of Waitroom keeps its queues in this store (format {found}, this one reads up to "
                f"{FORMAT}): start that version, or give this one a store of its own"
            )
        if found < FORMAT:
            await self.command("format", "SET", where, FORMAT)

    async def _seed_room(self, room: str) -> None:
        memory = self._memory(room)
        record = await self._read_record(room)
        wanted = self._with_message(merged(Room.model_validate(memory.record.seed), record))
        if (wanted.seed, wanted.messages) != (record.seed, record.messages):
            before = merged(seeded(wanted.room, record), record).room if record.seed else wanted.room
            author = Author("configuration file", secrets.token_hex(8), Source.FILE)
            deed = Deed(author, "configuration", steps_between(before, wanted.room))
            version = await self._write(room, wanted, record.version, deed)
            wanted = replace(wanted, version=version)
        memory.record = wanted

    async def sample(self, room: str, counts: Mapping[str, int]) -> None:
        """Add what this process measured, and write this second's sample of the room unless somebody did."""
        await self._run("sample", room, *(word for pair in counts.items() for word in pair))

    async def say_running(self, gateway: str, versions: Mapping[str, int]) -> None:
        """Keep which version of each room a gateway process runs."""
        said = Running(gateway, self.now_ms(), versions)
        await self.command("gateways", "HSET", key(HOUSE, "gateways"), gateway, said.as_text())

    async def say_ended(self, gateway: str) -> None:
        """Forget a gateway process."""
        await self.command("gateways", "HDEL", key(HOUSE, "gateways"), gateway)

    async def follow_rooms(self, changed: Callable[[], None] = lambda: None) -> bool:
        """Take up what rooms were made or removed at run time; True when there were any.

        `changed` is called in the same turn of the loop, so that nobody names a room that is not known any more.
        """
        index = key(HOUSE, "rooms")
        version = int(await self.command("rooms", "HGET", index, "_version") or 0)
        if version == self._made_version:
            return False
        if version < self._made_version:
            made = [word for name, room in self._made_rooms.items() for word in (name, room.model_dump_json())]
            await self._call("recall", HOUSE, self._made_version, *made)
            return False
        words: list[bytes] = await self.command("rooms", "HGETALL", index)
        facts = {name.decode(): text for name, text in zip(words[::2], words[1::2], strict=True)}
        version = int(facts.pop("_version", b"0"))
        before = {room.name for room in self.made_rooms}
        made_rooms: dict[str, Room] = {}
        for name, text in facts.items():
            self._unreadable.pop(name, None)
            try:
                if text:
                    made_rooms[name] = Room.model_validate(known_settings(json.loads(text)))
            except ValidationError as error:
                self._unreadable[name] = f"upgrade this machine: {_in_words(error, name)}"
                if name in self._made_rooms:
                    made_rooms[name] = self._made_rooms[name]
        self._made_rooms = made_rooms
        self._remember()
        changed()
        self._made_version = version
        # The last process to hear of it removes what those before it still wrote.
        for name in before - {room.name for room in self.made_rooms} - {room.name for room in self._file_rooms}:
            await self.command("rooms", "UNLINK", *(key(name, one) for one in NAMES if one not in {"audit", "rooms"}))
        return True

    async def aclose(self) -> None:
        await self._calls.aclose()

    # Configuration in the store.

    def _with_message(self, record: RoomRecord) -> RoomRecord:
        return replace(record, messages=said(record.messages, record.room.message, self.now_ms()))

    async def _read_record(self, room: str) -> RoomRecord:
        """Read the room's record; one that the store does not have is restored from what is remembered."""
        memory = self._memory(room)
        for _ in range(2):
            values = await self.command("configure", "HMGET", key(room, "config"), *READ)
            if values[0] is not None:
                return read_record(values, memory.record.room)
            await self._restore(room)
        raise StoreUnavailable(f"room {room}: the store keeps losing its configuration")

    async def _restore(self, room: str) -> None:
        record = self._memory(room).record
        await self._call(
            "configure", room,
            "restore", max(1, record.version), "", record.epoch, "", *fields_of(record),
        )  # fmt: skip

    async def _write(self, room: str, record: RoomRecord, expected: int, deed: Deed) -> int:
        written, version = await self._call(
            "configure", room,
            expected, "", deed.author.request_id, record.epoch, deed.as_line(), *fields_of(record),
        )  # fmt: skip
        if not written:
            raise VersionConflict(int(version))
        return int(version)

    async def _follow_version(self, room: str, version: int) -> None:
        memory = self._memories.get(room)
        if memory is None:
            return  # it was removed while the store was asked
        if version in {memory.record.version, memory.unreadable_version}:
            return
        if -1 < version < memory.record.version:  # the store knows an older copy, and versions only rise
            await self._restore(room)
            return
        record = await self._read_record(room)
        # The seed that this process was configured with may be newer than the one in the store for a moment, while
        # a reload goes through; what is in force is what the store says.
        try:
            memory.record = merged(seeded(Room.model_validate(memory.record.seed), record), record)
        except ValidationError as error:
            memory.unreadable_version = record.version
            self._unreadable[room] = f"upgrade this machine, version {record.version} is: {_in_words(error, room)}"
        else:
            memory.unreadable_version = None
            self._unreadable.pop(room, None)

    # Calls.

    def _memory(self, room: str) -> _Memory:
        try:
            return self._memories[room]
        except KeyError:
            raise RoomUnknown(f"no room {room!r}") from None

    def _heard(self, memory: _Memory, now_ms: Any, generation: str, active: Any, entries: Any, moments: Any) -> None:
        memory.generation = generation
        memory.heard_ms, memory.active, memory.entries = int(now_ms), int(active), int(entries)
        memory.moments = int(moments)

    async def _take_census(self, room: str, reply: list[Any]) -> Census:
        memory = self._memory(room)
        census = _census([value.decode() if isinstance(value, bytes) else value for value in reply])
        self._heard(memory, census.now_ms, census.generation, census.active, census.entries, census.moments)
        memory.census = census
        await self._follow_version(room, census.version)
        return census

    async def _run(self, verb: str, room: str, *arguments: Word) -> list[Any]:
        """Run a verb's script with the store's time; a room that the store forgot is configured again first."""
        self._memory(room)
        now_us: Word = "" if self._store_time_us is None else self._store_time_us()
        for _ in range(2):
            began = self._clock()
            reply: list[Any] = await self._call(verb, room, now_us, *arguments)
            if reply[0] != UNCONFIGURED:
                if verb in {"beat", "census"}:
                    self._store_clock.learn(began, int(reply[4]))
                return reply
            await self._restore(room)
            if verb in {"census", "snapshot", "look", "sample"}:  # they count a memory that is there; a beat begins one
                begun = await self._run("beat", room, new_generation(), *self._memory(room).arguments())
                if verb == "census":
                    return begun
        raise StoreUnavailable(f"room {room}: the store keeps losing its configuration")

    async def _call(self, verb: str, room: str, *arguments: Word) -> list[Any]:
        script = self._scripts[verb]
        keys = self._keys.get((verb, room))
        if keys is None:
            keys = self._keys[verb, room] = tuple(key(room, name) for name in script.keys)
        reply: list[Any] = await self._calls.script(verb, script, keys, arguments)
        return reply

    async def command(self, verb: str, command: str, key_: str, *words: Word) -> Any:
        """Run one command on a key; `verb` names it in metrics. Raises `StoreUnavailable`."""
        return await self._calls.command(verb, command, key_, *words)

    async def call(self, verb: str, keys: tuple[str, ...], *arguments: Word) -> Any:
        """Run a script on keys that belong to no room; raises `StoreUnavailable`."""
        return await self._calls.script(verb, self._scripts[verb], keys, arguments)


def _census(counts: list[Any]) -> Census:
    """Read a census as lua/lib/census.lua gives it."""
    mode, version, generation, epoch, now_ms, *numbers = counts[:_COUNTS]
    waiting, called, missed, active, entries, reserved, recovering_ms, share, *totals = numbers
    return Census(
        Mode(mode), int(version), generation, int(epoch), int(now_ms),
        int(waiting), int(called), int(missed), int(active), int(entries), int(reserved), int(recovering_ms),
        float(share), *map(int, totals),
    )  # fmt: skip


def _in_force(seed: Room, record: RoomRecord) -> Room:
    """Return the room as it is; of settings that no longer go with those of the file, the file's."""
    try:
        return merged(seed, record).room
    except ValidationError:
        return seed


def _unfit(error: ValidationError, room: str) -> str:
    return f"what is set live does not go with the configuration: {_in_words(error, room)}"


def _in_words(error: ValidationError, room: str) -> str:
    return "; ".join(f"{where or room}: {what}" for where, what in wrong_in(error))


def new_generation() -> str:
    """Return the name of a memory, should one begin with this call."""
    return os.urandom(4).hex()
