"""What operators do to the queue, over the API and on a real store."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.domain.claims import QueueClaims
from waitroom.domain.short_code import short_code
from waitroom.domain.visit import Answer
from waitroom.store.base import Purpose
from waitroom.store.keys import key

if TYPE_CHECKING:
    from tests.admin.test_api import Listener

pytestmark = pytest.mark.anyio

VISITOR = "visitor-0123456789ab"
ROOM = "/api/v1/rooms/drop"
PLACE = f"{ROOM}/visitors/{short_code(VISITOR)}"


async def join(listener: Listener, visitor: str = VISITOR) -> QueueClaims:
    visit = await listener.store.enter("drop", visitor, claims=None, purpose=Purpose.JOIN)
    return QueueClaims("drop", visitor, visit.score_us, visit.epoch, visit.generation)


async def post(listener: Listener, path: str, **body: Any) -> Any:
    return await listener.operator.post(path, json=body)


async def test_the_next_are_admitted_now_and_it_is_written_down(listener: Listener) -> None:
    await listener.change({"rate": 0})
    places = [await join(listener, f"visitor-000000000{i:03}") for i in range(3)]
    answer = await post(listener, f"{ROOM}/admit", count=2, reason="testers")
    assert answer.json() == {"asked": 2, "called": 2}
    answers = [
        (await listener.store.enter("drop", one.visitor, claims=one, purpose=Purpose.CLAIM)).answer for one in places
    ]
    assert answers == [Answer.ADMITTED, Answer.ADMITTED, Answer.WAITING]
    (line, *_) = (await listener.operator.get("/api/v1/audit")).json()["changes"]
    assert (line["action"], line["people"], line["reason"]) == ("admit", 2, "testers")


async def test_a_paused_room_admits_nobody_and_says_what_to_do(listener: Listener) -> None:
    await post(listener, f"{ROOM}/pause")
    answer = await post(listener, f"{ROOM}/admit", count=2)
    assert (answer.status_code, "use `resume`" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("body", [{}, {"count": 0}, {"count": 1_001}, {"count": "many"}, {"count": 1, "of": 2}])
async def test_a_number_that_cannot_be_is_refused(listener: Listener, body: dict[str, Any]) -> None:
    assert (await post(listener, f"{ROOM}/admit", **body)).status_code == 422


async def test_a_queue_is_reset_only_as_it_was_seen(listener: Listener) -> None:
    await join(listener)
    etag = (await listener.operator.get(ROOM)).headers["etag"]
    await listener.change({"rate": 0})
    stale = await listener.operator.post(f"{ROOM}/reset", headers={"if-match": etag})
    assert (stale.status_code, stale.json()["changes"][0]["steps"]) == (412, {"rate": [600, 0]})
    done = await post(listener, f"{ROOM}/reset")
    assert done.json() == {"people": 1}
    assert (await listener.operator.get(ROOM)).json()["census"]["waiting"] == 0
    undone = await post(listener, f"{ROOM}/undo")
    assert (undone.status_code, "cannot be taken back" in undone.json()["detail"]) == (409, True)


async def test_a_visitors_story_is_told_by_the_short_code(listener: Listener) -> None:
    claims = await join(listener)
    await listener.store.beat("drop")
    await listener.store.enter("drop", VISITOR, claims=claims, purpose=Purpose.CLAIM)
    told = (await listener.operator.get(PLACE.lower())).json()
    assert (told["found"], told["now"]["state"]) == (True, "active")
    assert [line["kind"] for line in told["story"]] == ["joined", "called", "admitted"]
    assert VISITOR not in json.dumps(told)


async def test_a_code_that_nobody_has_is_told_apart_from_what_is_no_code(listener: Listener) -> None:
    nobody = (await listener.operator.get(f"{ROOM}/visitors/7F3K-92QD")).json()
    assert (nobody["found"], nobody["next"]) == (False, None)
    assert (await listener.operator.get(f"{ROOM}/visitors/hello")).status_code == 422
    assert (await post(listener, f"{ROOM}/visitors/7F3K-92QD/release")).status_code == 404


async def test_a_session_is_released_and_a_place_revoked(listener: Listener) -> None:
    await listener.store.enter("drop", VISITOR, claims=None, purpose=Purpose.CLAIM)
    assert (await post(listener, f"{PLACE}/release")).json() == {"code": short_code(VISITOR), "ended": True}
    assert (await listener.operator.get(PLACE)).json()["now"]["state"] == "none"
    await listener.change({"rate": 0})
    await join(listener)
    assert (await post(listener, f"{PLACE}/revoke")).json()["ended"]
    assert not (await post(listener, f"{PLACE}/revoke")).json()["ended"]
    story = (await listener.operator.get(PLACE)).json()["story"]
    assert [line["kind"] for line in story] == ["admitted", "dismissed", "joined", "revoked"]
    lines = (await listener.operator.get("/api/v1/audit", params={"limit": 2})).json()["changes"]
    assert [(line["action"], line["subject"]) for line in lines[:1]] == [("revoke", short_code(VISITOR))]


async def test_what_was_done_to_a_visitor_is_passed_over_by_undo(listener: Listener) -> None:
    await listener.change({"rate": 0})
    await join(listener)
    await post(listener, f"{PLACE}/revoke")
    assert (await post(listener, f"{ROOM}/undo")).json()["room"]["rate"] == 600


async def test_whoever_is_put_at_the_front_needs_a_reason_and_the_day_has_a_limit(listener: Listener) -> None:
    await listener.change({"rate": 0})
    for name in ("visitor-000000000001", "visitor-000000000002", VISITOR):
        await join(listener, name)
    assert (await post(listener, f"{PLACE}/front")).status_code == 422
    placed = await post(listener, f"{PLACE}/front", reason="cart lost in checkout")
    assert placed.json() == {"code": short_code(VISITOR), "position": 1}
    other = f"{ROOM}/visitors/{short_code('visitor-000000000002')}/front"
    assert (await post(listener, other, reason="again")).status_code == 429


async def test_the_journal_is_read_in_pages(listener: Listener) -> None:
    await listener.change({"rate": 0})
    for i in range(5):
        await join(listener, f"visitor-000000000{i:03}")
    codes: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await listener.operator.get(f"{ROOM}/journal", params={"limit": 2, "cursor": cursor})).json()
        codes += [line["code"] for line in page["lines"]]
        cursor = page["next"]
    assert codes == [short_code(f"visitor-000000000{i:03}") for i in reversed(range(5))]
    assert (await listener.operator.get(f"{ROOM}/journal", params={"cursor": "x"})).status_code == 422
    table = await listener.operator.get("/api/v1/export", params={"what": "journal", "room": "drop"})
    assert len(table.text.splitlines()) == 6
    assert (await listener.operator.get("/api/v1/export", params={"what": "journal"})).status_code == 422


async def test_a_ramp_leads_from_the_rate_in_force_and_a_rate_by_hand_ends_it(listener: Listener) -> None:
    state = (await post(listener, f"{ROOM}/ramp", to=1_200, minutes=10)).json()
    assert (state["live"]["rate"], state["live"]["ramp"]["start_rate"]) == (1_200, 600)
    assert 600 <= state["rate_now"] < 700
    by_hand = (await listener.change({"rate": 700})).json()
    assert (by_hand["room"]["ramp"], by_hand["room"]["rate"]) == (None, 700)
    back = (await post(listener, f"{ROOM}/undo")).json()
    assert back["live"] == state["live"]
    no_rate = await listener.operator.post("/api/v1/rooms/vip/ramp", json={"to": 5, "minutes": 1})
    assert no_rate.status_code == 422


async def test_presets_are_kept_used_and_dropped(listener: Listener) -> None:
    saved = await listener.operator.put(f"{ROOM}/presets/calm", json={"changes": {"rate": 100, "capacity": 20}})
    assert saved.json()["room"]["presets"] == {"calm": {"rate": 100, "capacity": 20}}
    used = (await post(listener, f"{ROOM}/presets/calm/use", reason="slow checkout")).json()
    assert (used["room"]["rate"], used["room"]["capacity"]) == (100, 20)
    assert (await post(listener, f"{ROOM}/undo")).json()["room"]["rate"] == 600
    assert (await listener.operator.delete(f"{ROOM}/presets/calm")).json()["room"]["presets"] == {}
    gone = await post(listener, f"{ROOM}/presets/calm/use")
    assert (gone.status_code, "known: none" in gone.json()["detail"]) == (404, True)
    wrong = await listener.operator.put(f"{ROOM}/presets/calm", json={"changes": {"rate": -1}})
    assert wrong.status_code == 422


async def test_a_message_is_said_and_taken_back(listener: Listener) -> None:
    said = await post(listener, f"{ROOM}/message", message={"*": "Size 38 is sold out.", "he": "המידה אזלה"})
    assert said.json()["room"]["message"]["he"] == "המידה אזלה"
    quiet = await post(listener, f"{ROOM}/message", message="")
    assert quiet.json()["room"]["message"] == {}
    assert (await post(listener, f"{ROOM}/message", message="x", until="tomorrow")).status_code == 422


async def test_a_message_may_be_shown_for_some_minutes(listener: Listener) -> None:
    said = await post(listener, f"{ROOM}/message", message="Back soon", minutes=15)
    until = datetime.fromisoformat(said.json()["room"]["message_until"])
    assert 14.9 * 60_000 < until.timestamp() * 1000 - listener.store.now_ms() <= 15 * 60_000
    for wrong in ({"minutes": 0}, {"minutes": 15, "until": "2030-01-01T00:00:00Z"}):
        assert (await post(listener, f"{ROOM}/message", message="x", **wrong)).status_code == 422


async def test_the_history_is_read_as_points_of_a_chart(listener: Listener) -> None:
    await listener.store.beat("drop")
    now_ms = listener.store.now_ms()
    answer = (await listener.operator.get(f"{ROOM}/history")).json()
    assert answer == {"step_seconds": 1, "points": []}
    await listener.store.sample("drop", {"requests": 3})
    table = await listener.operator.get("/api/v1/export", params={"what": "history", "room": "drop"})
    assert (table.status_code, table.text) == (200, "")
    backwards = {"since_ms": now_ms, "until_ms": now_ms - 1}
    assert (await listener.operator.get(f"{ROOM}/history", params=backwards)).status_code == 422
    long_ago = await listener.operator.get(f"{ROOM}/history", params={"since_ms": now_ms - 86_400_000})
    assert long_ago.json()["step_seconds"] == 1, "a young room is told by the second"


async def test_before_it_is_done_a_verb_says_whom_it_touches_and_what_it_does_to_the_wait(listener: Listener) -> None:
    await listener.change({"rate": 60, "capacity": None, "burst": 1})
    for i in range(250):
        await join(listener, f"visitor-000000000{i:03}")

    async def forecast(verb: str, **arguments: Any) -> Any:
        return (await post(listener, f"{ROOM}/forecast", verb=verb, arguments=arguments)).json()

    slower = await forecast("change", changes={"rate": 10})
    assert (slower["people"], slower["wait_now"]) == (250, [2, 5])
    assert slower["wait_then"][0] >= 10
    assert (await forecast("ramp", to=600, minutes=5))["wait_then"] == [0, 1]
    assert (await forecast("pause"))["wait_then"] is None
    assert (await forecast("admit", count=40))["people"] == 40
    assert (await forecast("reset"))["people"] == 250
    assert (await listener.operator.get(ROOM)).json()["room"]["rate"] == 60, "nothing is changed"
    by_another_version = ("version", 9, "live", '{"lighting": "dim"}')
    await listener.store.command("configure", "HSET", key("drop", "config"), *by_another_version)
    await listener.store.beat("drop")
    assert (await forecast("change", changes={"rate": 10}))["people"] == 250
    for wrong in (
        {"verb": "undo"},
        {"verb": "change", "arguments": {"changes": {"rate": -1}}},
        {"verb": "admit", "arguments": {}},
    ):
        assert (await post(listener, f"{ROOM}/forecast", **wrong)).status_code == 422


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("history", {"since_ms": str(10**30)}),
        ("history", {"until_ms": str(10**15)}),
        ("visitors/7F3K-92QD", {"cursor": "queue:abc"}),
        ("visitors/7F3K-92QD", {"cursor": "config:0"}),
        ("journal", {"cursor": f"{10**20}-0"}),
    ],
)
async def test_what_the_store_would_choke_on_never_comes_to_it(
    listener: Listener, path: str, query: dict[str, str]
) -> None:
    assert (await listener.operator.get(f"{ROOM}/{path}", params=query)).status_code == 422
