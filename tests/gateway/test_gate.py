"""The gate: who gets in, who waits, and what either gets."""

from __future__ import annotations

import asyncio
import base64
import itertools
from typing import Any
from unittest.mock import AsyncMock

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.front import FETCH, GENERATION, NOW_MS, VISITOR, Front, census
from waitroom.domain.claims import PassClaims, QueueClaims
from waitroom.domain.room import Mode, Room
from waitroom.domain.visit import Answer, Visit
from waitroom.errors import RoomUnknown
from waitroom.gateway.answer import edited_head
from waitroom.gateway.desk import Proofs, least_position
from waitroom.gateway.farewells import MOST
from waitroom.settings import GatewaySettings
from waitroom.store.base import Purpose

pytestmark = pytest.mark.anyio
QUEUE = "waitroom-queue-default"
PASS = "waitroom-pass-default"


async def test_a_fresh_pass_goes_through_without_the_store() -> None:
    front = Front()
    front.store.away = True
    reply = await front.ask(cookie=f"a=1; {PASS}={front.pass_()}; b=2")
    assert (reply.status, reply.body) == (200, b"the shop")
    assert front.store.calls == []
    assert reply.all("set-cookie") == []
    seen = front.site.headers_seen()
    assert seen["cookie"] == "a=1; b=2"
    assert (seen["waitroom-room"], seen["waitroom-visitor"]) == ("default", VISITOR)
    assert front.outcomes() == {"fresh": 1}


