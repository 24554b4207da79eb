"""The waiting page: what it says in each view, and what it may load."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.gateway.front import NOW_MS
from waitroom.domain.message import Message
from waitroom.domain.room import Room
from waitroom.gateway.captcha import PROVIDERS
from waitroom.gateway.challenge import Challenge
from waitroom.gateway.page.examples import example
from waitroom.gateway.page.shown import Addresses, rough
from waitroom.gateway.page.views import VIEWS
from waitroom.gateway.page.waiting import WaitingPage
from waitroom.gateway.standing import Standing
from waitroom.static_files import static_path
from waitroom.words.languages import LANGUAGES

ROOM = Room(name="default")
ADDRESSES = Addresses(
    "/.waitroom/default/me",
    "/.waitroom/default/join",
    "/.waitroom/default/queue.json",
    language="/.waitroom/language",
    here="/product?id=7",
)
TOKEN = (
    "1~q~default~MqB9z5fTG7uq3Z-1phT0Ww~1795309177527617~1~90b84dbb~0~p1.FrIwacfxRpThfe9WO73R10CaeHxpv2i11gzZFOmP7Q4"
)
FIRST = ADDRESSES._replace(
    token_url=f"/.waitroom/default/?t={TOKEN}&next=%2Fproduct%3Fid%3D7",
    stop_url=f"/.waitroom/default/?t={TOKEN}&next=%2Fproduct%3Fid%3D7&auto=0",
)
"""On a visitor's first page the place rides in addresses too, since the browser may keep no cookies."""
FIRST_FLIGHT_BYTES = 14 * 1024
"""What a server may send before it hears of the browser again is ten packets of 1,460 bytes; headers take some."""


def standing(**changes: object) -> Standing:
    known: dict[str, object] = {
        "room": "default", "state": "waiting", "view": "waiting", "mode": "on", "position": 12, "ahead": 11,
        "wait": (2, 5), "admitted_per_minute": 60, "poll_after_seconds": 2,
        "claim_seconds_left": 0, "recovering": False, "generation": "g1", "score_us": NOW_MS * 1000,
        "reason": "rate", "behind": 40, "called_ms": 0, "hold_seconds_left": 0, "opens_ms": None, "messages": (),
        "short_code": "7F3K-92QD", "now_ms": NOW_MS,
    }  # fmt: skip
    return Standing(**(known | changes))  # type: ignore[arg-type]


def page_of(*rooms: Room) -> WaitingPage:
    return WaitingPage(rooms, lambda: "n0nce", lambda room, reason: pytest.fail(f"{room}: {reason}"))


def render(language: str = "en", room: Room = ROOM, **changes: Any) -> str:
    return page_of(room).render(room, standing(**changes), language, ADDRESSES, reload=True)[0].decode()


