"""How a process hears of rooms made at run time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from waitroom import logs
from waitroom.errors import StoreUnavailable
from waitroom.following import follow_rooms

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


class Ended(Exception):
    """The test has seen enough."""


class Rooms:
    """Answers one after the other."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.unreadable: dict[str, str] = {}

    async def follow_rooms(self, changed: Callable[[], None]) -> bool:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.unreadable = {"flash": "rate: no number"} if answer else {}
        if answer:
            changed()
        return answer


async def test_what_breaks_is_told_once_and_rooms_are_followed_on() -> None:
    rooms = Rooms(True, True, True)
    written = io.StringIO()
    changes: list[int] = []

    def changed() -> None:
        changes.append(len(rooms.answers))
        if rooms.answers:
            raise RuntimeError("no page can be made")

    async def sleep(seconds: float) -> None:
        if not rooms.answers:
            raise Ended

    log = logs.Log("gateway", logs.Sink(written, style="json"))
    with pytest.raises(Ended):
        await follow_rooms(rooms, log, changed, sleep=sleep)
    assert changes == [2, 1, 0]
    assert written.getvalue().count("following_broke") == 1


async def test_changes_are_taken_up_an_absent_store_ends_nothing_and_what_cannot_be_read_is_told_once() -> None:
    rooms = Rooms(True, StoreUnavailable("away"), True, False, True)
    written = io.StringIO()
    changes: list[int] = []

    async def sleep(seconds: float) -> None:
        if not rooms.answers:
            raise Ended

    log = logs.Log("gateway", logs.Sink(written, style="json"))
    with pytest.raises(Ended):
        await follow_rooms(rooms, log, lambda: changes.append(len(rooms.answers)), sleep=sleep)
    assert changes == [4, 2, 0]
    assert written.getvalue().count("room_unreadable") == 2  # it could be read in between