async def test_a_stale_pass_is_renewed_and_the_new_one_rides_on_an_answer_that_no_shared_cache_keeps() -> None:
    front = Front()
    front.site.headers = [(b"cache-control", b"private, max-age=5")]
    reply = await front.ask(cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    assert front.store.calls == [("renew", "default", VISITOR)]
    claims = front.tokens.read_pass(reply.cookies[PASS], "default")
    assert (claims.issued_ms, claims.session_end_ms) == (NOW_MS, NOW_MS + 600_000)
    assert reply.one("cache-control") == "private, max-age=5"
    assert front.outcomes() == {"renewed": 1}


async def test_many_requests_with_one_stale_pass_make_one_renewal() -> None:
    front = Front()
    cookie = f"{PASS}={front.pass_(age_ms=31_000)}"
    replies = await asyncio.gather(*(front.ask(cookie=cookie) for _ in range(20)))
    replies.append(await front.ask(cookie=cookie))
    assert front.store.calls == [("renew", "default", VISITOR)]
    assert len({reply.cookies[PASS] for reply in replies}) == 1
    assert front.outcomes() == {"renewed": 21}


async def test_renewals_are_remembered_for_so_many_visitors_and_no_more() -> None:
    front = Front()
    renewed = front.gate._desk._renewed
    claims = front.tokens.read_pass(front.pass_(), "default")
    renewed.update({("default", str(number)): claims for number in range(4_096)})
    await front.ask(cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    assert len(renewed) == 4_096
    assert (*renewed,)[-1] == ("default", VISITOR)
    assert ("default", "0") not in renewed, "the oldest goes"


async def test_what_is_no_request_is_not_for_the_site() -> None:
    front = Front()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await front.gate({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_waiter_who_goes_away_does_not_take_the_renewal_of_others_with_it() -> None:
    front = Front()
    cookie = f"{PASS}={front.pass_(age_ms=31_000)}"
    gone = asyncio.ensure_future(front.ask(cookie=cookie))
    stays = asyncio.ensure_future(front.ask(cookie=cookie))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).body == b"the shop"
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_a_pass_that_cannot_be_renewed_because_the_store_is_away_is_honoured() -> None:
    front = Front()
    front.store.away = True
    stale = await front.ask(cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    ended = await front.ask(cookie=f"{PASS}={front.pass_(age_ms=700_000)}")
    assert [stale.body, ended.body] == [b"the shop", b"the shop"]
    assert stale.all("set-cookie") == ended.all("set-cookie") == []
    assert front.metrics.told["pass_without_store", "default"] == 2
    assert front.outcomes() == {"store_away": 2}
    assert front.lines == ["store_away"]


async def test_a_pass_that_ended_long_before_the_store_went_away_is_none() -> None:
    front = Front()
    front.store.away = True
    reply = await front.ask(cookie=f"{PASS}={front.pass_(age_ms=5_000_000)}")
    assert b"<title>Reconnecting<" in reply.body
    assert front.site.asked == []


async def test_a_session_that_is_over_is_a_new_arrival_of_the_same_visitor() -> None:
    front = Front()
    front.store.active = False
    reply = await front.ask(cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    assert front.store.calls[1][:3] == ("enter", "default", VISITOR)
    assert front.store.entered() == [Purpose.CLAIM]
    assert reply.cookies[PASS] == ""
    assert front.tokens.read_queue(reply.cookies[QUEUE], "default", NOW_MS).visitor == VISITOR


async def test_a_script_whose_session_is_over_gets_no_place_that_nobody_asked_for() -> None:
    front = Front()
    front.store.active = False
    front.store.answer = Answer.REFUSED
    reply = await front.ask(headers=FETCH, cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    assert (reply.status, front.store.entered()) == (429, [Purpose.DIRECT])


async def test_who_may_enter_gets_a_pass_and_this_very_request_is_served() -> None:
    front = Front()
    front.store.answer = Answer.ADMITTED
    front.site.headers = [
        (b"cache-control", b"public, s-maxage=600"),
        (b"expires", b"Thu, 01 Jan 2099 00:00:00 GMT"),
        (b"age", b"3"),
        (b"surrogate-control", b"max-age=9"),
        (b"cdn-cache-control", b"max-age=9"),
        (b"cloudflare-cdn-cache-control", b"max-age=9"),
        (b"etag", b'"1"'),
    ]
    reply = await front.ask("/product?id=7", method="POST", cookie=f"{QUEUE}={front.place()}")
    assert reply.body == b"the shop"
    asked = front.site.asked[0]
    assert (asked["method"], asked["raw_path"], asked["query_string"]) == ("POST", b"/product", b"id=7")
    claims = front.tokens.read_pass(reply.cookies[PASS], "default")
    assert (claims.visitor, claims.session_end_ms, claims.provisional) == (VISITOR, NOW_MS + 600_000, False)
    assert reply.cookies[QUEUE] == ""
    assert [pair for pair in reply.headers if pair[0] != b"set-cookie"] == [
        (b"etag", b'"1"'),
        (b"cache-control", b"private, no-cache"),
    ]
    assert front.metrics.waits == [60.0]
    assert front.outcomes() == {"admitted": 1}


async def test_who_must_wait_gets_the_page_and_a_place() -> None:
    front = Front()
    reply = await front.ask("/product?id=7")
    assert (reply.status, reply.one("content-type")) == (200, "text/html; charset=utf-8")
    assert reply.one("cache-control") == "no-store"
    assert "script-src 'nonce-nonce'" in (reply.one("content-security-policy") or "")
    assert b">7</dd>" in reply.body
    claims = front.tokens.read_queue(reply.cookies[QUEUE], "default", NOW_MS)
    assert (claims.visitor, claims.score_us, claims.generation) == (VISITOR, NOW_MS * 1000, GENERATION)
    assert front.site.asked == []
    assert front.outcomes() == {"waiting": 1}


async def test_a_position_that_was_shown_never_rises_on_a_page_that_is_loaded_again() -> None:
    front = Front()
    cookie, shown = "", []
    for front.store.position in (9, 7, 12, 8, 3):
        reply = await front.ask(cookie=cookie)
        cookie = f"{QUEUE}={reply.cookies.get(QUEUE) or cookie.partition('=')[2]}"
        shown.append(reply.data["now"]["position"])
    assert shown == [9, 7, 7, 7, 3]


async def test_positions_of_a_queue_that_is_put_back_together_are_not_held_against_later_ones() -> None:
    front = Front()
    front.store.position, front.store.counted = 2, census(recovering_ms=9_000)
    reply = await front.ask()
    assert front.tokens.read_queue(reply.cookies[QUEUE], "default", NOW_MS).least_position == 0


def test_a_least_position_belongs_to_one_place() -> None:
    place = QueueClaims("default", VISITOR, NOW_MS * 1000, 1, GENERATION, least_position=2)
    proofs = Proofs("default", secure=False)
    proofs.queue = place
    same, other = (Visit(Answer.WAITING, VISITOR, NOW_MS, GENERATION, 1, NOW_MS * 1000 + us, 7) for us in (0, 1))
    assert (least_position(same, proofs), least_position(other, proofs)) == (2, 0)


async def test_a_place_that_did_not_change_is_not_set_again() -> None:
    front = Front()
    known = await front.ask(cookie=f"{QUEUE}={front.place(least_position=7)}")
    assert known.all("set-cookie") == []
    front.store.generation = "g2"
    moved = await front.ask(cookie=f"{QUEUE}={front.place()}")
    assert front.tokens.read_queue(moved.cookies[QUEUE], "default", NOW_MS).generation == "g2"


async def test_the_page_has_the_status_that_the_room_wants() -> None:
    front = Front(Room(name="default", waiting_status=503))
    reply = await front.ask()
    assert (reply.status, reply.one("retry-after")) == (503, "5")


async def test_head_gets_the_headers_of_the_page_alone() -> None:
    front = Front()
    reply = await front.ask(method="HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.one("content-length") or 0) > 1_000


async def test_a_program_that_must_wait_gets_429_and_is_told_how_to_wait() -> None:
    front = Front(Room(name="default", rate=60))
    front.store.position = 130
    front.store.counted = census(waiting=200)
    reply = await front.ask("/api", headers=FETCH, cookie=f"{QUEUE}={front.place()}")
    assert (reply.status, reply.one("content-type")) == (429, "application/problem+json")
    assert (reply.one("retry-after"), reply.one("cache-control")) == ("2", "no-store")
    me = await front.ask("/.waitroom/default/me", headers=FETCH, cookie=f"{QUEUE}={front.place()}")
    assert reply.json == me.json | {
        "type": "urn:waitroom:waiting",
        "title": "Too many people at once",
        "status": 429,
        "detail": "This needs a turn in the room default. Join the queue, ask `me` when to come back, "
        "and repeat the request when its state is called.",
        "join": "/.waitroom/default/join",
        "me": "/.waitroom/default/me",
        "queue": "/.waitroom/default/queue.json",
        "page": "/.waitroom/default/?next=%2F",
    }
    assert front.store.entered() == [Purpose.CLAIM, Purpose.LOOK]


@pytest.mark.parametrize(
    ("referer", "next_"),
    [
        ("http://shop.example/cart?step=2#pay", "%2Fcart%3Fstep%3D2"),
        ("https://SHOP.example", "%2F"),
        ("https://evil.example/cart", "%2F"),
        ("https://shop.example//evil.example/", "%2F"),
        ("https://shop.example:443@evil.example/", "%2F"),
        ("android-app://shop.example/x", "%2F"),
        ("http://[shop", "%2F"),
    ],
)
async def test_a_program_is_told_where_its_page_can_wait_and_come_back_from(referer: str, next_: str) -> None:
    front = Front()
    reply = await front.ask("/api", headers=FETCH | {"referer": referer}, cookie=f"{QUEUE}={front.place()}")
    assert reply.one("waitroom-location") == reply.json["page"] == f"/.waitroom/default/?next={next_}"


async def test_a_program_without_a_token_may_enter_directly_but_makes_no_place() -> None:
    front = Front()
    front.store.answer = Answer.REFUSED
    refused = await front.ask("/api", headers=FETCH)
    assert (refused.status, refused.all("set-cookie")) == (429, [])
    front.store.answer = Answer.ADMITTED
    assert (await front.ask("/api", headers=FETCH)).body == b"the shop"
    assert front.store.entered() == [Purpose.DIRECT, Purpose.DIRECT]
    assert front.outcomes() == {"refused": 1, "admitted": 1}


@pytest.mark.parametrize(
    ("headers", "method", "is_page"),
    [
        ({"sec-fetch-mode": "navigate"}, "GET", True),
        ({"sec-fetch-mode": "navigate"}, "POST", True),
        ({"accept": "text/html"}, "GET", True),
        ({"accept": "text/html"}, "POST", False),
        ({"accept": "text/html", "sec-fetch-mode": "no-cors"}, "GET", False),
        ({"accept": "*/*"}, "GET", False),
        ({"accept": "text/html", "upgrade": "websocket"}, "GET", False),
        ({"sec-fetch-mode": "websocket", "upgrade": "websocket"}, "GET", False),
        ({}, "GET", False),
    ],
)
async def test_people_get_the_page_and_programs_do_not(headers: dict[str, str], method: str, is_page: bool) -> None:
    front = Front()
    reply = await front.ask(headers=headers, method=method)
    assert reply.status == (200 if is_page else 429)


async def test_a_form_that_must_wait_is_never_forwarded_and_goes_on_with_get() -> None:
    front = Front()
    reply = await front.ask("/order", method="POST", body=b"card=1")
    assert b'"reload":false' in reply.body
    assert front.site.asked == []


async def test_a_form_sent_by_another_site_does_not_overwrite_a_place_whose_cookie_it_lacks() -> None:
    front = Front()
    front.store.answer = Answer.REFUSED
    reply = await front.ask(
        "/return", headers={"sec-fetch-mode": "navigate", "sec-fetch-site": "cross-site"}, method="POST"
    )
    assert front.store.entered() == [Purpose.DIRECT]
    assert (reply.status, reply.all("set-cookie")) == (200, [])
    assert b"<title>Join the queue<" in reply.body


@pytest.mark.parametrize("name", ["sec-purpose", "purpose", "x-moz"])
async def test_a_guess_of_the_browser_spends_no_turn(name: str) -> None:
    front = Front()
    reply = await front.ask(headers={"sec-fetch-mode": "navigate", name: "prefetch"}, cookie=f"{QUEUE}={front.place()}")
    assert (reply.status, front.store.calls) == (429, [])


async def test_a_preflight_passes_because_it_never_has_cookies() -> None:
    front = Front()
    headers = {"origin": "https://app.example", "access-control-request-method": "PUT"}
    assert (await front.ask("/api", headers=headers, method="OPTIONS")).body == b"the shop"
    assert (front.store.calls, front.outcomes()) == ([], {"bypass": 1})


async def test_a_called_visitor_who_meets_a_full_room_is_told_so() -> None:
    front = Front()
    front.store.answer = Answer.CALLED
    front.store.left_ms = 90_000
    reply = await front.ask(cookie=f"{QUEUE}={front.place()}")
    assert b"It is your turn</h1>" in reply.body
    assert b">01:30<" in reply.body
    assert front.outcomes() == {"called": 1}


async def test_a_closed_room_says_so_and_gives_no_place() -> None:
    front = Front(Room(name="default", mode=Mode.CLOSED))
    front.store.answer = Answer.CLOSED
    page = await front.ask()
    assert b"<title>Closed<" in page.body
    assert page.all("set-cookie") == []
    program = await front.ask(headers=FETCH)
    assert (program.status, program.json["state"]) == (429, "closed")
    assert "wait_minutes" not in program.json


async def test_a_paused_room_says_so() -> None:
    front = Front(Room(name="default", mode=Mode.PAUSED))
    assert b"Entry is paused</h1>" in (await front.ask()).body


async def test_a_recovering_room_says_so() -> None:
    front = Front()
    front.store.counted = census(recovering_ms=5_000)
    assert b"Restoring the queue</title>" in (await front.ask()).body


async def test_a_room_that_is_off_is_not_there() -> None:
    front = Front(Room(name="default", mode=Mode.OFF))
    reply = await front.ask(cookie=f"{QUEUE}=x; a=1", more=(("waitroom-visitor", "me"),))
    assert (reply.body, reply.all("set-cookie")) == (b"the shop", [])
    seen = front.site.headers_seen()
    assert (seen["cookie"], "waitroom-visitor" in seen) == ("a=1", False)
    assert (front.store.calls, front.outcomes()) == ([], {"off": 1})


async def test_a_room_just_turned_off_lets_pass_without_cookies() -> None:
    front = Front()
    front.store.answer = Answer.OFF
    reply = await front.ask()
    assert (reply.body, reply.all("set-cookie"), front.outcomes()) == (b"the shop", [], {"off": 1})


async def test_what_no_room_protects_and_what_a_bypass_names_needs_no_pass() -> None:
    front = Front(Room(name="default", match=("/shop*",), bypass=("/shop/health",)))
    assert (await front.ask("/about")).body == b"the shop"
    assert (await front.ask("/shop/health")).body == b"the shop"
    assert (await front.ask("/shop/cart")).body != b"the shop"
    assert front.outcomes() == {"unmatched": 1, "bypass": 1, "waiting": 1}


async def test_a_path_that_reads_into_two_rooms_is_refused() -> None:
    front = Front(Room(name="a", match=("/a*",)), Room(name="b", match=("/b*",)))
    reply = await front.ask("/a/..%2fb")
    assert (reply.status, reply.json["status"]) == (400, 400)
    assert front.site.asked == []


async def test_a_target_with_a_fragment_is_refused() -> None:
    front = Front(Room(name="default", match=("/shop*",)))
    reply = await front.ask("/public/", extensions={"waitroom.target": b"/public/#/../../shop"})
    assert (reply.status, front.site.asked) == (400, [])


async def test_a_room_that_is_not_set_up_yet_stays_protected() -> None:
    front = Front()
    del front.store.rooms["default"]
    reply = await front.ask()
    assert (reply.status, front.site.asked) == (503, [])


async def test_a_room_that_is_removed_while_the_store_is_asked_stays_protected(monkeypatch: pytest.MonkeyPatch) -> None:
    front = Front()
    monkeypatch.setattr(front.store, "enter", AsyncMock(side_effect=RoomUnknown("no room 'default'")))
    reply = await front.ask()
    assert (reply.status, front.site.asked) == (503, [])


# Tokens.


def broken(text: str) -> dict[str, str]:
    """Ways to break a token, and the kind each counts as."""
    turned = base64.urlsafe_b64encode(bytes(255 - byte for byte in base64.urlsafe_b64decode(text[-43:] + "=")))
    return {
        text[:-43] + turned.decode().rstrip("="): "forged",
        text[:-5]: "malformed",
        text + "A" * 300: "oversized",
        f'"{text}"': "malformed",
        "é": "malformed",
    }


@pytest.mark.parametrize("kind", ["queue", "pass"])
async def test_a_worthless_token_counts_as_none_and_is_counted(kind: str) -> None:
    good = Front()
    for text, why in broken(good.place() if kind == "queue" else good.pass_()).items():
        front = Front(new_visitor=lambda: "N" * 22)
        reply = await front.ask(cookie=f"waitroom-{kind}-default={text}")
        assert reply.status == 200
        assert front.store.calls[0][2] == "N" * 22
        assert front.metrics.told["token_rejected", why] == 1
        assert reply.cookies[QUEUE]
        if kind == "pass":
            assert reply.cookies[PASS] == ""


async def test_a_worthless_cookie_is_deleted_even_when_nobody_gets_a_place() -> None:
    front = Front()
    front.store.answer = Answer.CLOSED
    reply = await front.ask(cookie=f"{QUEUE}=x; {PASS}=y")
    assert reply.cookies == {QUEUE: "", PASS: ""}


async def test_a_token_of_another_room_is_foreign() -> None:
    front = Front()
    reply = await front.ask(cookie=f"{PASS}={front.pass_('other')}")
    assert front.metrics.told["token_rejected", "foreign"] == 1
    assert reply.body != b"the shop"


async def test_an_expired_place_is_a_new_arrival() -> None:
    front = Front()
    await front.ask(cookie=f"{QUEUE}={front.place(score_us=(NOW_MS - 86_400_000) * 1000)}")
    assert front.metrics.told["token_rejected", "expired"] == 1
    assert front.store.calls[0][3] is None


@pytest.mark.parametrize("order", [0, 1])
async def test_of_repeated_cookies_the_first_valid_one_counts(order: int) -> None:
    front = Front()
    pair = [f"{PASS}={front.pass_()}", f"{PASS}=1~p~rubbish"]
    reply = await front.ask(cookie="; ".join(pair[::-1] if order else pair))
    assert reply.body == b"the shop"


async def test_a_hundred_cookies_of_one_name_cost_a_few_checks() -> None:
    front = Front()
    await front.ask(cookie="; ".join(f"{PASS}={front.pass_()[:-44]}.{'A' * 43}" for _ in range(100)))
    assert front.metrics.told["token_rejected", "forged"] == 4


async def test_on_https_cookies_are_host_bound_and_secure() -> None:
    front = Front()
    reply = await front.ask(scheme="https", cookie=f"{QUEUE}={front.place()}")
    (line,) = reply.all("set-cookie")
    assert line.startswith(f"__Host-{QUEUE}=")
    assert line.endswith("; Max-Age=86400; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert len(line) < 300
    assert front.store.calls[0][3] is None, "a cookie that anybody on the network could have set counts for nothing"


async def test_the_scheme_is_taken_from_trusted_proxies_only() -> None:
    proto = (("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.9"))
    near = Front(gateway=GatewaySettings.model_validate({"trusted_proxies": ["192.0.2.0/24"]}))
    near.store.answer = Answer.ADMITTED
    reply = await near.ask(more=proto)
    assert list(reply.cookies) == [f"__Host-{PASS}"]
    assert near.site.asked[0]["scheme"] == "https"
    assert near.site.headers_seen()["x-forwarded-for"] == "198.51.100.9"
    assert near.site.asked[0]["client"] == ("192.0.2.1", 5_000)
    far = Front()
    far.store.answer = Answer.ADMITTED
    reply = await far.ask(more=proto)
    assert list(reply.cookies) == [PASS]
    assert far.site.asked[0]["scheme"] == "http"
    assert "x-forwarded-for" not in far.site.headers_seen()


async def test_cookies_can_be_made_secure_always() -> None:
    front = Front(gateway=GatewaySettings(cookie_secure="always"))
    assert list((await front.ask()).cookies) == [f"__Host-{QUEUE}"]


async def test_an_app_shows_its_token_in_a_header_and_gets_new_ones_there() -> None:
    front = Front()
    waiting = await front.ask("/api", headers={"authorization": f"Waitroom {front.place()}"})
    assert waiting.all("set-cookie") == []
    assert front.tokens.read_queue(waiting.all("waitroom-token")[0], "default", NOW_MS).visitor == VISITOR
    front.store.answer = Answer.ADMITTED
    admitted = await front.ask("/api", headers={"authorization": f"waitroom {front.place()}"})
    text = admitted.all("waitroom-pass")[0]
    served = await front.ask(
        "/api", headers={"authorization": f"Waitroom {text}"}, more=(("authorization", "Bearer b"),)
    )
    assert served.body == b"the shop"
    assert front.site.headers_seen()["authorization"] == "Bearer b"


# The site's answer.


async def test_the_site_can_neither_set_our_cookies_nor_speak_in_our_name() -> None:
    front = Front(Room(name="default", match=("/shop*",)))
    front.site.headers = [
        (b"set-cookie", b"sid=1"),
        (b"set-cookie", f"{PASS}=x".encode()),
        (b"set-cookie", f" __Host-{QUEUE}=x".encode()),
        (b"set-cookie", b"waitroom-theme=dark"),
        (b"waitroom-pass", b"x"),
        (b"x-shop", b"1"),
    ]
    for target in ("/shop", "/free"):
        reply = await front.ask(target, cookie=f"{PASS}={front.pass_()}")
        assert reply.headers == [(b"set-cookie", b"sid=1"), (b"set-cookie", b"waitroom-theme=dark"), (b"x-shop", b"1")]


async def test_the_site_says_that_a_visitor_is_done() -> None:
    front = Front()
    front.site.headers = [(b"waitroom-release", b"1"), (b"cache-control", b"max-age=9")]
    reply = await front.ask(cookie=f"{PASS}={front.pass_()}")
    assert front.store.calls == [("release", "default", VISITOR, GENERATION)]
    assert reply.cookies == {PASS: "", QUEUE: ""}
    assert (reply.one("cache-control"), reply.one("waitroom-release")) == ("private, no-cache", None)
    assert front.metrics.told["released", "default"] == 1


async def test_the_answer_arrives_when_the_room_was_removed_while_the_site_worked_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front = Front()
    front.site.headers = [(b"waitroom-release", b"1")]
    monkeypatch.setattr(front.store, "release", AsyncMock(side_effect=RoomUnknown("no room 'default'")))
    reply = await front.ask(cookie=f"{PASS}={front.pass_()}")
    assert (reply.status, len(front.site.asked)) == (200, 1)


async def test_a_release_of_0_releases_nobody() -> None:
    front = Front()
    front.site.headers = [(b"waitroom-release", b"0")]
    reply = await front.ask(cookie=f"{PASS}={front.pass_()}")
    assert (front.store.calls, reply.headers) == ([], [])


async def test_a_release_while_the_store_is_away_still_serves_the_answer() -> None:
    front = Front()
    front.store.away = True
    front.site.headers = [(b"waitroom-release", b"1")]
    reply = await front.ask(cookie=f"{PASS}={front.pass_()}")
    assert (reply.body, reply.cookies) == (b"the shop", {PASS: "", QUEUE: ""})
    assert front.lines == ["release_postponed"]


async def test_a_release_that_the_store_was_away_for_is_made_up_for_once_when_it_is_back() -> None:
    front = Front()
    front.store.away = True
    front.site.headers = [(b"waitroom-release", b"1")]
    for _ in range(2):
        await front.ask(cookie=f"{PASS}={front.pass_()}")
    await front.farewells.settle("default")
    assert len(front.farewells) == 1, "the store is still away"
    front.store.away = False
    front.store.calls.clear()
    await front.farewells.settle("other")
    assert front.store.calls == []
    for _ in range(2):
        await front.farewells.settle("default")
    assert front.store.calls == [("release", "default", VISITOR, GENERATION)]
    assert (front.metrics.told["released", "default"], len(front.farewells)) == (1, 0)
    assert front.lines == ["release_postponed", "release_made_up"]


async def test_the_latest_releases_are_remembered_and_no_more() -> None:
    front = Front()
    for i in range(MOST + 1):
        front.farewells.owe(PassClaims("default", f"v{i}", NOW_MS, NOW_MS, GENERATION), "away")
    assert len(front.farewells) == MOST
    await front.farewells.settle("default")
    assert front.store.calls[0][2] == "v1"


async def test_a_session_that_was_over_already_is_not_counted_as_released() -> None:
    front = Front()
    front.store.active = False
    front.site.headers = [(b"waitroom-release", b"1")]
    await front.ask(cookie=f"{PASS}={front.pass_()}")
    assert front.metrics.told["released", "default"] == 0


@pytest.mark.parametrize(
    ("method", "headers", "carries", "cache_control"),
    [
        ("GET", [], True, ["private"]),
        ("GET", [(b"cache-control", b"no-cache")], True, ["no-cache", "private"]),
        ("GET", [(b"cache-control", b"no-store")], True, ["no-store"]),
        ("GET", [(b"cache-control", b"max-age=60")], False, ["max-age=60"]),
        ("GET", [(b"cache-control", b"Public")], False, ["Public"]),
        ("HEAD", [(b"cache-control", b"s-maxage=1")], False, ["s-maxage=1"]),
        ("GET", [(b"expires", b"Thu, 01 Jan 2099 00:00:00 GMT")], False, []),
        ("POST", [(b"cache-control", b"max-age=60")], True, ["max-age=60"]),
    ],
)
async def test_a_renewal_takes_nothing_from_caches(
    method: str, headers: list[tuple[bytes, bytes]], carries: bool, cache_control: list[str]
) -> None:
    front = Front()
    front.site.headers = headers
    reply = await front.ask(method=method, cookie=f"{PASS}={front.pass_(age_ms=31_000)}")
    assert bool(reply.cookies) is carries
    assert reply.all("cache-control") == cache_control


async def test_an_admission_keeps_an_answer_unstored_that_must_not_be_stored() -> None:
    front = Front()
    front.store.answer = Answer.ADMITTED
    front.site.headers = [(b"cache-control", b"No-Store, max-age=0")]
    assert (await front.ask()).one("cache-control") == "private, no-store"


# The store away.


async def test_while_the_store_is_away_newcomers_get_places_in_the_order_they_came() -> None:
    names = (f"{number:022d}" for number in itertools.count())
    front = Front(new_visitor=lambda: next(names))
    front.store.away = True
    places = []
    for _ in range(3):
        reply = await front.ask()
        assert b"<title>Reconnecting<" in reply.body
        places.append(front.tokens.read_queue(reply.cookies[QUEUE], "default", NOW_MS))
    assert [place.score_us for place in places] == [NOW_MS * 1000, NOW_MS * 1000 + 1, NOW_MS * 1000 + 2]
    assert all(place.provisional and place.generation == "" for place in places)
    assert front.metrics.told["provisional", "default"] == 3
    assert front.outcomes() == {"provisional": 3}


async def test_while_the_store_is_away_a_place_is_kept() -> None:
    front = Front()
    front.store.away = True
    reply = await front.ask(cookie=f"{QUEUE}={front.place()}")
    assert b'<p id="lead">Your place is safe' in reply.body
    assert (reply.all("set-cookie"), front.outcomes()) == ([], {"store_away": 1})
    assert front.metrics.told["provisional", "default"] == 0


async def test_when_the_store_is_back_a_provisional_place_becomes_a_real_one() -> None:
    front = Front()
    front.store.away = True
    await front.ask()
    away = await front.ask()
    front.store.away = False
    back = await front.ask(cookie=f"{QUEUE}={away.cookies[QUEUE]}")
    place = front.tokens.read_queue(back.cookies[QUEUE], "default", NOW_MS)
    assert (place.score_us, place.provisional, place.generation) == (NOW_MS * 1000 + 1, False, GENERATION)
    assert front.lines == ["store_away", "store_back"], "told once per change"


async def test_while_the_store_is_away_programs_get_no_place_they_did_not_ask_for() -> None:
    front = Front()
    front.store.away = True
    reply = await front.ask(headers=FETCH)
    assert (reply.status, reply.json["state"], reply.all("set-cookie")) == (429, "reconnecting", [])


async def test_a_room_may_admit_while_the_store_is_away() -> None:
    front = Front(Room(name="default", on_store_loss="admit"))
    front.store.away = True
    reply = await front.ask()
    claims = front.tokens.read_pass(reply.cookies[PASS], "default")
    assert (reply.body, claims.provisional, claims.generation) == (b"the shop", True, "")
    assert front.outcomes() == {"provisional": 1}
    assert front.metrics.told["provisional", "default"] == 1


@pytest.mark.parametrize(("mode", "words"), [(Mode.PAUSED, b"Reconnecting"), (Mode.CLOSED, b"Closed")])
async def test_a_room_that_lets_nobody_in_admits_nobody_while_the_store_is_away(mode: Mode, words: bytes) -> None:
    front = Front(Room(name="default", on_store_loss="admit", mode=mode))
    front.store.away = True
    reply = await front.ask()
    assert front.site.asked == []
    assert words in reply.body


# Upgrades.


class Tunnel:
    """Remembers the head it was opened with."""

    head = b""

    async def open(self, head: bytes, *callbacks: object) -> str:
        self.head = head
        return "transport"

    async def drain(self) -> str:
        return "drained"


async def test_an_upgrade_brings_the_pass_in_its_own_head() -> None:
    front = Front()
    front.store.answer = Answer.ADMITTED
    tunnel = Tunnel()
    await front.ask("/ws", headers={"upgrade": "websocket"}, extensions={"waitroom.tunnel": tunnel})
    given = front.site.asked[0]["extensions"]["waitroom.tunnel"]
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nWaitroom-Pass: x\r\n\r\n"
    assert await given.open(head, None, None, None) == "transport"
    assert await given.drain() == "drained"
    lines = tunnel.head.split(b"\r\n")
    assert lines[:2] == [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket"]
    assert lines[2].startswith(b"set-cookie: waitroom-pass-default=")
    assert lines[3:] == [b"", b""]


def test_a_head_without_anything_of_ours_stays_as_it_is() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: a:b\r\n\r\n"
    assert edited_head(head, ()) == head


async def test_a_websocket_without_a_pass_is_gated() -> None:
    front = Front()
    front.store.answer = Answer.REFUSED
    reply = await front.ask("/ws", headers={"upgrade": "websocket"}, extensions={"waitroom.tunnel": Tunnel()})
    assert (reply.status, front.site.asked) == (429, [])


# Anything at all.

ANYTHING = Front()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["cookie", "authorization", "accept", "sec-fetch-mode", "origin", "x-forwarded-for", "upgrade"]
            ),
            st.one_of(
                st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60),
                st.sampled_from(
                    ["waitroom-pass-default=", "Waitroom ", "waitroom-queue-default=1~q~", "navigate", "text/html"]
                ),
            ),
        ),
        max_size=6,
    ),
    st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "BREW"]),
    st.sampled_from(["/", "/%", "/%zz", "/.waitroom/default/me", "/.waitroom/default/leave", "/a\\..%2f"]),
    st.booleans(),
)
@hypothesis.settings(deadline=None, max_examples=300)
def test_no_request_ends_in_an_error(headers: list[tuple[str, str]], method: str, target: str, away: bool) -> None:
    ANYTHING.store.away = away
    reply = asyncio.run(ANYTHING.ask(target, {}, method=method, more=tuple(headers)))
    assert reply.status < 500 or away
