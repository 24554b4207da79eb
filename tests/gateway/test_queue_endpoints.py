"""Waitroom's own endpoints: me, join, leave, the snapshot, health; and nothing under the prefix reaches the site."""

from __future__ import annotations

from unittest.mock import AsyncMock

import pytest

from tests.gateway.front import FETCH, NOW_MS, VISITOR, Front, census
from waitroom.domain.room import Mode, Room
from waitroom.domain.snapshot import Pulse
from waitroom.domain.visit import Answer
from waitroom.errors import RoomUnknown
from waitroom.settings import GatewaySettings
from waitroom.store.base import Purpose

pytestmark = pytest.mark.anyio
ME, JOIN, LEAVE = "/.waitroom/default/me", "/.waitroom/default/join", "/.waitroom/default/leave"
QUEUE, PASS = "waitroom-queue-default", "waitroom-pass-default"


async def test_me_tells_where_one_stands_and_uses_up_no_turn() -> None:
    front = Front(Room(name="default", rate=60))
    front.store.position = 90
    front.store.counted = census(admitted_total=29)
    front.store.pulses = (Pulse(NOW_MS - 30_000, called=0, left=0, returned=0, freed=0, admitted=0),)
    reply = await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")
    assert (reply.status, reply.one("cache-control"), reply.all("set-cookie")) == (200, "no-store", [])
    assert reply.json == {
        "room": "default",
        "state": "waiting",
        "view": "waiting",
        "mode": "on",
        "position": 90,
        "ahead": 89,
        "wait": {"low_minutes": 0, "high_minutes": 2},
        "admitted_per_minute": 58,
        "poll_after_seconds": 2,
        "claim_seconds_left": 0,
        "recovering": False,
        "generation": "g1",
        "score_us": (NOW_MS - 60_000) * 1000,
        "reason": "nobody waits",
        "behind": 0,
        "called_ms": 0,
        "hold_seconds_left": 0,
        "opens_ms": None,
        "messages": [],
        "short_code": "H9DX-PK61",
        "now_ms": NOW_MS,
    }
    assert front.store.entered() == [Purpose.LOOK]
    assert front.metrics.waits == []


async def test_me_without_a_token_is_new_and_makes_no_place() -> None:
    front = Front()
    reply = await front.ask(ME, FETCH, cookie=f"{QUEUE}=rubbish")
    assert (reply.status, reply.json["state"], front.store.calls) == (200, "new", [])


@pytest.mark.parametrize("mode", [Mode.CLOSED, Mode.OFF])
async def test_me_without_a_token_tells_that_waiting_is_no_use(mode: Mode) -> None:
    front = Front(Room(name="default", mode=mode))
    assert (await front.ask(ME, FETCH)).json["state"] == mode.value


