"""Which page somebody sees."""

from __future__ import annotations

from typing import Any

import pytest

from waitroom.domain.room import Room
from waitroom.domain.view import own_view, room_view

OPENS_MS = 1_764_234_000_000
OPENS_AT = "2025-11-27T10:00:00+01:00"


@pytest.mark.parametrize(
    ("room", "now_ms", "recovering", "view"),
    [
        ({}, 0, False, "waiting"),
        ({}, 0, True, "recovering"),
        ({"opens_at": OPENS_AT}, OPENS_MS - 1, False, "before"),
        ({"opens_at": OPENS_AT}, OPENS_MS - 1, True, "before"),
        ({"opens_at": OPENS_AT}, OPENS_MS, False, "waiting"),
        ({"mode": "paused"}, 0, True, "paused"),
        ({"mode": "paused", "opens_at": OPENS_AT}, 0, False, "paused"),
        ({"mode": "off", "opens_at": OPENS_AT}, 0, False, "off"),
        ({"mode": "closed"}, 0, False, "closed"),
        ({"mode": "closed", "closed_as": "ended", "opens_at": OPENS_AT}, 0, False, "ended"),
        ({"mode": "closed", "closed_as": "full"}, 0, False, "full"),
        ({"mode": "closed", "closed_as": "maintenance"}, 0, True, "maintenance"),
        ({"closed_as": "full"}, 0, False, "waiting"),
    ],
)
def test_a_room_shows_why_nobody_enters(room: dict[str, Any], now_ms: int, recovering: bool, view: str) -> None:
    assert room_view(Room(name="r", **room), now_ms, recovering=recovering) == view


@pytest.mark.parametrize(
    ("state", "room", "view"),
    [
        ("waiting", {}, "waiting"),
        ("waiting", {"mode": "paused"}, "paused"),
        ("called", {}, "called"),
        ("called", {"opens_at": OPENS_AT}, "before"),
        ("missed", {"mode": "paused"}, "missed"),
        ("active", {"mode": "closed"}, "active"),
        ("closed", {"mode": "closed", "closed_as": "ended"}, "ended"),
        ("closed", {}, "closed"),
        ("new", {"mode": "paused"}, "new"),
        ("reconnecting", {"mode": "paused"}, "reconnecting"),
    ],
)
def test_a_visitor_sees_what_decides(state: str, room: dict[str, Any], view: str) -> None:
    assert own_view(state, Room(name="r", **room), OPENS_MS - 1, recovering=False) == view


def test_those_who_wait_see_that_a_room_recovers() -> None:
    assert own_view("waiting", Room(name="r"), 0, recovering=True) == "recovering"
