"""The waiting page in a real browser: what it shows as time passes, and where it goes. The browser's clock is the test's."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.gateway.front import Front, census
from waitroom.domain.message import Message
from waitroom.domain.room import Mode, Room
from waitroom.domain.snapshot import Pulse
from waitroom.domain.visit import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from waitroom.domain.visit import Census

ISOLATES = "[\u2066-\u2069]*"
HIDEABLE = """
let away = true;
Object.defineProperty(Document.prototype, "hidden", {get: () => away});
window.lookAway = (is) => { away = is; document.dispatchEvent(new Event("visibilitychange")); };
"""
SETTLING = """
const ask = window.fetch, after = new MessageChannel();
window.asked = window.settled = 0;
after.port1.onmessage = () => { window.settled += 1; };
window.fetch = async (...wanted) => {
  window.asked += 1;
  try {
    const answer = await ask(...wanted), text = await answer.text();
    return {ok: answer.ok, status: answer.status, headers: answer.headers, json: async () => JSON.parse(text)};
  } finally {
    after.port2.postMessage(0);
  }
};
"""
"""Counts what the page asked and what it is done with, its next timer set: only then may its time go on."""
pytestmark = pytest.mark.journey


class Shop:
    """A gate on a real port, its store in the test's hand."""

    def __init__(self) -> None:
        self.front = Front(Room(name="default", rate=60))
        self.queue(300)
        self.front.site.headers = [(b"content-type", b"text/html")]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(
            self.front.gate, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def queue(self, position: int, **changes: Any) -> None:
        """The visitor stands at `position` of a queue a second later, of which the shared document tells."""
        store = self.front.store
        store.position, store.clock_ms = position, store.clock_ms + 1_000
        store.points = ((store.score_us - position, 1), (store.score_us, position), (store.score_us + 9, 2_000))
        known = {"now_ms": store.clock_ms, "waiting": 2_000, "admitted_total": 58}
        store.pulses = (Pulse(store.clock_ms - 60_000, called=0, left=0, returned=0, freed=0, admitted=0),)
        self.count(census(**(known | changes)))

    def count(self, counted: Census | None) -> None:
        """The beat says `counted`."""
        self.front.store.counted = counted
        follow = threading.Thread(target=asyncio.run, args=[self.front.documents.follow("default", counted)])
        follow.start()
        follow.join()

    def asked(self) -> list[tuple[str, str]]:
        """Method and target of what reached the site, less what browsers ask for by themselves."""
        return [
            (scope["method"], (scope["raw_path"] + b"?" + scope["query_string"]).decode())
            for scope in self.front.site.asked
            if scope["path"] != "/favicon.ico"
        ]


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 320, "height": 560})
    yield context
    context.close()


