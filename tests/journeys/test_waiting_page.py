"""The waiting page of a real `waitroom serve` in a real browser: what a shopper sees, and where they end up."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest
from playwright.async_api import async_playwright, expect

from tests.journeys.browser_setup import browser as browser_path
from tests.journeys.stage import Visitor, on_site, serving, write_config
from tests.journeys.witness import operate, witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, BrowserContext, Page, Route

    from tests.journeys.stage import Serving
    from tests.journeys.witness import Witness

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WANTED = "/product?id=7&size=%2B1&q=a%20b"
NOTE_POSITIONS = """
window.positions = [];
const note = () => {
  const shown = document.getElementById("position");
  if (shown && positions.at(-1) !== shown.textContent) positions.push(shown.textContent);
};
new MutationObserver(note).observe(document, {subtree: true, childList: true, characterData: true});
document.addEventListener("DOMContentLoaded", note);
"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        yield browser
        await browser.close()


class Shopper:
    """Somebody with a browser, whose requests and complaints are kept."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.asked: list[tuple[str, str]] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append((request.method, request.url.removeprefix(url))))

    async def goes_to(self, target: str) -> None:
        await self.page.goto(self.url + target)

    async def reads(self, selector: str, text: str, *, seconds: float = 6) -> None:
        await expect(self.page.locator(selector)).to_have_text(text, timeout=seconds * 1000)

    async def looks_again(self) -> None:
        """Do what wakes a page that asks rarely; it asks no more than once in two seconds."""
        await asyncio.sleep(2.1)
        await self.page.evaluate("dispatchEvent(new Event('online'))")

    async def is_on_the_site(self, target: str) -> None:
        await expect(self.page.locator("h1")).to_have_text("The shop", timeout=8_000)
        assert self.page.url == self.url + target


class Scene:
    """A shop with room for one, who is in it, and some who wait before our shopper comes.

    60 others were quick and have entered and gone in the last minute, so that it is a lively line.
    """

    def __init__(self, running: Serving, site: Witness, buyer: Visitor, before: list[Visitor]) -> None:
        self.running = running
        self.site = site
        self.buyer = buyer
        self.before = before

    async def frees_the_slot(self) -> None:
        assert on_site(await self.buyer.navigate("/done"))

    async def leaves(self, visitor: Visitor) -> None:
        """Give up a place, as the first in the queue may."""
        assert json.loads((await visitor.fetch("/.waitroom/sale/leave", method="POST")).body)["left"]

    async def turn(self, verb: str) -> None:
        await operate(self.running, "POST", f"/{verb}", {})

    async def change(self, **changes: Any) -> None:
        await operate(self.running, "PATCH", "", {"changes": changes})


@asynccontextmanager
async def full_shop(tmp_path: Path, *, before: int, **room: Any) -> AsyncIterator[Scene]:
    async with witness() as site:
        config = write_config(
            tmp_path, backend=site.url, **{"capacity": 1, "rate": 6_000, "session_seconds": 300} | room
        )
        with serving(config, tmp_path) as running:
            crowd = [Visitor("127.0.0.1", running.port) for _ in range(1 + before)]
            try:
                for _ in range(60):
                    async with Visitor("127.0.0.1", running.port) as quick:
                        assert on_site(await quick.navigate("/done"))
                assert on_site(await crowd[0].navigate("/"))
                for visitor in crowd[1:]:
                    assert not on_site(await visitor.navigate("/"))
                site.asked.clear()
                yield Scene(running, site, crowd[0], crowd[1:])
            finally:
                for visitor in crowd:
                    await visitor.close()


@asynccontextmanager
async def shopper(browser: Browser, scene: Scene, **options: Any) -> AsyncIterator[Shopper]:
    context: BrowserContext = await browser.new_context(**{"viewport": {"width": 390, "height": 780}} | options)
    try:
        yield Shopper(await context.new_page(), scene.running.url)
    finally:
        await context.close()


async def test_the_place_falls_never_rises_and_the_turn_opens_exactly_what_was_asked_for(
    tmp_path: Path, browser: Browser
) -> None:
    async with full_shop(tmp_path, before=3, claim_seconds=5) as scene, shopper(browser, scene) as ours:
        await ours.page.add_init_script(NOTE_POSITIONS)
        await ours.goes_to(WANTED)
        await ours.reads("#position", "4")
        await ours.reads("#wait", "less than a minute")
        await ours.reads("#rate", "About 61 people enter each minute.")
        assert await ours.page.title() == "(4) You are in the queue"
        await ours.page.screenshot(path=tmp_path / "waiting.png")
        first, second, third = scene.before
        await scene.leaves(second)
        await ours.reads("#position", "3")
        await scene.leaves(third)
        await ours.reads("#position", "2")

        # The first in the line is called, misses the turn, and comes back to the front while nobody is let in.
        await scene.frees_the_slot()
        await ours.reads("#position", "You are next")
        await scene.change(rate=0)
        async with asyncio.timeout(8):
            while (await operate(scene.running, "GET", ""))["census"]["missed"] != 1:
                await asyncio.sleep(0.1)
        assert (await first.me())["position"] == 1
        polls = len(ours.asked)
        async with asyncio.timeout(15):
            while len(ours.asked) < polls + 2:
                await asyncio.sleep(0.1)
        await ours.reads("#position", "You are next")
        assert await ours.page.evaluate("positions") == ["4", "3", "2", "You are next"]

        await scene.leaves(first)
        polls, asked = len(ours.asked), list(ours.asked)
        await scene.change(rate=6_000)
        await ours.is_on_the_site(WANTED)
        assert scene.site.asked == [("GET", "/done"), ("GET", WANTED)]
        assert ours.complaints == []
        assert asked == [("GET", WANTED)] + [("GET", "/.waitroom/sale/me")] * (len(asked) - 1)


async def test_what_operators_do_is_said_on_the_page(tmp_path: Path, browser: Browser) -> None:
    async with full_shop(tmp_path, before=1) as scene, shopper(browser, scene) as ours:
        await ours.goes_to("/sale")
        await ours.reads("#title", "You are in the queue")
        await scene.turn("pause")
        await ours.reads("#title", "Entry is paused")
        await ours.reads("#position", "2")
        await expect(ours.page.locator("#wait")).to_be_hidden()
        await ours.page.screenshot(path=tmp_path / "paused.png")
        await scene.turn("resume")
        await ours.looks_again()
        await ours.reads("#title", "You are in the queue")
        await ours.reads("#position", "2")
        await scene.turn("close")
        await ours.reads("#title", "Closed")
        await expect(ours.page.locator("#facts")).to_be_hidden()
        await expect(ours.page.locator("#keep")).to_be_hidden()
        await ours.reads("#go", "Check again")
        await ours.page.screenshot(path=tmp_path / "closed.png")
        async with shopper(browser, scene) as late:
            await late.goes_to("/sale")
            await late.reads("#title", "Closed")
            await late.page.screenshot(path=tmp_path / "closed-on-arrival.png")
            assert late.complaints == []
        assert ours.complaints == []
        assert scene.site.asked == []


async def test_a_form_sent_while_waiting_never_reaches_the_site(tmp_path: Path, browser: Browser) -> None:
    async with full_shop(tmp_path, before=0) as scene, shopper(browser, scene) as ours:
        form = '<form method="post" action="/order?cart=5"><input name="card" value="1"><button>Buy</button></form>'
        await ours.page.route("**/form", lambda route: route.fulfill(content_type="text/html", body=form))
        await ours.goes_to("/form")
        await ours.page.click("button")
        await ours.reads("#position", "You are next")
        assert scene.site.asked == []
        await ours.page.screenshot(path=tmp_path / "next.png")
        await scene.frees_the_slot()
        await ours.is_on_the_site("/order?cart=5")
        assert scene.site.asked == [("GET", "/done"), ("GET", "/order?cart=5")]
        assert ours.complaints == []


async def test_without_scripts_the_page_asks_by_itself_and_by_its_button(tmp_path: Path, browser: Browser) -> None:
    async with full_shop(tmp_path, before=2) as scene, shopper(browser, scene, java_script_enabled=False) as ours:
        await ours.goes_to(WANTED)
        await ours.reads("#position", "3")
        await ours.page.screenshot(path=tmp_path / "no-script.png")
        await scene.leaves(scene.before[0])
        began = time.monotonic()
        await ours.reads("#position", "2", seconds=12)
        assert time.monotonic() - began > 2
        await scene.leaves(scene.before[1])
        await scene.frees_the_slot()
        async with asyncio.timeout(5):
            while (await operate(scene.running, "GET", ""))["census"]["called"] != 1:
                await asyncio.sleep(0.05)
        await ours.page.click("#go")
        await ours.is_on_the_site(WANTED)
        assert ours.complaints == []
        assert {path for _, path in ours.asked} == {WANTED}


VIEWS: dict[str, dict[str, Any]] = {
    "far": {"position": 1_234_567, "wait": {"low_minutes": 60, "high_minutes": None}, "admitted_last_minute": 12_345},
    "unknown": {"position": 999, "wait": None, "admitted_last_minute": 0},
    "called": {"view": "called", "position": 0, "claim_seconds_left": 118},
    "paused": {"view": "paused", "position": 48_213},
    "closed": {"state": "closed", "view": "closed", "position": 0},
    "reconnecting": {"state": "reconnecting", "view": "reconnecting", "position": 0},
    "recovering": {"view": "recovering", "position": 48_213},
}
SCHEMES: tuple[tuple[Literal["light", "dark"], int, int], ...] = (("light", 200, 255), ("dark", 0, 60))
"""With the range in which the three parts of the paper's colour lie."""
SHOWN = {"far": "about 1,230,000", "unknown": "999", "paused": "about 48,200"}


