"""The admin listener over the real store: what operators and monitoring may ask, and what they hear."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from pydantic import SecretStr

from tests.store.bench import by
from waitroom import logs
from waitroom.admin.access import Access, Passwords
from waitroom.admin.api.faces import BODY_LIMIT_BYTES
from waitroom.admin.app import make_app
from waitroom.admin.console.live import Live
from waitroom.admin.verbs import Verbs
from waitroom.domain.room import Mode, Room
from waitroom.domain.visit import Census
from waitroom.metrics import Metrics
from waitroom.preview import WaitingPages
from waitroom.settings import AdminSettings
from waitroom.store.access import RedisAccessRecords
from waitroom.store.base import Purpose
from waitroom.store.connect import open_operator_store

if TYPE_CHECKING:
    from waitroom.store.operators import RedisOperatorStore

pytestmark = pytest.mark.anyio

TOKEN = "t" * 32
ROOMS = (Room(name="drop", rate=600, capacity=50, front_limit=1), Room(name="vip", match=("/vip*",)))


class Listener:
    """An admin listener, the store behind it, and what it logged."""

    def __init__(self, store: RedisOperatorStore) -> None:
        self.store = store
        self.written = io.StringIO()
        self.metrics = Metrics()
        log = logs.Log("admin", logs.Sink(self.written, style="json"))
        access = Access(RedisAccessRecords(store), store.now_ms, Passwords(memory_kib=64, time_cost=1))
        access.take(AdminSettings(token=SecretStr(TOKEN)), ["k" * 32])
        verbs = Verbs(store, lambda: [room.name for room in (*ROOMS, *store.made_rooms)], access, self.metrics, log)
        app = make_app(
            verbs, access, self.metrics, log, host="127.0.0.1", waiting_pages=WaitingPages(), live=Live(verbs)
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        self.anonymous = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081")
        self.operator = httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8081", headers={"authorization": f"Bearer {TOKEN}"}
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written.getvalue().splitlines()]

    async def change(self, changes: dict[str, Any], **headers: str) -> httpx2.Response:
        return await self.operator.patch(
            "/api/v1/rooms/drop",
            json={"changes": changes, "reason": "test"},
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )


async def test_a_room_is_shown_as_it_is_in_force_with_its_version_as_etag(listener: Listener) -> None:
    answer = await listener.operator.get("/api/v1/rooms/drop")
    state = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{state["version"]}"'
    assert answer.headers["cache-control"] == "no-store"
    assert set(state) == {
        "name",
        "version",
        "mode",
        "room",
        "live",
        "rate_now",
        "census",
        "limiting",
        "store_available",
        "gateways",
    }
    assert (state["name"], state["mode"], state["limiting"]) == ("drop", "on", "nobody waits")
    assert (state["room"]["rate"], state["live"], state["store_available"]) == (600, {}, True)
    assert set(state["census"]) == set(Census.__dataclass_fields__)


async def test_all_rooms_are_listed_in_the_files_order(listener: Listener) -> None:
    answer = await listener.operator.get("/api/v1/rooms")
    assert [state["name"] for state in answer.json()["rooms"]] == ["drop", "vip"]


async def test_a_change_is_in_force_at_once_and_written_down(listener: Listener) -> None:
    before = (await listener.operator.get("/api/v1/rooms/drop")).json()
    answer = await listener.change({"rate": 1200, "capacity": None}, idempotency_key="a-1")
    state = answer.json()
    assert state["live"] == {"rate": 1200, "capacity": None}
    assert (state["room"]["rate"], state["room"]["capacity"]) == (1200, None)
    assert state["version"] == before["version"] + 1
    (event,) = listener.events
    assert event["event"] == "room_changed"
    assert event["changed"] == "rate:600->1200 capacity:50->none"
    assert (event["who"], event["reason"], event["request"]) == ("admin token", "test", "a-1")


async def test_the_word_file_goes_back_to_what_the_file_says(listener: Listener) -> None:
    await listener.change({"rate": 1200, "claim_seconds": 60})
    state = (await listener.change({"rate": "file"})).json()
    assert (state["room"]["rate"], state["live"]) == (600, {"claim_seconds": 60})


async def test_what_changes_nothing_is_no_change(listener: Listener) -> None:
    first = (await listener.change({"rate": 700})).json()
    again = (await listener.change({"rate": 700})).json()
    assert again["version"] == first["version"]
    assert len(listener.events) == 1


async def test_a_message_is_a_text_or_a_table_of_languages(listener: Listener) -> None:
    texts = {"*": "Size 38 is sold out.", "de": "Größe 38 ist ausverkauft."}
    state = (await listener.change({"message": texts, "message_until": "2027-01-01T12:00:00+01:00"})).json()
    assert (state["room"]["message"], state["room"]["message_until"]) == (texts, "2027-01-01T12:00:00+01:00")
    state = (await listener.change({"message": "Size 40 is sold out."})).json()
    assert state["room"]["message"] == {"*": "Size 40 is sold out."}
    assert state["room"]["message_until"] is None, "the moment was meant for the message before"


async def test_a_rooms_language_is_one_that_the_page_speaks(listener: Listener) -> None:
    assert (await listener.change({"language": "he"})).json()["room"]["language"] == "he"
    refused = await listener.change({"language": "iw"})
    assert refused.status_code == 422
    (mistake,) = refused.json()["mistakes"]
    assert (mistake["where"], mistake["allowed"]) == ("language", "did you mean `he`?")


async def test_all_mistakes_are_told_at_once_and_nothing_is_changed(listener: Listener) -> None:
    answer = await listener.change({"rat": 5, "capacity": -1, "mode": "open", "claim_seconds": True, "burst": [1]})
    told = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {one["where"] for one in told["mistakes"]} == {"rat", "capacity", "mode", "claim_seconds", "burst"}
    assert "did you mean 'rate'?" in {one["allowed"] for one in told["mistakes"]}
    assert (await listener.operator.get("/api/v1/rooms/drop")).json()["live"] == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"changes": {}}, 422),
        ({"changes": [1]}, 422),
        ({}, 422),
        ({"changes": {"rate": 1}, "resaon": "x"}, 422),
        ({"changes": {"rate": 1}, "reason": 5}, 422),
        ({"changes": {"rate": 1}, "reason": "x" * 501}, 422),
        ({"changes": {"refresh_seconds": 900}}, 422),
        ({"changes": {"something": 1}}, 422),
        ([], 400),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused_with_words(listener: Listener, body: Any, status: int) -> None:
    answer = await listener.operator.patch("/api/v1/rooms/drop", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"rate=600", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b" " * (BODY_LIMIT_BYTES + 1), "application/json", 413),
    ],
)
async def test_what_is_not_json_is_refused(listener: Listener, content: bytes, kind: str, status: int) -> None:
    answer = await listener.operator.patch("/api/v1/rooms/drop", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_a_stale_change_is_refused_and_told_the_version_that_stands(listener: Listener) -> None:
    first = await listener.operator.get("/api/v1/rooms/drop")
    fresh = await listener.change({"rate": 700}, if_match=first.headers["etag"])
    stale = await listener.change({"rate": 800}, if_match=first.headers["etag"])
    assert (fresh.status_code, stale.status_code) == (200, 412)
    assert stale.headers["etag"] == fresh.headers["etag"]
    ahead = await listener.change({"rate": 800}, if_match='"99"')
    assert ahead.status_code == 412
    assert (await listener.change({"rate": 800}, if_match="*")).status_code == 200
    assert (await listener.change({"rate": 800}, if_match="yesterday")).status_code == 400


async def test_a_repeated_change_is_made_once(listener: Listener) -> None:
    etag = (await listener.operator.get("/api/v1/rooms/drop")).headers["etag"]
    first = await listener.change({"rate": 700}, if_match=etag, idempotency_key="once")
    again = await listener.change({"rate": 700}, if_match=etag, idempotency_key="once")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["version"] == again.json()["version"]
    assert len(listener.events) == 1
    assert (await listener.change({"rate": 1}, idempotency_key="x" * 129)).status_code == 400


async def test_another_operators_change_is_seen_before_ours_is_put_on_top(listener: Listener, valkey_url: str) -> None:
    other = open_operator_store(valkey_url, ROOMS, deadline_ms=5_000)
    await other.seed()
    await other.configure("drop", {"claim_seconds": 77}, expected_version=None, author=by("other"))
    await other.aclose()
    state = (await listener.change({"rate": 700})).json()
    assert state["live"] == {"claim_seconds": 77, "rate": 700}


@pytest.mark.parametrize(
    ("mode", "verb", "status", "after"),
    [
        ("on", "pause", 200, "paused"),
        ("on", "close", 200, "closed"),
        ("on", "resume", 200, "on"),
        ("on", "open", 200, "on"),
        ("paused", "resume", 200, "on"),
        ("paused", "open", 409, "paused"),
        ("paused", "close", 200, "closed"),
        ("closed", "open", 200, "on"),
        ("closed", "resume", 409, "closed"),
        ("closed", "pause", 409, "closed"),
        ("off", "open", 200, "on"),
        ("off", "pause", 200, "paused"),
    ],
)
async def test_the_mode_verbs_lead_only_from_where_they_make_sense(
    listener: Listener, mode: str, verb: str, status: int, after: str
) -> None:
    await listener.change({"mode": mode})
    answer = await listener.operator.post(f"/api/v1/rooms/drop/{verb}")
    assert answer.status_code == status
    assert "use `" in answer.json()["detail"] if status == 409 else answer.json()["mode"] == after
    assert (await listener.operator.get("/api/v1/rooms/drop")).json()["mode"] == after


async def test_a_reason_goes_with_a_verb(listener: Listener) -> None:
    await listener.operator.post("/api/v1/rooms/drop/pause", json={"reason": "checkout is slow"})
    assert listener.events[-1]["reason"] == "checkout is slow"
    assert listener.events[-1]["changed"] == "mode:on->paused"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/rooms/nowhere", 404),
        ("PATCH", "/api/v1/rooms/nowhere", 404),
        ("POST", "/api/v1/rooms/nowhere/pause", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/elsewhere", 404),
        ("DELETE", "/api/v1/rooms/drop/pause", 405),
        ("GET", "/api/v1/rooms/drop/pause", 405),
        ("POST", "/livez", 405),
    ],
)
async def test_what_is_not_there_is_a_problem_too(listener: Listener, method: str, path: str, status: int) -> None:
    answer = await listener.operator.request(method, path, json={"changes": {"rate": 1}} if method == "PATCH" else None)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["title"]


async def test_without_the_token_the_verbs_are_closed_and_the_attempt_is_counted(listener: Listener) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}):
        answer = await listener.anonymous.get("/api/v1/rooms", headers=headers)
        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]
    assert b'waitroom_admin_refusals_total{reason="credentials"} 2.0' in listener.metrics.render()
    assert TOKEN not in listener.written.getvalue()
    assert "wrong" not in listener.written.getvalue()


async def test_a_page_of_another_site_gets_nothing_even_with_the_token(listener: Listener) -> None:
    rebound = await listener.operator.get("/metrics", headers={"host": "evil.example"})
    crossed = await listener.operator.get("/api/v1/rooms", headers={"origin": "https://evil.example"})
    assert (rebound.status_code, crossed.status_code) == (403, 403)


async def test_live_is_open_whatever_the_store_does(listener: Listener, cut_off: Listener) -> None:
    for one in (listener, cut_off):
        answer = await one.anonymous.get("/livez", headers={"host": "probe.example"})
        assert (answer.status_code, answer.json()) == (200, {"live": True})


async def test_ready_says_why_not(listener: Listener, cut_off: Listener) -> None:
    assert (await listener.anonymous.get("/readyz")).json() == {"ready": True, "reasons": []}
    answer = await cut_off.anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [f"room {room.name}: the store does not answer" for room in ROOMS]


async def test_metrics_tell_the_rooms_as_the_store_counts_them(listener: Listener) -> None:
    await listener.store.enter("drop", "visitor-0123456789ab", claims=None, purpose=Purpose.CLAIM)
    answer = await listener.anonymous.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'waitroom_room_visitors{room="drop",state="active"} 1.0' in lines
    assert 'waitroom_room_rate_limit{room="drop"} 600.0' in lines
    assert 'waitroom_room_admitted_total{room="drop"} 1.0' in lines
    assert "waitroom_store_up 1.0" in lines
    assert "visitor-0123456789ab" not in answer.text


async def test_with_the_store_away_metrics_say_so_and_rooms_are_shown_as_last_known(cut_off: Listener) -> None:
    text = (await cut_off.anonymous.get("/metrics")).text
    assert "waitroom_store_up 0.0" in text.splitlines()
    state = (await cut_off.operator.get("/api/v1/rooms/drop")).json()
    assert (state["store_available"], state["census"], state["limiting"]) == (False, None, None)
    answer = await cut_off.change({"rate": 1})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_an_unforeseen_failure_is_a_problem_without_details(listener: Listener) -> None:
    async def broken(room: str) -> Census:
        raise RuntimeError("a private thing")

    listener.store.census = broken  # type: ignore[method-assign]
    answer = await listener.operator.get("/api/v1/rooms")
    assert answer.status_code == 500
    assert "private" not in answer.text


async def test_a_lost_race_is_run_again(listener: Listener) -> None:
    """Two operators at once, neither with If-Match: both changes are made, none is lost."""
    asked = listener.store.configure
    raced = False

    async def raced_once(room: str, live: dict[str, Any], *, expected_version: int | None, **facts: Any) -> Any:
        nonlocal raced
        if not raced:
            raced = True
            await asked(room, {"claim_seconds": 99}, expected_version=None, author=by("faster"))
        return await asked(room, live, expected_version=expected_version, **facts)

    listener.store.configure = raced_once  # type: ignore[method-assign]
    state = (await listener.change({"rate": 700})).json()
    assert state["live"] == {"claim_seconds": 99, "rate": 700}


async def test_a_race_lost_for_ever_is_told(listener: Listener) -> None:
    asked = listener.store.configure
    count = 0

    async def always(room: str, live: dict[str, Any], *, expected_version: int | None, **facts: Any) -> Any:
        nonlocal count
        count += 1
        await asked(room, {"claim_seconds": 100 + count}, expected_version=None, author=by(f"faster-{count}"))
        return await asked(room, live, expected_version=expected_version, **facts)

    listener.store.configure = always  # type: ignore[method-assign]
    assert (await listener.change({"rate": 700})).status_code == 412
    assert Mode.ON.value == (await listener.operator.get("/api/v1/rooms/drop")).json()["mode"]


async def test_a_stale_change_says_who_changed_what_since(listener: Listener) -> None:
    etag = (await listener.operator.get("/api/v1/rooms/drop")).headers["etag"]
    await listener.change({"rate": 700})
    await listener.operator.post("/api/v1/rooms/drop/pause", json={"reason": "checkout is slow"})
    stale = await listener.change({"rate": 800}, if_match=etag)
    told = stale.json()["changes"]
    assert [(one["who"], one["action"], one["steps"], one["reason"]) for one in told] == [
        ("admin token", "change", {"rate": [600, 700]}, "test"),
        ("admin token", "pause", {"mode": ["on", "paused"]}, "checkout is slow"),
    ]
    assert "changed by admin token" in stale.json()["detail"]


async def test_the_last_change_can_be_taken_back_and_that_too(listener: Listener) -> None:
    await listener.change({"rate": 700})
    await listener.change({"rate": 800, "claim_seconds": 60})
    undone = (await listener.operator.post("/api/v1/rooms/drop/undo")).json()
    assert undone["live"] == {"rate": 700}
    again = (await listener.operator.post("/api/v1/rooms/drop/undo")).json()
    assert again["live"] == {"rate": 800, "claim_seconds": 60}


async def test_an_older_change_can_be_taken_back_by_its_version(listener: Listener) -> None:
    version = (await listener.change({"rate": 700})).json()["version"]
    await listener.change({"claim_seconds": 60})
    undone = await listener.operator.post("/api/v1/rooms/drop/undo", json={"version": version})
    assert undone.json()["live"] == {"claim_seconds": 60}
    gone = await listener.operator.post("/api/v1/rooms/drop/undo", json={"version": 99})
    assert (gone.status_code, gone.json()["title"]) == (409, "Not possible as it stands")


async def test_what_was_never_changed_cannot_be_taken_back(listener: Listener) -> None:
    assert (await listener.operator.post("/api/v1/rooms/vip/undo")).status_code == 409


async def test_the_log_of_changes_is_read_in_pages_over_all_rooms(listener: Listener) -> None:
    for rate in range(1, 6):
        await listener.operator.patch(
            f"/api/v1/rooms/{'drop' if rate % 2 else 'vip'}", json={"changes": {"rate": rate}}
        )
    rates: list[int] = []
    cursor = ""
    pages = 0
    while cursor is not None:
        page = (await listener.operator.get("/api/v1/audit", params={"limit": 2, "cursor": cursor})).json()
        rates += [one["steps"]["rate"][1] for one in page["changes"]]
        cursor = page["next"]
        pages += 1
    assert (rates, pages) == ([5, 4, 3, 2, 1], 3)
    vip = (await listener.operator.get("/api/v1/audit", params={"room": "vip"})).json()
    assert [one["steps"]["rate"][1] for one in vip["changes"]] == [4, 2]


@pytest.mark.parametrize("query", [{"cursor": "yesterday"}, {"limit": "0"}, {"limit": "many"}, {"colour": "red"}])
async def test_a_page_that_cannot_be_is_refused(listener: Listener, query: dict[str, str]) -> None:
    assert (await listener.operator.get("/api/v1/audit", params=query)).status_code == 422


async def test_the_log_of_changes_is_handed_out_as_csv_and_json_lines(listener: Listener) -> None:
    await listener.change({"rate": 700})
    await listener.operator.patch("/api/v1/rooms/drop", json={"changes": {"rate": 800}, "reason": "=1+1"})
    table = await listener.operator.get("/api/v1/export", params={"room": "drop"})
    assert table.headers["content-type"].startswith("text/csv")
    assert 'filename="waitroom-audit-drop.csv"' in table.headers["content-disposition"]
    head, *rows = table.text.splitlines()
    assert (head.split(",")[:3], len(rows)) == (["id", "at_ms", "room"], 2)
    assert "'=1+1" in rows[1]
    lines = (await listener.operator.get("/api/v1/export", params={"format": "jsonl"})).text.splitlines()
    assert [json.loads(line)["steps"] for line in lines] == [{"rate": [600, 700]}, {"rate": [700, 800]}]


async def test_a_change_by_the_command_line_is_told_from_one_by_a_program(listener: Listener) -> None:
    await listener.change({"rate": 700}, user_agent="waitroom-cli/0.1.0")
    await listener.change({"rate": 800})
    page = (await listener.operator.get("/api/v1/audit")).json()
    assert [one["source"] for one in page["changes"]] == ["API", "command line"]


async def test_the_description_is_served(listener: Listener) -> None:
    answer = await listener.operator.get("/api/v1/openapi.json")
    assert answer.json()["openapi"].startswith("3.1")
    assert (await listener.anonymous.get("/api/v1/openapi.json")).status_code == 401