class Watched:
    """A page whose complaints and requests are kept."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.page.clock.install()
        self.page.add_init_script(SETTLING)
        self.complaints: list[str] = []
        self.paths: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.paths.append(request.url.split("/", 3)[3]))

    def later(self, seconds: float) -> None:
        """Let time pass for the page, until it is done with what it asked meanwhile."""
        self.page.clock.fast_forward(int(seconds * 1000))
        self.page.wait_for_function("() => settled === asked")

    @contextlib.contextmanager
    def settles(self) -> Iterator[None]:
        """In the block the page asks, or fails to, and at its end it is done with that."""
        before = self.page.evaluate("settled")
        yield
        self.page.wait_for_function("before => settled > before", arg=before)

    def reads(self, selector: str, text: str) -> None:
        """The words there, less the marks that isolate what is interpolated."""
        expect(self.page.locator(selector)).to_have_text(re.compile(ISOLATES.join(["^", *map(re.escape, text), "$"])))


def test_the_place_falls_never_rises_and_the_turn_opens_the_page_first_asked_for(
    shop: Shop, context: BrowserContext
) -> None:
    watched = Watched(context)
    watched.page.goto(f"{shop.url}/product?id=7&size=%2B1#reviews")
    watched.reads("#position", "300")
    watched.reads("#rate", "About 58 people enter each minute.")
    watched.reads("#behind", "1,700 people came after you.")
    assert watched.page.title() == "(300) In the queue"
    shop.queue(90)
    watched.later(3)
    watched.later(3)
    watched.reads("#position", "90")
    assert watched.page.title() == "(90) In the queue"
    watched.later(30)
    shop.queue(120, admitted_total=1)
    watched.later(3)
    watched.reads("#rate", "About one person enters each minute.")
    watched.reads("#position", "90")
    watched.reads("#say", "Your place is now 90.")
    assert set(watched.paths) == {"product?id=7&size=%2B1", ".waitroom/default/queue.json"}
    shop.queue(1)
    watched.later(30)
    watched.later(3)
    watched.reads("#position", "You are next")
    watched.reads("#title", "It is almost your turn")
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert watched.complaints == []

    shop.front.store.answer = Answer.CALLED
    watched.later(3)
    watched.reads("#title", "It is your turn")
    watched.reads("#lead", "We are taking you to the shop. You can also use the button.")
    with watched.page.expect_navigation():
        watched.later(4)
    watched.reads("#lead", "The shop is full for a moment. It is still your turn, and we keep trying.")
    shop.front.store.answer = Answer.ADMITTED
    with watched.page.expect_navigation():
        watched.later(12)
    assert watched.page.content() == "<html><head></head><body>the shop</body></html>"
    assert watched.page.url.endswith("/product?id=7&size=%2B1#reviews")
    assert shop.asked()[0] == ("GET", "/product?id=7&size=%2B1")


def test_a_document_made_before_one_joined_tells_nothing_of_ones_place(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.goto(shop.url)
    watched.reads("#position", "300")
    joined_us = shop.front.store.score_us
    shop.front.store.points = ((joined_us - 9_000, 1), (joined_us - 5_000, 5))
    shop.count(census(now_ms=joined_us // 1000 - 1, waiting=5))
    watched.later(3)
    watched.later(3)
    watched.reads("#position", "300")


def test_a_wait_beyond_what_the_document_knows_is_not_known(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    shop.front.store.rooms["default"] = Room(name="default", rate=60, capacity=100)
    shop.queue(300)
    watched.page.goto(shop.url)
    watched.reads("#position", "300")
    shop.queue(290, active=70)
    watched.later(3)
    watched.later(3)
    watched.reads("#position", "290")
    watched.reads("#wait", "We cannot say yet")


def test_modes_are_told_as_they_change(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.goto(shop.url)
    rooms = shop.front.store.rooms
    rooms["default"] = Room(name="default", rate=60, mode=Mode.PAUSED)
    shop.queue(300, mode=Mode.PAUSED, version=2)
    watched.later(3)
    watched.reads("#title", "Entry is paused")
    watched.reads("#position", "300")
    expect(watched.page.locator("#rate")).to_be_hidden()
    rooms["default"] = Room(name="default", rate=60)
    shop.queue(300, recovering_ms=9_000)
    watched.later(50)
    watched.reads("#title", "We are restoring the queue")
    shop.front.store.away = True
    shop.count(None)
    watched.later(30)
    watched.reads("#title", "We cannot reach the queue")
    watched.reads("#position", "300")
    shop.front.store.away = False
    rooms["default"] = Room(name="default", rate=60, mode=Mode.CLOSED, closed_as="ended")
    shop.queue(300, mode=Mode.CLOSED, version=3)
    shop.front.store.answer = Answer.CLOSED
    watched.later(30)
    watched.later(30)
    watched.reads("#title", "The sale is over")
    assert watched.complaints == []


def test_a_place_among_those_put_back_already_is_none_to_be_kept(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.goto(shop.url)
    watched.reads("#position", "300")
    shop.front.store.generation = "restored"
    shop.queue(5, generation="restored", recovering_ms=9_000)
    for _ in range(2):
        watched.later(22)
    watched.reads("#title", "We are restoring the queue")
    shop.queue(290, generation="restored")
    for _ in range(2):
        watched.later(30)
    watched.reads("#title", "You are in the queue")
    watched.reads("#position", "290")


def test_near_the_front_too_a_store_that_is_away_takes_no_place_from_the_page(
    shop: Shop, context: BrowserContext
) -> None:
    watched = Watched(context)
    shop.queue(3)
    watched.page.goto(shop.url)
    watched.later(3)
    shop.front.store.away = True
    shop.count(None)
    watched.later(3)
    watched.reads("#title", "We cannot reach the queue")
    watched.reads("#position", "3")


def test_of_a_room_switched_off_the_page_says_come_in(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    shop.queue(3)
    watched.page.goto(shop.url)
    watched.later(3)
    shop.front.store.answer = Answer.OFF
    with watched.page.expect_navigation():
        watched.later(3)
        watched.reads("#title", "Welcome")
        watched.later(2)


def test_what_the_shop_says_stands_still_while_it_is_the_same(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    shop.front.store.messages = (Message(shop.front.store.clock_ms, {"*": "Code: SALE"}),)
    shop.queue(300)
    watched.page.goto(shop.url)
    watched.reads("#message p", "Code: SALE")
    watched.page.evaluate("window.first = document.querySelector('#message p')")
    watched.later(3)
    watched.later(3)
    assert watched.page.evaluate("window.first.isConnected")


def test_who_alone_was_not_told_a_place_is_told_it_soon(shop: Shop, context: BrowserContext) -> None:
    shop.front.store.away = True
    watched = Watched(context)
    watched.page.goto(shop.url)
    watched.reads("#title", "We cannot reach the queue")
    shop.front.store.away = False
    shop.queue(300)
    for _ in range(4):
        watched.later(1.3)
    watched.reads("#position", "300")
    watched.reads("#title", "You are in the queue")


def test_a_lost_network_is_told_and_asked_again_for_ever(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.goto(shop.url)
    with watched.settles():
        context.set_offline(True)
    watched.reads("#title", "You are offline")
    for _ in range(8):
        with watched.page.expect_event("requestfailed"):
            watched.later(70)
    expect(watched.page.locator("#fresh")).to_contain_text("minutes ago. These numbers are old.")
    watched.reads("#position", "300")
    shop.queue(150)
    with watched.settles():
        context.set_offline(False)
    watched.reads("#position", "150")
    watched.reads("#title", "You are in the queue")


def test_a_refusal_is_told_and_its_time_is_kept(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.goto(shop.url)
    watched.page.route("**/queue.json", lambda route: route.fulfill(status=429, headers={"retry-after": "90"}))
    with watched.page.expect_request("**/queue.json"):
        watched.later(3)
    watched.reads("#title", "You cannot join just now")
    watched.page.unroute("**/queue.json")
    asked = len(watched.paths)
    watched.later(80)
    assert len(watched.paths) == asked
    with watched.page.expect_request("**/queue.json"):
        watched.later(20)
    watched.reads("#title", "You are in the queue")


def test_a_hidden_page_calls_for_attention_and_claims_when_it_is_looked_at(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.add_init_script(HIDEABLE)
    shop.queue(3)
    watched.page.goto(shop.url)
    watched.later(3)
    shop.front.store.answer, shop.front.store.left_ms = Answer.CALLED, 100_000
    watched.later(3)
    watched.reads("#title", "It is your turn")
    watched.reads("#alert", "It is your turn")
    assert watched.page.title() == "▶ It is your turn"
    with watched.page.expect_request("**/me"):
        watched.later(60)
    shop.front.store.left_ms = 42_000
    watched.later(60)
    expect(watched.page.locator("#alert")).to_contain_text("seconds are left to enter.")
    assert [path for path in watched.paths if not path.startswith(".waitroom")] == [""]
    shop.front.store.answer = Answer.ADMITTED
    with watched.page.expect_navigation():
        watched.page.evaluate("lookAway(false)")
        watched.later(2)
    assert watched.page.content() == "<html><head></head><body>the shop</body></html>"


def test_who_missed_the_turn_is_told_and_comes_back_by_looking(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.add_init_script(HIDEABLE)
    shop.queue(3)
    watched.page.goto(shop.url)
    watched.later(3)
    shop.front.store.answer, shop.front.store.left_ms = Answer.MISSED, 600_000
    watched.later(3)
    watched.reads("#title", "Your turn came while you were away")
    watched.reads("#go", "I am here")
    expect(watched.page.locator("#missed")).to_contain_text("Your place at the front is kept until")
    watched.later(60)
    assert ".waitroom/default/join" not in watched.paths
    watched.page.evaluate("lookAway(false)")
    shop.front.store.answer = Answer.WAITING
    with watched.page.expect_request("**/join"):
        watched.page.keyboard.press("Shift")
    watched.reads("#position", "3")


def test_a_closed_page_reads_what_all_read_and_goes_on_when_the_room_opens(shop: Shop, context: BrowserContext) -> None:
    rooms, store = shop.front.store.rooms, shop.front.store
    rooms["default"] = Room(name="default", rate=60, mode=Mode.CLOSED, closed_as="full")
    shop.queue(300, mode=Mode.CLOSED, version=2)
    store.answer = Answer.CLOSED
    watched = Watched(context)
    watched.page.goto(shop.url)
    watched.reads("#title", "The queue is full")
    store.away = True
    shop.count(None)
    watched.later(60)
    watched.later(60)
    watched.reads("#title", "The queue is full")
    store.away = False
    rooms["default"] = Room(name="default", rate=60)
    shop.queue(300, version=3)
    store.answer = Answer.WAITING
    with watched.page.expect_navigation():
        watched.later(60)
        for _ in range(20):
            watched.later(0.1)
    watched.reads("#position", "300")
    assert ".waitroom/default/me" not in watched.paths


def test_a_form_is_never_sent_again_and_leads_back_to_its_page(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    shop.front.store.answer = Answer.ADMITTED
    shop.front.site.headers = [(b"content-type", b"text/html")]
    watched.page.goto(f"{shop.url}/cart")
    context.clear_cookies()
    shop.front.store.answer = Answer.WAITING
    with watched.page.expect_navigation():
        watched.page.evaluate(
            "document.body.innerHTML = '<form method=post action=\"/order?x=1\"><input name=card value=1></form>';"
            "document.forms[0].submit()"
        )
    watched.reads("#position", "300")
    with watched.page.expect_navigation():
        watched.page.select_option("footer select", "de")
        watched.page.click("footer button")
    watched.reads("#position", "300")
    shop.front.store.answer = Answer.ADMITTED
    shop.front.store.frontier_us = shop.front.store.score_us
    shop.queue(300)
    watched.later(3)
    with watched.page.expect_navigation():
        watched.later(3)
    assert shop.asked()[-1] == ("GET", "/cart?"), "the page that the form was on"
    assert {method for method, _ in shop.asked()} == {"GET"}


def test_a_form_from_another_site_finds_the_place_again(shop: Shop, context: BrowserContext) -> None:
    watched = Watched(context)
    watched.page.goto(shop.url)
    place = context.cookies()[0]["value"]
    shop.front.store.answer = Answer.REFUSED
    other = shop.url.replace("127.0.0.1", "localhost")
    watched.page.route(
        f"{other}/**",
        lambda route: route.fulfill(
            content_type="text/html", body=f'<form method=post action="{shop.url}/return"><button>pay</button></form>'
        ),
    )
    watched.page.goto(other)
    with watched.page.expect_navigation():
        watched.page.click("button")
    watched.reads("#title", "Join the queue")
    shop.front.store.answer = Answer.WAITING
    watched.later(3)
    watched.reads("#position", "300")
    assert [cookie["value"] for cookie in context.cookies()] == [place]


def test_without_scripts_the_page_says_the_same_and_its_link_keeps_the_query(shop: Shop, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{shop.url}/product?id=7&size=%2B1")
    expect(page.locator("#position")).to_have_text("300")
    shop.front.store.answer = Answer.ADMITTED
    page.click("text=Check my place")
    assert shop.asked()[0] == ("GET", "/product?id=7&size=%2B1")
    context.close()


@pytest.mark.parametrize(
    "woken",
    [
        "dispatchEvent(new Event('online'))",
        "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))",
        "document.dispatchEvent(new Event('visibilitychange'))",
    ],
)
def test_a_page_brought_back_asks_at_once(shop: Shop, context: BrowserContext, woken: str) -> None:
    shop.front.store.rooms["default"] = Room(name="default", rate=60, poll_budget=1)
    shop.queue(300)
    watched = Watched(context)
    watched.page.goto(shop.url)
    shop.queue(40)
    watched.later(5)
    watched.reads("#position", "300")
    assert watched.paths == [""]
    with watched.page.expect_request("**/queue.json"):
        watched.page.evaluate(woken)
    watched.reads("#position", "40")


@pytest.mark.parametrize("script", [True, False])
def test_a_visitor_chooses_another_language_and_keeps_place_and_address(
    shop: Shop, browser: Browser, *, script: bool
) -> None:
    context = browser.new_context(java_script_enabled=script, locale="de-AT", viewport={"width": 320, "height": 560})
    page = context.new_page()
    address = f"{shop.url}/sale?colour=red&lang=fr"
    page.goto(address)
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    queue = next(cookie for cookie in context.cookies() if "queue" in cookie["name"])
    page.locator("select").select_option("he")
    page.locator("form button").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("h1")).to_have_text("נכנסת לתור")
    assert page.url == address
    assert queue in context.cookies()
    page.goto(f"{shop.url}/sale")
    expect(page.locator("html")).to_have_attribute("lang", "he")
    page.goto(f"{shop.url}/sale?lang=ja")
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    context.clear_cookies()
    page.goto(f"{shop.url}/sale")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    context.close()