class Seen(HTMLParser):
    """The words a person sees, and every address the page names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self._hidden: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [named[key] or "" for key in ("href", "src", "action") if key in named]
        if tag in {"meta", "link", "input", "option"}:
            return
        if self._hidden or "hidden" in named or tag in {"script", "style", "head", "noscript", "select"}:
            self._hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.words.append(data.strip())


def words(**changes: Any) -> str:
    return " ".join(Seen(render(**changes)).words)


def test_a_waiting_visitor_is_told_place_range_speed_and_that_closing_is_safe() -> None:
    assert words() == (
        "You are in the queue Many people came at once, so everybody enters in the order they came. "
        "Your place 12 Estimated wait \u20682\u2069 to \u20685\u2069 minutes "
        "About \u206860\u2069 people enter each minute. \u206840\u2069 people came after you. Check my place "
        "You can refresh or close this page, or lock your phone: your place is kept. "
        "Come back with the same browser on this device. "
        "At your turn, this page takes you to the shop by itself. "
        "If you are away just then, your place at the front is kept for a while. "
        "Your code for customer service 7F3K-92QD OK"
    )


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"position": 1}, "You are next", "Your place 1"),
        ({"position": 12_437}, "about 12,400", "12,437"),
        ({"wait": None}, "We cannot say yet", "minutes"),
        ({"wait": (60, None)}, "more than an hour", "minutes"),
        ({"wait": (30, None)}, "more than 30 minutes", "hour"),
        ({"wait": (0, 5)}, "less than 5 minutes", "almost"),
        ({"wait": (0, 1)}, "It is almost your turn", "You are in the queue"),
        ({"admitted_per_minute": 0}, "Your place", "each minute"),
        ({"admitted_per_minute": 1}, "About one person", "people enter"),
        ({"reason": "capacity"}, "people enter as others leave", "each minute"),
        ({"behind": 0}, "Your place", "after you"),
        ({"behind": None}, "Your place", "after you"),
        ({"view": "paused", "wait": None}, "Entry is paused", "Estimated wait"),
        ({"view": "paused"}, "Estimated wait before the pause", "each minute"),
        ({"view": "before", "opens_ms": NOW_MS + 1}, "Opens on 2025-11-21 20:23 UTC", "Estimated wait"),
        (
            {"view": "called", "state": "called", "position": 0, "claim_seconds_left": 90},
            "Time left to enter 01:30 Go to the shop",
            "Your place",
        ),
        ({"view": "called", "state": "called", "position": 0}, "we keep trying", "refresh or close"),
        (
            {"view": "missed", "state": "missed", "position": 0, "called_ms": NOW_MS, "hold_seconds_left": 600},
            "It was your turn at 20:23 UTC. Your place at the front is kept until 20:33 UTC. I am here",
            "Estimated wait",
        ),
        ({"view": "closed", "state": "closed", "position": 0}, "The queue is closed", "refresh or close"),
        ({"view": "ended", "state": "closed", "position": 0}, "The sale is over", "refresh or close"),
        ({"view": "full", "state": "closed", "position": 0}, "The queue is full", "my place"),
        ({"view": "reconnecting", "position": 0, "wait": None}, "Your place is safe", "Estimated wait"),
        ({"view": "recovering"}, "old order", "Estimated wait"),
        ({"view": "new", "state": "new", "position": 0}, "Get a place", "Estimated wait"),
        ({"view": "active", "state": "active", "position": 0}, "Welcome", "Estimated wait"),
    ],
)
def test_each_view_says_what_is_true(changes: dict[str, object], said: str, unsaid: str) -> None:
    shown = words(**changes).replace("\u2068", "").replace("\u2069", "")
    assert said in shown
    assert unsaid not in shown


def test_the_title_counts() -> None:
    assert "<title>(12) In the queue</title>" in render()
    assert "<title>(12) In the queue – Maison</title>" in render(room=Room(name="default", shop_name="Maison"))


def test_while_places_are_put_back_no_position_is_told() -> None:
    body, _ = page_of(ROOM).render(ROOM, example("recovering", ROOM, NOW_MS), "en", ADDRESSES, reload=True)
    assert b'<div id="place" hidden>' in body


@pytest.mark.parametrize("tag", LANGUAGES)
def test_the_page_fits_into_the_first_flight_in_each_language(tag: str) -> None:
    for view in VIEWS:
        body, headers = page_of(ROOM).render(ROOM, example(view, ROOM, NOW_MS), tag, FIRST, reload=True, gzip=True)
        assert (b"content-encoding", b"gzip") in headers
        assert len(body) <= FIRST_FLIGHT_BYTES, (view, len(body))


@pytest.mark.parametrize("tag", LANGUAGES)
def test_the_page_with_a_captcha_fits_into_the_first_flight_too(tag: str) -> None:
    captcha = {
        "provider": "hcaptcha", "site_key": "10000000-ffff-ffff-ffff-000000000001", "action": "default",
        "script": PROVIDERS["hcaptcha"].script_url,
    }  # fmt: skip
    now = example("checking", ROOM, NOW_MS)._replace(state="challenged", short_code="")
    addresses = ADDRESSES._replace(
        scripts="/.waitroom/", restart_url="/.waitroom/default/?next=%2Fproduct%3Fid%3D7&plain=1"
    )
    body, _ = page_of(ROOM).render(
        ROOM, now, tag, addresses, reload=True, gzip=True, challenge=Challenge({"captcha": captcha}, "check.js")
    )
    assert len(body) <= FIRST_FLIGHT_BYTES


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_compressed_piece_by_piece_unpacks_to_the_same_page(view: str) -> None:
    page, now = page_of(ROOM), example(view, ROOM, NOW_MS)
    plain, _ = page.render(ROOM, now, "he", ADDRESSES, reload=True)
    packed, _ = page.render(ROOM, now, "he", ADDRESSES, reload=True, gzip=True)
    assert gzip.decompress(packed) == plain
    plain, _ = page.render(ROOM, now, "he", FIRST, reload=True)
    packed, _ = page.render(ROOM, now, "he", FIRST, reload=True, gzip=True)
    assert gzip.decompress(packed) == plain


@pytest.mark.parametrize("view", VIEWS)
def test_the_script_is_told_what_me_says(view: str) -> None:
    now = example(view, ROOM, NOW_MS)
    page = page_of(ROOM).render(ROOM, now, "en", FIRST, reload=True)[0].decode()
    found = re.search(r'id="data">(.*?)</script>', page)
    assert found is not None
    data = json.loads(found[1])
    assert data["now"] == now.as_json()
    assert data["token_url"] == FIRST.token_url


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_loads_nothing(view: str) -> None:
    html = render(view=view)
    assert {address for address in Seen(html).addresses if not address.startswith(("data:", "#"))} == {
        "",
        "/.waitroom/language",
    }
    assert "url(" not in html
    assert "@import" not in html


def test_every_style_and_script_bears_the_nonce_and_nothing_is_inline_elsewhere() -> None:
    html = render()
    assert re.findall(r"<(?:style|script)(?![^>]*(?:nonce=\"n0nce\"|application/json))", html) == []
    assert re.findall(r"\sstyle=|\son\w+=", html) == []


def test_the_policy_forbids_all_but_our_own() -> None:
    headers = dict(page_of(ROOM).render(ROOM, standing(), "he", ADDRESSES, reload=True)[1])
    assert headers[b"content-security-policy"] == (
        b"default-src 'none'; style-src 'nonce-n0nce'; script-src 'nonce-n0nce'; img-src data:; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'"
    )
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-language"] == b"he"


def test_visitors_who_are_shown_the_same_have_their_own_nonce_place_code_and_address_in_it() -> None:
    nonces = iter(["n0nce-a", "n0nce-b"])
    page = WaitingPage([ROOM], lambda: next(nonces), lambda room, reason: None)
    first = standing(position=12_345, score_us=1, short_code="AAAA-AAAA")
    second = standing(position=12_346, score_us=2, short_code="BBBB-BBBB")
    one, _ = page.render(ROOM, first, "en", ADDRESSES._replace(me="/a/me"), reload=True)
    other, _ = page.render(ROOM, second, "en", ADDRESSES._replace(me="/b/me"), reload=False)
    assert [(html.count(b"n0nce-a"), html.count(b"n0nce-b")) for html in (one, other)] == [(2, 0), (0, 2)]
    assert [re.findall(rb'"position":(\d+)', html) for html in (one, other)] == [[b"12345"], [b"12346"]]
    assert [(b'"/a/me"' in html, b'"/b/me"' in html) for html in (one, other)] == [(True, False), (False, True)]
    assert [(b">AAAA-AAAA<" in html, b">BBBB-BBBB<" in html) for html in (one, other)] == [(True, False), (False, True)]
    assert one.count("about \u206812,300\u2069".encode()) == other.count("about \u206812,300\u2069".encode()) == 1


def test_without_scripts_the_page_asks_again_by_itself_unless_there_is_nothing_to_wait_for() -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in render()
    assert 'content="40"' in render(poll_after_seconds=40, view="paused")
    assert 'content="2"' in render(view="called")
    for view in ("closed", "ended", "new", "missed"):
        assert "http-equiv" not in render(view=view)


def test_nothing_in_the_data_can_end_its_script() -> None:
    assert "</script><b>" not in render(generation="</script><b>")
    assert "</script><b>" not in render(messages=(Message(NOW_MS, {"*": "</script><b>"}),))


def test_a_message_is_read_in_ones_own_language_or_as_it_is_meant_for_everybody() -> None:
    told = (Message(NOW_MS, {"*": "Sold out", "he": "אזל המלאי"}),)
    assert '<p lang="he" dir="auto">אזל המלאי</p>' in render("he", messages=told)
    assert '<p dir="auto">Sold out</p>' in render("fr", messages=told)
    told = (Message(NOW_MS, {"pt": "Esgotado"}),)
    assert '<p lang="pt" dir="auto">Esgotado</p>' in render("pt-BR", messages=told)
    assert '<p dir="auto">Esgotado</p>' in render("fr", messages=told)


def test_the_time_of_a_message_keeps_its_order_from_right_to_left() -> None:
    told = (Message(NOW_MS, {"*": "Sold out"}),)
    assert re.search("<time>\u2068[0-9:]{5} UTC\u2069</time>", render("he", messages=told))


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("he", "rtl"), ("ur", "rtl"), ("pt-BR", "ltr")])
def test_the_page_runs_in_the_direction_of_its_language(language: str, direction: str) -> None:
    assert f'<html lang="{language}" dir="{direction}">' in render(language)


@pytest.mark.parametrize(("number", "shown"), [(999, 999), (1_000, 1_000), (12_437, 12_400), (1_239_999, 1_230_000)])
def test_large_numbers_are_told_roughly_and_never_as_more(number: int, shown: int) -> None:
    assert rough(number) == shown


def test_a_static_file_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"waiting/nothing\.html"):
        static_path("waiting/nothing.html")
