"""The waiting page in a browser without anything behind it: every state, language, theme and size."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.journeys.browser_setup import browser as browser_path
from waitroom.domain.room import Room
from waitroom.gateway.page.examples import example
from waitroom.gateway.page.shown import Addresses
from waitroom.gateway.page.waiting import WaitingPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Route

HERE = "https://shop.example/"
NOW_MS = 1_763_756_603_000
ADDRESSES = Addresses(
    me="/.waitroom/sale/me",
    join="/.waitroom/sale/join",
    queue="/.waitroom/sale/queue.json",
    language="/.waitroom/language",
    here="/product?id=7",
)
ROOM = Room(
    name="sale",
    shop_name="Maison Verde",
    message={
        "*": "Sizes 38 and 40 are sold out. All else is still here.",
        "he": "המידות 38 ו־40 אזלו. כל השאר עדיין כאן.",
    },
    home_url="https://shop.example/",
    info_url="https://shop.example/news",
)


@contextmanager
def a_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Gallery:
    """Shows the page of a room as examples of each state."""

    def __init__(self, context: BrowserContext, room: Room = ROOM) -> None:
        self.room = room
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self._waiting = WaitingPage([room], lambda: "nonce", lambda *failed: self.complaints.append(str(failed)))
        self._body = b""
        self._headers: dict[str, str] = {}
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.clock.install(time=NOW_MS / 1000)
        self.page.route("**/*", self._answer)

    def _answer(self, route: Route) -> None:
        if route.request.url == HERE:
            route.fulfill(body=self._body, headers=self._headers)
        else:
            self.complaints.append(f"asked for {route.request.url}")
            route.abort()

    def show(self, view: str, tag: str) -> Page:
        """Show the page in one state and language."""
        now = example(view, self.room, NOW_MS)
        self._body, headers = self._waiting.render(self.room, now, tag, ADDRESSES, reload=True, preview=view)
        self._headers = {name.decode(): value.decode() for name, value in headers}
        self.page.goto(HERE)
        return self.page
