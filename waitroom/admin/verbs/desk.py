"""Verbs: calls what the table lists, compares before it sets, and tells the log and the metrics."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.audit import steps_between
from waitroom.domain.uptake import uptake
from waitroom.errors import Mistake, RoomUnknown, StoreUnavailable, VersionConflict

from .call import Call, Mistaken, RoomState, Stale, read_arguments
from .table import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from waitroom.admin.access import Access
    from waitroom.domain.audit import AuditLine, Author
    from waitroom.domain.uptake import Running
    from waitroom.domain.visit import Census
    from waitroom.logs import Log
    from waitroom.metrics import Metrics
    from waitroom.store.base import OperatorStore, RoomRecord

_ATTEMPTS: Final = 5
_LONGEST_REASON: Final = 500
_LINES_LOOKED_AT: Final = 50


class Verbs:
    """The verbs over one store; `names()` returns the rooms there are now."""

    def __init__(
        self,
        store: OperatorStore,
        names: Callable[[], Iterable[str]],
        access: Access,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self.store = store
        self.access = access
        self.names = names
        self._metrics = metrics
        self._log = log

    async def perform(
        self,
        name: str,
        given: Mapping[str, Any],
        author: Author,
        *,
        room: str = "",
        expected_version: int | None = None,
    ) -> Any:
        """Call the verb `name` and return what it answers: a `RoomState`, or what JSON can hold.

        Raises `Mistaken` with every mistake in `given`, `RoomUnknown`, `Refused` (409) where it is not possible as the
        room stands, `Stale` when the room is not at `expected_version`, `StoreUnavailable`.
        """
        verb = VERBS[name]
        if len(author.reason) > _LONGEST_REASON:
            raise Mistaken([Mistake("reason", f"longer than {_LONGEST_REASON} characters")])
        arguments = read_arguments(verb.arguments, given)
        if room:
            self.store.record(room)
        return await verb.act(self, Call(room, arguments, author, expected_version))

    async def rooms(self) -> list[RoomState]:
        """Return every room, in the configuration's order."""
        said = await self._running()
        shown = []
        for name in tuple(self.names()):
            with suppress(RoomUnknown):  # it was removed while the others were asked for
                shown.append(await self._shown(name, said))
        return shown

    async def show(self, name: str) -> RoomState:
        """Return one room: fresh from the store, or as last heard while it is away; raises `RoomUnknown`."""
        self.store.record(name)
        return await self._shown(name, await self._running())

    async def _shown(self, name: str, said: list[Running]) -> RoomState:
        try:
            census: Census | None = await self.store.census(name)
        except StoreUnavailable:
            return self._state(name, self.store.last_census(name), answered=False)
        return self._state(name, census, answered=True, said=said)

    async def _running(self) -> list[Running]:
        with suppress(StoreUnavailable):
            return await self.store.running()
        return []

    async def apply(self, call: Call[Any], action: str, live: Callable[[RoomRecord], dict[str, Any]]) -> RoomState:
        """Give a room the live settings that `live` makes of its record, and return it; all or nothing.

        Without an expected version it is run again when somebody else was faster.
        """
        name, expected = call.room, call.expected_version
        attempt = 0
        while True:
            attempt += 1
            await self.store.census(name)  # so that the record is the one that stands
            before = self.store.record(name)
            if expected is not None and expected > before.version:
                raise Stale(before.version, [])
            wanted = live(before)
            if wanted == before.live and expected in {None, before.version}:
                return await self.show(name)
            try:
                after = await self.store.configure(
                    name,
                    wanted,
                    expected_version=before.version if expected is None else expected,
                    author=call.author,
                    action=action,
                )
            except VersionConflict as conflict:
                if expected is None and attempt < _ATTEMPTS:
                    continue
                raise Stale(conflict.current, await self.since(name, expected or before.version)) from None
            if after.version > before.version:
                self.tell(name, call.author, action, version=after.version, changed=_differences(before, after))
            return await self.show(name)

    def tell(self, room: str, author: Author, action: str, **facts: Any) -> None:
        """Count a change and write it to the process's log; the audit log has it already."""
        self._metrics.admin_change(room, action)
        self._log.info(
            "room_changed",
            room=room,
            action=action,
            who=author.who,
            source=author.source.value,
            reason=author.reason,
            request=author.request_id,
            **facts,
        )

    async def since(self, room: str, version: int) -> list[AuditLine]:
        """Return what was changed after `version`, oldest first."""
        lines = await self.store.audit(room, limit=_LINES_LOOKED_AT)
        return [line for line in reversed(lines) if line.version > version]

    def _state(self, name: str, census: Census | None, *, answered: bool, said: Iterable[Running] = ()) -> RoomState:
        record = self.store.record(name)
        return RoomState(
            name=name,
            version=record.version,
            room=record.room,
            live=record.live,
            census=census,
            store_available=answered and self.store.available,
            uptake=uptake(said, name, record.version, self.store.now_ms()) if answered else None,
        )


def _differences(before: RoomRecord, after: RoomRecord) -> str:
    steps = steps_between(before.room, after.room)
    shown = [f"{key}:{_shown(old)}->{_shown(new)}" for key, (old, new) in steps.items()]
    return " ".join(shown) or "nothing"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
