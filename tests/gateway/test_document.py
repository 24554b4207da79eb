"""The shared document: the same bytes for all, made once a second, served without asking anybody."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.front import FETCH, NOW_MS, Front, census
from waitroom.domain.room import Mode, Room
from waitroom.domain.snapshot import Pulse
from waitroom.gateway.document import accepts_gzip

if TYPE_CHECKING:
    from tests.gateway.front import Reply

pytestmark = pytest.mark.anyio
URL = "/.waitroom/default/queue.json"


def counting(**changes: Any) -> Front:
    """A front whose room was counted: 40 wait, 1,000 µs apart."""
    front = Front(Room(name="default", rate=600))
    front.store.points = tuple((NOW_MS * 1000 + 1_000 * at, at) for at in range(1, 41))
    front.store.frontier_us = NOW_MS * 1000
    front.store.counted = census(**{"waiting": 40, "admitted_total": 700} | changes)
    front.store.pulses = (Pulse(NOW_MS - 60_000, called=0, left=0, returned=0, freed=0, admitted=102),)
    return front


async def document(front: Front) -> dict[str, Any]:
    found: dict[str, Any] = (await front.ask(URL, FETCH)).json
    return found


async def test_it_holds_all_that_a_page_needs_to_show_and_to_decide() -> None:
    found = await document(counting())
    sketch, polls = found.pop("sketch"), found.pop("polls")
    assert (sketch[0], sketch[-1]) == ([NOW_MS * 1000 + 1_000, 1], [NOW_MS * 1000 + 40_000, 40])
    assert polls[0][1] == 1.5
    assert found == {
        "room": "default",
        "generation": "g1",
        "epoch": 1,
        "made_ms": NOW_MS,
        "age_seconds": 0,
        "mode": "on",
        "view": "waiting",
        "reason": "rate",
        "opens_ms": None,
        "message": None,
        "messages": [],
        "waiting": 40,
        "called": 0,
        "active": 0,
        "admitted_per_minute": 598,
        "speed_per_minute": 600.0,
        "frontier_us": NOW_MS * 1000,
        "waits": found["waits"],
        "near": 45,
        "spread_seconds": 20,
    }
    assert found["waits"][0][1:] == [0, 1]


async def test_it_may_be_kept_for_a_second_and_says_when_nothing_changed() -> None:
    front = counting()
    reply = await front.ask(URL, FETCH)
    assert reply.status == 200
    assert reply.one("cache-control") == "public, max-age=1, stale-while-revalidate=5"
    assert (reply.one("vary"), reply.all("set-cookie")) == ("Accept-Encoding", [])
    tag = reply.one("etag")
    assert tag is not None
    unchanged = await front.ask(URL, FETCH | {"if-none-match": f'"other", {tag}'})
    assert (unchanged.status, unchanged.body, unchanged.one("etag")) == (304, b"", tag)
    assert unchanged.one("content-length") is None
    assert (await front.ask(URL, FETCH | {"if-none-match": '"other"'})).status == 200
    assert (await front.ask(URL, FETCH | {"if-none-match": "*"})).status == 304


async def test_it_is_served_compressed_to_whom_that_suits() -> None:
    front = counting()
    plain = await front.ask(URL, FETCH)
    packed = await front.ask(URL, FETCH | {"accept-encoding": "gzip, deflate, br"})
    assert (packed.one("content-encoding"), plain.one("content-encoding")) == ("gzip", None)
    assert gzip.decompress(packed.body) == plain.body
    assert packed.one("content-length") == str(len(packed.body))
    assert packed.one("etag") != plain.one("etag")
    known = {"accept-encoding": "gzip", "if-none-match": packed.one("etag") or ""}
    unchanged = await front.ask(URL, FETCH | known)
    assert (unchanged.status, unchanged.one("etag")) == (304, packed.one("etag"))


@pytest.mark.parametrize(
    ("value", "takes"),
    [
        (b"gzip", True),
        (b"br, GZIP;q=0.5", True),
        (b"x-gzip", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, br", False),
        (b"br", False),
        (b"*", False),
    ],
)
def test_gzip_is_sent_to_whom_names_it(value: bytes, *, takes: bool) -> None:
    assert accepts_gzip(value) == takes


async def test_head_gets_the_same_without_a_body() -> None:
    reply = await counting().ask(URL, FETCH, method="HEAD")
    assert (reply.status, reply.body, reply.one("content-type")) == (200, b"", "application/json")


async def test_nobody_is_asked_for_it() -> None:
    front = counting()
    for _ in range(3):
        await front.ask(URL, FETCH)
    assert front.store.calls == []


async def test_it_is_made_again_after_a_second_and_at_once_after_a_change() -> None:
    front = counting()
    await document(front)
    front.store.counted = census(waiting=41, now_ms=NOW_MS + 999)
    assert (await document(front))["waiting"] == 40
    front.store.counted = census(waiting=42, now_ms=NOW_MS + 1_000)
    assert (await document(front))["waiting"] == 42
    front.store.counted = census(waiting=42, now_ms=NOW_MS + 1_100, mode=Mode.PAUSED)
    front.store.rooms["default"] = Room(name="default", rate=600, mode=Mode.PAUSED)
    assert (await document(front))["view"] == "paused"
    front.store.rooms["default"] = Room(name="default", rate=600)
    front.store.counted = census(waiting=42, now_ms=NOW_MS + 1_200, generation="g2", recovering_ms=4_000)
    found = await document(front)
    assert (found["view"], found["reason"], found["waits"]) == ("recovering", "recovery", [])


async def test_while_the_store_is_away_the_last_numbers_stand_with_their_age() -> None:
    front = counting()
    before = await document(front)
    front.store.away = True
    front.store.clock_ms += 3_400
    away = await document(front)
    assert (away["view"], away["age_seconds"], away["made_ms"], away["waits"]) == ("reconnecting", 3, NOW_MS, [])
    assert away["sketch"] == before["sketch"]
    front.store.clock_ms += 500
    assert (await document(front))["age_seconds"] == 3
    front.store.clock_ms += 500
    assert (await document(front))["age_seconds"] == 4
    front.store.away = False
    assert await document(front) == before


async def test_a_snapshot_that_does_not_come_is_an_outage_too() -> None:
    front = counting()
    await document(front)
    counted, front.store.counted = front.store.counted, None
    await front.documents.follow("default", census(now_ms=NOW_MS + 1_000))
    assert (await document(front))["view"] == "reconnecting"
    front.store.counted = counted
    assert (await document(front))["view"] == "waiting"


async def test_before_the_room_was_counted_there_is_none() -> None:
    front = Front()
    reply: Reply = await front.ask(URL, FETCH)
    assert (reply.status, reply.one("retry-after")) == (503, "2")
    front.store.away = True
    assert (await front.ask(URL, FETCH)).status == 503
    assert (await front.ask("/.waitroom/nowhere/queue.json", FETCH)).status == 404


async def test_whoever_asks_for_their_own_standing_hears_the_same_as_the_document_says() -> None:
    front = counting(waiting=700)
    front.store.position = 700
    found = await document(front)
    standing = (await front.ask("/.waitroom/default/me", FETCH, cookie=f"waitroom-queue-default={front.place()}")).json
    low, high = next((low, high) for up_to, low, high in found["waits"] if up_to >= 700)
    assert standing["wait"] == {"low_minutes": low, "high_minutes": high}


async def test_a_room_that_is_no_more_has_no_document() -> None:
    front = counting()
    assert (await front.ask(URL, FETCH)).status == 200
    del front.store.rooms["default"]
    front.documents.keep([])
    assert (await front.ask(URL, FETCH)).status == 404


async def test_the_bytes_are_the_same_from_every_gateway() -> None:
    bodies = {(await counting().ask(URL, FETCH)).body for _ in range(2)}
    assert len(bodies) == 1
    assert len(json.dumps(json.loads(bodies.pop()))) > 400