async def test_every_view_fits_a_small_phone_by_day_and_by_night(tmp_path: Path, browser: Browser) -> None:
    async with (
        full_shop(tmp_path, before=1) as scene,
        shopper(browser, scene, viewport={"width": 320, "height": 568}) as ours,
    ):
        said: dict[str, Any] = {}

        async def change(route: Route) -> None:
            answer = await route.fetch()
            # A state that opens the door would take the page away.
            document = await answer.json() | {"state": "waiting", "poll_after_seconds": 0.3} | said
            await route.fulfill(response=answer, json=document)

        await ours.page.route("**/me", change)
        await ours.goes_to("/")
        for score, (view, facts) in enumerate(VIEWS.items()):
            said = facts | {"score_us": score}
            await expect(ours.page.locator("#main")).to_have_class(facts.get("view", "waiting"), timeout=6_000)
            await expect(ours.page.locator("#position")).to_contain_text(SHOWN.get(view, ""), timeout=6_000)
            await expect(ours.page.locator("#facts")).to_be_visible(visible=bool(facts["position"]))
            for scheme, darkest, lightest in SCHEMES:
                await ours.page.emulate_media(color_scheme=scheme)
                paper = await ours.page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert all(darkest <= int(part) <= lightest for part in re.findall(r"\d+", paper)), paper
                await ours.page.screenshot(path=tmp_path / f"{view}-{scheme}.png", full_page=True)
            assert await ours.page.evaluate("document.documentElement.scrollWidth") <= 320, view
        assert ours.complaints == []
        assert scene.site.asked == []
