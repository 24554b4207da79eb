"""The console's pages over the real store, as a browser without script uses them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.admin.access.house import House
from waitroom.admin.console.live import Live
from waitroom.domain.access import Role
from waitroom.store.base import Purpose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2

pytestmark = pytest.mark.anyio

STATIC = Path(__file__).parent.parent.parent.parent / "static" / "console"


@pytest.fixture
async def house(valkey_url: str) -> AsyncIterator[House]:
    house = House(valkey_url)
    await house.store.seed()
    await house.store.beat("drop")
    yield house
    await house.store.aclose()


async def do(browser: httpx2.AsyncClient, form: str, **fields: str) -> httpx2.Response:
    return await browser.post(f"/rooms/drop/do/{form}", data=fields)


async def test_the_first_pages_answer_what_is_going_on(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    home, room = await browser.get("/"), await browser.get("/rooms/drop")
    assert "Nobody waits" in home.text
    for question in (
        "Waiting",
        "Wait for who comes now",
        "Active",
        "Entered in the last minute",
        "Shop p50 / p95",
        "Store",
    ):
        assert question in room.text
    assert (await browser.get("/rooms/nothing")).status_code == 404


async def test_a_viewer_sees_no_controls_and_can_do_nothing(house: House) -> None:
    browser = await house.logged_in("noa", Role.VIEWER)
    page = await browser.get("/rooms/drop")
    assert "/do/" not in page.text
    assert (await do(browser, "pause")).status_code == 403


async def test_pausing_and_lowering_are_one_click_and_stand_in_the_log(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    assert (await do(browser, "pause")).headers["location"] == "/rooms/drop?done=pause"
    assert (await do(browser, "resume")).status_code == 303
    assert (await do(browser, "rate", rate="300", reason="slow shop")).status_code == 303
    log = (await browser.get("/audit?room=drop")).text
    assert "dana: change: rate 600 → 300 — slow shop" in log
    assert "Done: change: rate 600 → 300." in (await browser.get("/rooms/drop?done=rate")).text
    assert (await do(browser, "undo")).status_code == 303
    assert house.store.record("drop").room.rate == 600


async def test_raising_far_asks_first_and_is_done_when_confirmed(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    asked = await do(browser, "rate", rate="6000")
    assert (asked.status_code, "10.0 times the rate" in asked.text) == (200, True)
    assert house.store.record("drop").room.rate == 600
    assert (await do(browser, "rate", rate="6000", confirmed="yes")).status_code == 303
    assert house.store.record("drop").room.rate == 6000


async def test_what_was_done_is_said_once_and_taken_back_by_its_number(house: House) -> None:
    dana, noa = await house.logged_in("dana", Role.OPERATOR), await house.logged_in("noa", Role.OPERATOR)
    await do(dana, "rate", rate="300")
    page = (await dana.get("/rooms/drop?done=rate")).text
    of = re.search(r'name="of" value="(\d+)"', page)
    assert "Done: change" in page
    assert of
    await do(noa, "rate", rate="90")
    assert "Done:" not in (await dana.get("/rooms/drop?done=rate")).text, "that is noa's"
    await do(dana, "undo", of=of[1])
    assert house.store.record("drop").room.rate == 600
    await house.store.enter("drop", "v" * 22, claims=None, purpose=Purpose.JOIN)
    assert (await do(dana, "admit", count="1", confirmed="yes")).status_code == 303
    page = (await dana.get("/rooms/drop?done=admit")).text
    assert "Done: admit" in page
    assert 'name="of"' not in page, "who was called is called"


async def test_line_breaks_of_a_browser_are_line_breaks_of_a_message(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    said = await do(browser, "message", **{"text.*": "Sizes 38 and 40\r\nare sold out.", "until": ""})
    assert said.status_code == 303
    assert house.store.record("drop").room.message == {"*": "Sizes 38 and 40\nare sold out."}


async def test_what_was_typed_into_one_form_stands_in_no_other(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    page = (await do(browser, "save-preset", preset="Black Friday", rate="77", capacity="88")).text
    assert 'name="preset" size="12" value="Black Friday"' in page
    assert page.count('value="77"') == page.count('value="88"') == 1
    assert '<details class="card" open>' in page
    await do(browser, "message", **{"text.*": "Hello", "text.de": "Hallo", "until": ""})
    page = (await do(browser, "message", **{"text.*": "x" * 501, "text.de": "Guten Tag", "until": ""})).text
    assert ">Guten Tag</textarea>" in page


async def test_a_reset_asks_for_the_rooms_name(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    assert "Type the room" in (await do(browser, "reset")).text
    assert "not the room" in (await do(browser, "reset", confirmed="yes")).text
    assert (await do(browser, "reset", confirmed="drop")).status_code == 303


async def test_who_is_slower_hears_who_was_faster_and_keeps_what_was_typed(house: House) -> None:
    dana = await house.logged_in("dana", Role.OPERATOR)
    noa = await house.logged_in("noa", Role.OPERATOR)
    match = re.search(r'name="version" value="(\d+)"', (await dana.get("/rooms/drop")).text)
    assert match
    assert (await do(noa, "rate", rate="90", version=match[1])).status_code == 303
    late = await do(dana, "rate", rate="120", version=match[1], reason="more room")
    assert late.status_code == 412
    assert "noa: change: rate 600 → 90" in late.text
    assert 'name="rate" value="120"' in late.text
    assert 'value="more room"' in late.text
    fresh = re.search(r'name="version" value="(\d+)"', late.text)
    assert fresh
    assert (await do(dana, "rate", rate="120", version=fresh[1])).status_code == 303


async def test_mistakes_are_told_beside_what_was_typed(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    for form, fields in (
        ("rate", {"rate": "many"}), ("rate", {"rate": "-5"}), ("capacity", {"capacity": "nan"}),
        ("ramp", {"to": "5", "minutes": "x"}), ("admit", {"count": "inf"}),
    ):  # fmt: skip
        page = await do(browser, form, **fields)
        assert page.status_code == 422
        assert 'role="alert"' in page.text
    assert 'value="many"' in (await do(browser, "rate", rate="many")).text


FLASH = {
    "name": "flash", "match": "/flash*\r\nshop.example/sale*", "rate": "1,200", "capacity": "", "shop_name": "Maison",
    "reason": "a flash sale",
}  # fmt: skip
"""A room as it is typed."""


async def test_an_administrator_makes_a_room_and_is_led_to_it_and_removes_it(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    made = await browser.post("/rooms", data=FLASH)
    assert (made.status_code, made.headers["location"]) == (303, "/rooms/flash")
    room = house.store.record("flash").room
    assert (room.match, room.rate, room.capacity) == (("/flash*", "shop.example/sale*"), 1_200, None)
    assert room.shop_name == "Maison"
    page = (await browser.get("/rooms/flash")).text
    assert "dana: create" in page
    assert "a flash sale" in page
    asked = await browser.post("/rooms/flash/do/remove")
    assert "Type the room" in asked.text
    gone = await browser.post("/rooms/flash/do/remove", data={"confirmed": "flash"})
    assert (gone.status_code, gone.headers["location"]) == (303, "/")
    assert [room.name for room in house.store.made_rooms] == []


async def test_every_mistake_in_a_room_stands_beside_what_was_typed_and_nothing_typed_is_lost(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    wrong = FLASH | {"name": "Flash Sale", "match": "/flash*\nflash", "rate": "many", "capacity": "-5"}
    page = await browser.post("/rooms", data=wrong)
    assert page.status_code == 422
    assert dict(re.findall(r'<p class="error" id="wrong-(\w+)">(.*?)</p>', unescape(page.text))) == {
        "name": "a room's name has 1 to 40 lower-case letters, digits and hyphens, no hyphen at the ends",
        "match": "'flash': a pattern is 'host/path*' or '/path*'; write 'flash/*' for a whole host",
        "rate": "cannot be 'many' (a whole number from 0 to 10000000 or \"none\")",
        "capacity": "cannot be '-5' (a whole number from 0 to 10000000 or \"none\")",
    }
    assert set(re.findall(r'aria-describedby="wrong-(\w+)"', page.text)) == {"name", "match", "rate", "capacity"}
    for name in ("name", "rate", "capacity", "shop_name", "reason"):
        assert f'name="{name}" value="{wrong[name]}"' in page.text
    assert "/flash*\nflash</textarea>" in page.text
    taken = await browser.post("/rooms", data=FLASH | {"name": "drop"})
    assert (taken.status_code, 'id="wrong-name"' in taken.text, 'value="1,200"' in taken.text) == (409, True, True)
    empty = await browser.post("/rooms", data={})
    assert (empty.status_code, 'id="wrong-match"' in empty.text) == (422, True)
    assert house.store.made_rooms == []


async def test_an_operator_makes_no_room_and_is_shown_no_form_for_it(house: House) -> None:
    browser = await house.logged_in("noa", Role.OPERATOR)
    assert 'action="/rooms"' not in (await browser.get("/")).text
    assert (await browser.post("/rooms", data=FLASH)).status_code == 403
    assert house.store.made_rooms == []


async def test_any_live_setting_can_be_set_and_one_of_limits_only_where_it_asks(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    assert (await do(browser, "setting", setting="claim_seconds", value="60")).status_code == 303
    assert (await do(browser, "setting", setting="sound", value="false")).status_code == 303
    room = house.store.record("drop").room
    assert (room.claim_seconds, room.sound) == (60, False)
    assert (await do(browser, "setting", setting="claim_seconds", value="file")).status_code == 303
    assert house.store.record("drop").room.claim_seconds == 120
    for setting, value in (("claim_seconds", "soon"), ("rate", "9000000"), ("nothing", "1")):
        page = await do(browser, "setting", setting=setting, value=value)
        assert (page.status_code, f'name="value" value="{value}"' in page.text) == (422, True)
    assert house.store.record("drop").room.rate == 600


async def test_who_has_no_password_yet_is_given_another_link(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    await browser.post("/people/add", data={"name": "noa", "role": "viewer"})
    again = await browser.post("/people/invite", data={"name": "noa"})
    link = re.search(r"/welcome\?link=[^<]+", again.text)
    assert link
    assert (await browser.get(link[0])).status_code == 200
    refused = await browser.post("/people/invite", data={"name": "dana"})
    assert (refused.status_code, "has a password" in refused.text) == (409, True)


async def test_a_message_is_said_in_two_languages_presets_kept_and_ramps_begun(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    said = {"text.*": "Back at ten", "language": "he", "in_language": "חוזרים בעשר"}
    assert (await do(browser, "message", **said)).status_code == 303
    assert house.store.record("drop").room.message == {"*": "Back at ten", "he": "חוזרים בעשר"}
    page = (await browser.get("/rooms/drop")).text
    assert "חוזרים בעשר" in page
    assert '<option value="de" lang="de">Deutsch</option>' in page
    assert '<option value="he"' not in page  # it has a field of its own
    assert (await do(browser, "message", **{"text.*": "Back at ten", "until": "30 min"})).status_code == 303
    assert house.store.record("drop").room.message_until is not None
    assert "Done: message" in (await browser.get("/rooms/drop?done=message")).text
    assert (await do(browser, "save-preset", preset="calm", rate="60", capacity="")).status_code == 303
    assert "Use calm" in (await browser.get("/rooms/drop")).text
    assert (await do(browser, "use-preset", preset="calm")).status_code == 303
    assert house.store.record("drop").room.rate == 60
    assert (await do(browser, "ramp", to="90", minutes="2")).status_code == 303
    assert (await do(browser, "drop-preset", preset="nothing")).status_code == 404


async def test_a_visitor_is_found_by_code_and_put_at_the_front_with_a_reason(house: House) -> None:
    from waitroom.domain.short_code import short_code

    await house.store.enter("drop", "v" * 22, claims=None, purpose=Purpose.JOIN)
    code = short_code("v" * 22)
    viewer = await house.logged_in("noa", Role.VIEWER)
    story = await viewer.get(f"/rooms/drop/visitors?code={code.lower()}")
    assert "got a place in the queue" in story.text or "waiting" in story.text
    assert "/visitors/front" not in story.text
    operator = await house.logged_in("dana", Role.OPERATOR)
    assert (await operator.post("/rooms/drop/visitors/front", data={"code": code})).status_code == 422
    done = await operator.post("/rooms/drop/visitors/front", data={"code": code, "reason": "lost by us"})
    assert done.status_code in {303, 409}
    assert "Nobody in this room" in (await viewer.get("/rooms/drop/visitors?code=0000-0000")).text
    assert (await viewer.get("/rooms/drop/visitors?code=nonsense!")).status_code == 422


async def test_the_report_is_one_file_to_keep(house: House) -> None:
    browser = await house.logged_in("dana", Role.VIEWER)
    answer = await browser.get("/rooms/drop/report")
    assert answer.headers["content-disposition"].startswith('attachment; filename="waitroom-report-drop-')
    assert answer.text.startswith("<!doctype html>")


async def test_twenty_consoles_share_what_is_made_once_a_second(house: House) -> None:
    made = 0

    class Counting(Live):
        async def document(self) -> dict[str, object]:
            nonlocal made
            made += 1
            return await super().document()

    verbs_live = Counting(house.verbs)
    streams = [verbs_live._events() for _ in range(20)]
    assert {await anext(stream) for stream in streams} == {b"retry: 1000\n\n"}
    first = await asyncio.gather(*(anext(stream) for stream in streams))
    assert len(set(first)) == 1
    document = json.loads(first[0].split(b"data: ")[1])
    assert [room["name"] for room in document["rooms"]] == ["drop"]
    assert made == 1
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    await verbs_live.aclose()


async def test_who_is_told_to_stop_ends_the_streams_of_open_consoles_at_once(house: House) -> None:
    live = Live(house.verbs)
    stream = live._events()
    await anext(stream)
    await anext(stream)
    live.end()
    assert [event async for event in stream] == []
    assert [event async for event in live._events()] == [b"retry: 1000\n\n"]
    await live.aclose()


async def test_the_first_load_stays_under_sixty_kilobytes(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    page = await browser.get("/rooms/drop")
    total = len(gzip.compress(page.content, 9))
    for url in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text):
        asset = await browser.get(url, headers={"accept-encoding": "identity"})
        assert asset.status_code == 200
        total += len(gzip.compress(asset.content, 9))
    assert total < 60_000


def test_vendored_files_are_what_their_list_says() -> None:
    vendor = STATIC / "vendor" / "uplot"
    assert (vendor / "VERSION").read_text().strip()
    assert "MIT" in (vendor / "LICENSE").read_text()
    for line in (vendor / "sha256").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name
