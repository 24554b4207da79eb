"""The waiting page at an address of its own: without cookies, without reloading, and where apps send a browser to wait."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.gateway.front import FETCH, NOW_MS, PAGE, VISITOR, Front
from waitroom.domain.room import Mode, Room
from waitroom.domain.visit import Answer
from waitroom.store.base import Purpose

pytestmark = pytest.mark.anyio
HERE = "/.waitroom/default/"
QUEUE, PASS = "waitroom-queue-default", "waitroom-pass-default"


def asked(url: str) -> dict[str, str]:
    """What an address of ours says."""
    parts = urlsplit(url)
    assert parts.path == HERE
    return {name: value for name, (value,) in parse_qs(parts.query).items()}


async def test_a_first_page_offers_its_place_in_an_address_for_browsers_without_cookies() -> None:
    front = Front()
    reply = await front.ask("/sale?size=38&size=40")
    said = asked(reply.data["token_url"])
    assert said["next"] == "/sale?size=38&size=40"
    assert said["t"] == reply.cookies[QUEUE]
    assert f'content="5;url={HERE}?t=' in reply.body.decode()


async def test_a_page_of_a_browser_that_brings_the_cookie_holds_no_place_in_its_addresses() -> None:
    front = Front()
    reply = await front.ask("/sale", cookie=f"{QUEUE}={front.place()}")
    assert reply.data["token_url"] == ""
    assert b"?t=" not in reply.body


async def test_a_place_in_the_address_is_the_same_place_and_says_that_cookies_are_off() -> None:
    front = Front()
    front.store.position = 5
    reply = await front.ask(f"{HERE}?t={front.place(least_position=3)}&next=%2Fsale%3Fsize%3D38")
    now = reply.data["now"]
    assert (reply.status, now["state"], now["view"], now["position"]) == (200, "waiting", "cookies_off", 3)
    assert front.store.calls == [
        (
            "enter",
            "default",
            VISITOR,
            front.tokens.read_queue(front.place(least_position=3), "default", NOW_MS),
            Purpose.LOOK,
        )
    ]
    assert (reply.one("referrer-policy"), reply.one("cache-control")) == ("no-referrer", "no-store")
    assert reply.cookies[QUEUE] == asked(reply.data["token_url"])["t"], "given again, as cookies may be allowed by now"
    assert front.site.asked == []


@pytest.mark.parametrize("way", [r'id="go"[^>]* href="([^"]+)"', r'http-equiv="refresh" content="[0-9]+;url=([^"]+)"'])
async def test_without_scripts_and_cookies_button_and_reloading_keep_the_place_and_no_position_rises(way: str) -> None:
    front = Front()
    address, shown = "/sale?size=38", []
    for front.store.position in (30, 12, 18, 9):
        reply = await front.ask(address)
        shown.append(reply.data["now"]["position"])
        found = re.search(way, reply.body.decode())
        assert found is not None
        address = html.unescape(found.group(1))
    assert shown == [30, 12, 12, 9]
    assert {call[2] for call in front.store.calls} == {VISITOR}
    assert [call[3] is None for call in front.store.calls] == [True, False, False, False], "one place all along"


async def test_me_is_asked_with_the_place_in_the_address_until_the_cookie_comes() -> None:
    front = Front()
    page = await front.ask(f"{HERE}?t={front.place()}&next=%2Fsale")
    me = page.data["me"] + page.data["place"]
    without = await front.ask(me, FETCH)
    assert (without.json["state"], without.json["view"]) == ("waiting", "cookies_off")
    allowed = await front.ask(me, FETCH, cookie=f"{QUEUE}={page.cookies[QUEUE]}")
    assert (allowed.json["state"], allowed.json["view"]) == ("waiting", "waiting")


async def test_the_turn_of_who_keeps_no_cookies_is_not_claimed() -> None:
    front = Front()
    front.store.answer, front.store.left_ms = Answer.CALLED, 60_000
    reply = await front.ask(f"{HERE}?t={front.place()}&next=%2Fsale")
    assert (reply.status, reply.data["now"]["state"], reply.data["now"]["view"]) == (200, "called", "cookies_off")
    assert front.store.entered() == [Purpose.LOOK]


@pytest.mark.parametrize("kind", [QUEUE, PASS])
async def test_once_the_cookie_comes_one_waits_at_the_address_first_asked_for(kind: str) -> None:
    front = Front()
    text = front.place() if kind == QUEUE else front.pass_()
    reply = await front.ask(
        f"{HERE}?t={front.place(visitor='B' * 22)}&next=%2Fsale%3Fsize%3D38", cookie=f"{kind}={text}"
    )
    assert (reply.status, reply.one("location"), reply.all("set-cookie")) == (303, "/sale?size=38", [])
    assert front.store.calls == []


@pytest.mark.parametrize("token", ["", "rubbish", "used"])
async def test_without_a_place_the_address_leads_to_where_one_is_given(token: str) -> None:
    front = Front()
    front.store.answer = Answer.REFUSED
    text = front.place() if token == "used" else token
    reply = await front.ask(f"{HERE}?t={text}&next=%2Fsale")
    assert (reply.status, reply.one("location")) == (303, "/sale")


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "///evil.example",
     " //evil.example", "javascript:alert(1)", "/%2F/evil.example\r\nset-cookie: a=b", "http:evil.example", "/" + "a" * 9_000,
     "\u2044\u2044evil.example", ""],
)  # fmt: skip
async def test_no_address_leads_to_another_host(target: str) -> None:
    front = Front()
    reply = await front.ask(f"{HERE}?next={quote(target, safe='')}", cookie=f"{QUEUE}={front.place()}")
    location = reply.one("location") or ""
    assert reply.status == 303
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\", "/\t"))
    assert urlsplit("http://shop.example" + location).netloc == "shop.example"
    assert not set("\r\n\\\t ") & set(location)


async def test_who_stops_the_reloading_waits_here_and_may_start_it_again() -> None:
    front = Front()
    page = await front.ask("/sale?size=38", cookie=f"{QUEUE}={front.place()}")
    assert f"{HERE}?next=%2Fsale%3Fsize%3D38&auto=0" in page.body.decode()
    assert b'http-equiv="refresh"' in page.body
    still = await front.ask(f"{HERE}?auto=0&next=%2Fsale%3Fsize%3D38", cookie=f"{QUEUE}={front.place()}")
    assert (still.status, still.data["now"]["view"]) == (200, "waiting")
    assert b'http-equiv="refresh"' not in still.body
    assert f"{HERE}?next=%2Fsale%3Fsize%3D38" in still.body.decode()


async def test_whose_turn_it_is_is_led_on_from_a_page_that_does_not_reload() -> None:
    front = Front()
    front.store.answer, front.store.left_ms = Answer.CALLED, 60_000
    reply = await front.ask(f"{HERE}?auto=0&next=%2Fsale", cookie=f"{QUEUE}={front.place()}")
    assert (reply.status, reply.one("location"), front.store.entered()) == (303, "/sale", [Purpose.JOIN])


async def test_an_app_whose_pages_need_no_turn_sends_its_browser_here_to_wait() -> None:
    front = Front(Room(name="default", match=("/api*",)))
    refused = await front.ask(
        "/api/cart", FETCH | {"referer": "http://shop.example/app?tab=2"}, cookie=f"{QUEUE}={front.place()}"
    )
    address = refused.one("waitroom-location")
    assert address == f"{HERE}?next=%2Fapp%3Ftab%3D2"
    waiting = await front.ask(address, cookie=f"{QUEUE}={front.place()}")
    assert (waiting.status, waiting.data["now"]["view"]) == (200, "waiting")
    newcomer = await front.ask(address)
    assert (newcomer.status, QUEUE in newcomer.cookies) == (200, True)
    front.store.answer, front.store.left_ms = Answer.CALLED, 60_000
    turn = await front.ask(address, cookie=f"{QUEUE}={front.place()}")
    assert (turn.status, turn.one("location")) == (303, "/app?tab=2")


async def test_who_only_looks_ahead_gets_no_place_here() -> None:
    front = Front(Room(name="default", match=("/api*",)))
    for more in ({"sec-purpose": "prefetch"}, {"user-agent": "Googlebot/2.1"}):
        reply = await front.ask(f"{HERE}?next=%2Fapp", PAGE | more)
        assert (reply.status, reply.one("location")) == (303, "/app")
    assert front.store.calls == []


async def test_a_form_that_has_to_wait_leads_back_to_the_page_it_was_on() -> None:
    front = Front()
    headers = PAGE | {"referer": "http://shop.example/product?id=7", "sec-fetch-site": "same-origin"}
    reply = await front.ask("/cart/add", headers, method="POST", cookie=f"{QUEUE}={front.place()}")
    assert (reply.data["go"], reply.data["reload"]) == ("/product?id=7", False)
    assert "url=/product?id=7" in reply.body.decode()
    assert front.site.asked == []


@pytest.mark.parametrize(
    ("room", "status", "location"), [({"mode": Mode.OFF}, 303, "/sale"), ({"closed_as": "ended"}, 200, None)]
)
async def test_a_room_that_is_off_or_closed(room: dict[str, object], status: int, location: str | None) -> None:
    front = Front(Room(name="default", **room))
    front.store.answer = Answer.CLOSED
    reply = await front.ask(f"{HERE}?t={front.place()}&next=%2Fsale")
    assert (reply.status, reply.one("location")) == (status, location)
    assert status == 303 or reply.data["now"]["view"] == "ended"


async def test_a_room_that_is_not_there_has_no_page() -> None:
    assert (await Front().ask("/.waitroom/other/?next=%2F")).status == 404


async def test_a_place_in_the_address_is_no_proof_that_another_site_may_act() -> None:
    front = Front()
    address = f"/.waitroom/default/join?t={front.place()}"
    reply = await front.ask(address, {"sec-fetch-site": "cross-site"}, method="POST")
    assert reply.status == 403
