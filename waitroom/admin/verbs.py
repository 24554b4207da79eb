"""What an operator can do, checked and written down. The API and the command line are faces of this list.

Every change is compare-and-set on the room's version and is logged with who, what it was and is, and why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from waitroom.domain.admission import limiting
from waitroom.domain.audit import FROM_FILE, Author
from waitroom.domain.room import LIVE_FIELDS, Mode, Room
from waitroom.errors import Mistake, Refused, StoreUnavailable, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from waitroom.domain.visit import Census
    from waitroom.logs import Log
    from waitroom.metrics import Metrics
    from waitroom.store.base import OperatorStore, RoomRecord

_ATTEMPTS: Final = 5
_LONGEST_REASON: Final = 500

MODE_VERBS: Final[dict[str, tuple[Mode, frozenset[Mode]]]] = {
    "pause": (Mode.PAUSED, frozenset({Mode.ON, Mode.OFF})),
    "resume": (Mode.ON, frozenset({Mode.PAUSED})),
    "close": (Mode.CLOSED, frozenset({Mode.ON, Mode.PAUSED, Mode.OFF})),
    "open": (Mode.ON, frozenset({Mode.CLOSED, Mode.OFF})),
}
"""Verb → the mode it leads to, and the modes it leads from. Where it stands already, nothing is done."""


class Mistaken(Refused):
    """Changes that cannot be made; `mistakes` holds all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(str(mistake) for mistake in mistakes), status=422)
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class RoomState:
    """A room as operators see it."""

    name: str
    version: int
    room: Room
    live: Mapping[str, Any]
    census: Census | None
    """None while the store is away and nothing was heard yet."""
    store_available: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "mode": self.room.mode.value,
            "room": self.room.model_dump(mode="json"),
            "live": dict(self.live),
            "census": None if self.census is None else asdict(self.census),
            "limiting": None if self.census is None else limiting(self.room, self.census).value,
            "store_available": self.store_available,
        }


class Verbs:
    """The verbs over one store; `names()` returns the configured rooms as they are now."""

    def __init__(self, store: OperatorStore, names: Callable[[], Iterable[str]], metrics: Metrics, log: Log) -> None:
        self._store = store
        self._names = names
        self._metrics = metrics
        self._log = log

    async def rooms(self) -> list[RoomState]:
        """Return every room, in the configuration's order."""
        return [await self.show(name) for name in self._names()]

    async def show(self, name: str) -> RoomState:
        """Return one room: fresh from the store, or as last heard while it is away; raises `RoomUnknown`."""
        self._store.record(name)
        try:
            census: Census | None = await self._store.census(name)
        except StoreUnavailable:
            return self._state(name, self._store.last_census(name), answered=False)
        return self._state(name, census, answered=True)

    async def change(
        self, name: str, changes: Mapping[str, Any], author: Author, *, expected_version: int | None = None
    ) -> RoomState:
        """Change live settings of a room, all or none.

        A value of None means no limit, `"file"` the value of the configuration file. Raises `RoomUnknown`, `Mistaken`,
        `StoreUnavailable`, and `VersionConflict` when the room is not at `expected_version`.
        """
        return await self._apply(name, author, "change", lambda record: checked(record, changes), expected_version)

    async def turn(self, name: str, verb: str, author: Author, *, expected_version: int | None = None) -> RoomState:
        """Pause, resume, close or open a room; `Refused` (409) from a mode that the verb does not lead from."""

        def live(record: RoomRecord) -> dict[str, Any]:
            goal, sources = MODE_VERBS[verb]
            mode = record.room.mode
            if mode is not goal and mode not in sources:
                raise Refused(f"the room is {mode.value}; {_way_out(mode, goal)}", status=409)
            return dict(record.live) if mode is goal else dict(record.live) | {"mode": goal.value}

        return await self._apply(name, author, verb, live, expected_version)

    async def _apply(
        self,
        name: str,
        author: Author,
        action: str,
        live: Callable[[RoomRecord], dict[str, Any]],
        expected_version: int | None,
    ) -> RoomState:
        if len(author.reason) > _LONGEST_REASON:
            raise Mistaken([Mistake("reason", f"longer than {_LONGEST_REASON} characters")])
        attempt = 0
        while True:
            attempt += 1
            self._store.record(name)
            await self._store.census(name)  # so that the record is the one that stands
            before = self._store.record(name)
            if expected_version is not None and expected_version > before.version:
                raise VersionConflict(before.version)
            wanted = live(before)
            if wanted == before.live and expected_version in {None, before.version}:
                return await self.show(name)
            try:
                after = await self._store.configure(
                    name,
                    wanted,
                    expected_version=before.version if expected_version is None else expected_version,
                    author=author,
                    action=action,
                )
            except VersionConflict:
                if expected_version is not None or attempt == _ATTEMPTS:
                    raise
                continue
            if after.version > before.version:
                self._tell(name, author, action, before, after)
            return await self.show(name)

    def _tell(self, name: str, author: Author, action: str, before: RoomRecord, after: RoomRecord) -> None:
        self._metrics.admin_change(name, action)
        self._log.info(
            "room_changed",
            room=name,
            action=action,
            who=author.who,
            source=author.source.value,
            changed=" ".join(differences(before.room, after.room)) or "nothing",
            reason=author.reason,
            request=author.request_id,
            version=after.version,
        )

    def _state(self, name: str, census: Census | None, *, answered: bool) -> RoomState:
        record = self._store.record(name)
        return RoomState(
            name=name,
            version=record.version,
            room=record.room,
            live=record.live,
            census=census,
            store_available=answered and self._store.available,
        )