async def test_me_of_a_called_visitor_tells_how_long_the_turn_is_kept() -> None:
    front = Front()
    front.store.answer = Answer.CALLED
    front.store.counted = census(called=1)
    front.store.left_ms = 90_500
    facts = (await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")).json
    assert (facts["state"], facts["claim_seconds_left"], facts["poll_after_seconds"]) == ("called", 90, 2)


async def test_me_of_a_missed_turn_tells_when_it_was_and_how_long_the_place_is_kept() -> None:
    front = Front(Room(name="default", claim_seconds=60, hold_minutes=10))
    front.store.answer, front.store.left_ms = Answer.MISSED, 540_000
    reply = await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")
    facts = reply.json
    assert (facts["state"], facts["view"], facts["hold_seconds_left"]) == ("missed", "missed", 540)
    assert facts["called_ms"] == NOW_MS - 60_000 - 60_000, "missed a minute ago, called a minute before that"
    assert (front.store.entered(), reply.all("set-cookie")) == ([Purpose.LOOK], [])


async def test_joining_is_what_brings_a_missed_turn_back() -> None:
    front = Front()
    reply = await front.ask(JOIN, FETCH, method="POST", cookie=f"{QUEUE}={front.place()}")
    assert (reply.json["state"], front.store.entered()) == ("waiting", [Purpose.JOIN])


async def test_before_a_room_opens_the_visitor_hears_when() -> None:
    front = Front(Room(name="default", opens_at="2025-11-21T20:24:00Z"))
    facts = (await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")).json
    assert (facts["state"], facts["view"], facts["mode"]) == ("waiting", "before", "paused")
    assert facts["opens_ms"] - facts["now_ms"] == 37_000
    front.store.clock_ms = facts["opens_ms"]
    facts = (await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")).json
    assert (facts["view"], facts["mode"], facts["opens_ms"]) == ("waiting", "on", None)


async def test_a_turn_that_cannot_be_used_now_looks_like_the_room() -> None:
    front = Front(Room(name="default", mode=Mode.PAUSED))
    front.store.answer = Answer.CALLED
    facts = (await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")).json
    assert (facts["state"], facts["view"]) == ("called", "paused")


async def test_a_closed_room_says_why() -> None:
    front = Front(Room(name="default", mode=Mode.CLOSED, closed_as="ended"))
    front.store.answer = Answer.CLOSED
    placed = await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")
    for facts in (placed.json, (await front.ask(ME, FETCH)).json):
        assert (facts["state"], facts["view"]) == ("closed", "ended")


async def test_me_of_a_pass_holder_is_active_and_asks_the_store_only_when_stale() -> None:
    front = Front()
    fresh = await front.ask(ME, FETCH, cookie=f"{PASS}={front.pass_()}")
    assert (fresh.json["state"], front.store.calls) == ("active", [])
    front.store.answer = Answer.ADMITTED
    stale = await front.ask(ME, FETCH, cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    assert (stale.json["state"], front.store.entered()) == ("active", [Purpose.LOOK])


async def test_me_while_the_store_is_away_is_reconnecting_and_the_place_is_kept() -> None:
    front = Front(Room(name="default", on_store_loss="admit"))
    front.store.away = True
    reply = await front.ask(ME, FETCH, cookie=f"{QUEUE}={front.place()}")
    assert (reply.status, reply.json["state"], reply.all("set-cookie")) == (200, "reconnecting", [])


async def test_looking_without_a_place_while_the_store_is_away_gives_none() -> None:
    front = Front()
    front.store.away = True
    reply = await front.ask(ME, FETCH, cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    assert (reply.json["state"], reply.all("set-cookie")) == ("reconnecting", [])


async def test_join_gives_a_place_and_its_token() -> None:
    front = Front()
    reply = await front.ask(JOIN, {"accept": "application/json"}, method="POST")
    assert (reply.status, reply.json["state"], reply.json["position"]) == (200, "waiting", 7)
    assert reply.cookies[QUEUE] == reply.json["token"]
    assert front.tokens.read_queue(reply.json["token"], "default", NOW_MS).visitor == VISITOR
    again = await front.ask(JOIN, {"authorization": f"Waitroom {reply.json['token']}"}, method="POST")
    assert (again.json["token"], again.all("set-cookie")) == (reply.json["token"], [])
    assert front.store.entered() == [Purpose.JOIN, Purpose.JOIN]


async def test_join_by_a_pass_holder_says_active() -> None:
    front = Front()
    reply = await front.ask(JOIN, {"authorization": f"Waitroom {front.pass_()}"}, method="POST")
    assert (reply.json["state"], "token" in reply.json, front.store.calls) == ("active", False, [])


async def test_join_of_a_room_that_is_off_says_off() -> None:
    front = Front(Room(name="default", mode=Mode.OFF))
    assert (await front.ask(JOIN, {}, method="POST")).json["state"] == "off"


async def test_join_of_a_closed_room_says_closed() -> None:
    front = Front()
    front.store.answer = Answer.CLOSED
    reply = await front.ask(JOIN, {}, method="POST")
    assert (reply.json["state"], "token" in reply.json) == ("closed", False)


async def test_leave_gives_up_the_place() -> None:
    front = Front()
    reply = await front.ask(LEAVE, FETCH, method="POST", cookie=f"{QUEUE}={front.place()}")
    assert (reply.json, reply.cookies) == ({"room": "default", "left": True}, {QUEUE: "", PASS: ""})
    assert front.store.calls == [("leave", "default", VISITOR)]


async def test_leave_ends_a_session() -> None:
    front = Front()
    reply = await front.ask(LEAVE, FETCH, method="POST", cookie=f"{PASS}={front.pass_()}")
    assert reply.json["left"]
    assert [call[0] for call in front.store.calls] == ["release", "leave"]


async def test_leave_without_a_token_leaves_nothing() -> None:
    front = Front()
    reply = await front.ask(LEAVE, {}, method="POST")
    assert (reply.status, reply.json["left"], front.store.calls) == (200, False, [])


async def test_leave_while_the_store_is_away_changes_nothing() -> None:
    front = Front()
    front.store.away = True
    reply = await front.ask(LEAVE, FETCH, method="POST", cookie=f"{QUEUE}={front.place()}")
    assert (reply.status, reply.one("retry-after"), reply.all("set-cookie")) == (503, "2", [])


@pytest.mark.parametrize("target", [JOIN, LEAVE])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://shop.example"}, 200),
        ({"origin": "https://SHOP.example"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[oops"}, 403),
        ({"origin": "http://shop.example.evil.example"}, 403),
        ({}, 200),
    ],
)
async def test_another_site_cannot_act_for_a_visitor(target: str, headers: dict[str, str], status: int) -> None:
    front = Front()
    reply = await front.ask(target, headers, method="POST", cookie=f"{QUEUE}={front.place()}")
    assert reply.status == status


async def test_who_shows_a_token_by_authorization_acts_from_anywhere() -> None:
    front = Front()
    headers = {"origin": "https://app.example", "authorization": f"Waitroom {front.place()}"}
    assert (await front.ask(LEAVE, headers, method="POST")).json["left"]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/.waitroom", 404),
        ("GET", "/.waitroom/", 404),
        ("GET", "/.waitroom/nonsense", 404),
        ("GET", "/.waitroom/default", 404),
        ("GET", "/.waitroom/default/me/", 404),
        ("GET", "/.waitroom/../cart", 404),
        ("GET", "/.waitroom/other/me", 404),
        ("POST", "/.waitroom/other/join", 404),
        ("POST", "/.waitroom/other/leave", 404),
        ("GET", "/.waitroom/other/queue.json", 404),
        ("POST", ME, 405),
        ("GET", JOIN, 405),
        ("DELETE", LEAVE, 405),
    ],
)
async def test_nothing_under_the_prefix_reaches_the_site(method: str, target: str, status: int) -> None:
    front = Front()
    reply = await front.ask(target, method=method)
    assert (reply.status, reply.json["status"]) == (status, status)
    assert reply.one("content-type") == "application/problem+json"
    assert (reply.one("allow") is not None) == (status == 405)
    assert front.site.asked == []


async def test_what_only_looks_like_the_prefix_is_the_sites() -> None:
    front = Front(Room(name="default", match=("/shop*",)))
    assert (await front.ask("/.waitroomy")).body == b"the shop"


async def test_the_prefix_is_a_setting() -> None:
    front = Front(gateway=GatewaySettings(prefix="/queue/here"))
    assert (await front.ask("/queue/here/default/me", FETCH)).json["state"] == "new"
    assert (await front.ask("/queue/here/livez")).status == 200
    assert b'"/queue/here/default/me"' in (await front.ask("/")).body


async def test_a_process_that_answers_lives() -> None:
    assert (await Front().ask("/.waitroom/livez")).json == {"live": True}


async def test_a_process_is_ready_when_store_and_rooms_are() -> None:
    front = Front()
    front.store.counted = census()
    ready = await front.ask("/.waitroom/readyz")
    assert (ready.status, ready.json) == (200, {"ready": True, "reasons": []})
    front.store.available = False
    front.store.counted = None
    unready = await front.ask("/.waitroom/readyz")
    assert (unready.status, len(unready.json["reasons"])) == (503, 2)
    del front.store.rooms["default"]
    assert "not set up" in (await front.ask("/.waitroom/readyz")).json["reasons"][1]


async def test_of_a_room_that_is_removed_meanwhile_it_is_said_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front = Front()
    place = front.place()
    monkeypatch.setattr(front.store, "enter", AsyncMock(side_effect=RoomUnknown("no room 'default'")))
    for method, target in (("GET", "/.waitroom/default/me"), ("POST", "/.waitroom/default/join")):
        reply = await front.ask(target, method=method, headers={"authorization": f"Waitroom {place}"})
        assert (reply.status, reply.json["title"]) == (404, "No such room")
