"""Rooms made and removed at run time, over the API and on a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from waitroom.store.base import Purpose

if TYPE_CHECKING:
    from tests.admin.test_api import Listener

pytestmark = pytest.mark.anyio

FLASH = {"name": "flash", "settings": {"match": ["/flash*"], "rate": 60}, "reason": "tonight's drop"}


async def make(listener: Listener, **changes: Any) -> Any:
    return await listener.operator.post("/api/v1/rooms", json=FLASH | changes)


async def test_a_room_is_made_shown_changed_and_written_down(listener: Listener) -> None:
    made = await make(listener)
    assert (made.status_code, made.json()["room"]["rate"]) == (200, 60)
    changed = await listener.operator.patch("/api/v1/rooms/flash", json={"changes": {"rate": 90}})
    assert changed.json()["room"]["rate"] == 90
    back = await listener.operator.patch("/api/v1/rooms/flash", json={"changes": {"rate": "file"}})
    assert back.json()["room"]["rate"] == 60, "as it was made"
    names = [room["name"] for room in (await listener.operator.get("/api/v1/rooms")).json()["rooms"]]
    assert names == ["drop", "vip", "flash"]
    lines = (await listener.operator.get("/api/v1/audit", params={"room": "flash"})).json()["changes"]
    assert [line["action"] for line in lines] == ["change", "change", "create"]
    assert lines[-1]["steps"]["rate"] == [None, 60]


async def test_a_name_is_taken_once_and_a_repeated_request_is_no_second_room(listener: Listener) -> None:
    for _ in range(2):
        made = await listener.operator.post("/api/v1/rooms", json=FLASH, headers={"idempotency-key": "once"})
        assert made.status_code == 200
    assert (await make(listener)).status_code == 409
    assert (await make(listener, name="drop")).status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "No Name"},
        {"settings": {"rate": -1}},
        {"settings": {"rtae": 1}},
        {"settings": {"logo": "/etc/passwd"}},
        {"settings": {"name": "other"}},
        {"settings": []},
    ],
)
async def test_a_room_that_cannot_be_is_refused_with_words(listener: Listener, wrong: dict[str, Any]) -> None:
    refused = await make(listener, **wrong)
    assert refused.status_code == 422
    assert refused.json()["mistakes"]


async def test_a_room_is_removed_with_its_queue_and_its_log_stays(listener: Listener) -> None:
    await make(listener, settings={"match": ["/flash*"], "rate": 0})
    await listener.store.enter("flash", "visitor-0123456789ab", claims=None, purpose=Purpose.JOIN)
    gone = await listener.operator.delete("/api/v1/rooms/flash", params={"reason": "over"})
    assert gone.json() == {"removed": "flash", "people": 1}
    assert (await listener.operator.get("/api/v1/rooms/flash")).status_code == 404
    lines = (await listener.operator.get("/api/v1/audit", params={"room": "flash"})).json()["changes"]
    assert [(line["action"], line["reason"]) for line in lines] == [("remove", "over"), ("create", "tonight's drop")]
    assert (await make(listener)).json()["census"]["waiting"] == 0, "made again, it begins anew"


async def test_a_room_of_the_file_cannot_be_removed(listener: Listener) -> None:
    refused = await listener.operator.delete("/api/v1/rooms/drop")
    assert (refused.status_code, "configuration file" in refused.json()["detail"]) == (409, True)


async def test_a_room_seen_otherwise_is_not_removed(listener: Listener) -> None:
    etag = (await make(listener)).headers["etag"]
    await listener.operator.patch("/api/v1/rooms/flash", json={"changes": {"rate": 1}})
    assert (await listener.operator.delete("/api/v1/rooms/flash", headers={"if-match": etag})).status_code == 412