def _way_out(mode: Mode, goal: Mode) -> str:
    if goal is Mode.ON:
        return "use `resume`" if mode is Mode.PAUSED else "use `open`"
    return "use `open` first"


def differences(before: Room, after: Room) -> list[str]:
    """Return what changed as `key:from->to`."""

    def shown(value: Any) -> str:
        return "none" if value is None else str(value)

    return [
        f"{key}:{shown(getattr(before, key))}->{shown(getattr(after, key))}"
        for key in LIVE_FIELDS
        if getattr(before, key) != getattr(after, key)
    ]


def checked(record: RoomRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the live settings of `record` with `changes` on top; raises `Mistaken` with every mistake."""
    mistakes = [
        Mistake(key, "is not a setting that can be changed live", _meant(key))
        for key in changes
        if key not in LIVE_FIELDS
    ]
    if not changes:
        mistakes.append(Mistake("changes", "is empty", f"any of {', '.join(LIVE_FIELDS)}"))
    live = {key: value for key, value in record.live.items() if key in LIVE_FIELDS}
    for key, value in changes.items():
        if key not in LIVE_FIELDS:
            continue
        if value == FROM_FILE:
            live.pop(key, None)
        elif isinstance(value, list) or (isinstance(value, bool) and Room.model_fields[key].annotation is not bool):
            mistakes.append(Mistake(key, "must be a number, a word or null"))
        else:
            live[key] = value
    if "message" in changes and "message_until" not in changes:
        live["message_until"] = None  # the moment of the message before says nothing about this one
    seed = record.seed or record.room.model_dump(mode="json")
    try:
        room = Room.model_validate(seed | live)
    except ValidationError as error:
        mistakes += [Mistake(".".join(map(str, one["loc"])) or "room", _words(one["msg"])) for one in error.errors()]
    if mistakes:
        raise Mistaken(mistakes)
    resolved = room.model_dump(mode="json")
    return {key: resolved[key] for key in live}


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


def _meant(key: str) -> str:
    close = get_close_matches(key, LIVE_FIELDS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"one of {', '.join(LIVE_FIELDS)}"
