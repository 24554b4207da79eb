"""Whatever operators and visitors write is shown as text: in a real browser, with the page's policy and without it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tests.attack.payloads import MARKUP
from tests.look.pages import NOW_MS, a_browser
from waitroom.domain.room import Room
from waitroom.gateway.address import local_address
from waitroom.gateway.page.examples import example
from waitroom.gateway.page.shown import Addresses
from waitroom.gateway.page.waiting import WaitingPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Dialog, Page, Route

pytestmark = pytest.mark.journey

ORIGIN = "https://shop.example"
WORDED = ("waiting_heading", "waiting_lead", "place", "wait", "go_check", "code", "rate", "closed_heading", "go_home")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


def room_that_says(text: str) -> Room:
    """Return a room all of whose texts are `text`, as far as they are valid; the rest is refused when it is set."""
    facts: dict[str, Any] = {"name": "sale"}
    wanted: dict[str, Any] = {
        "shop_name": text[:80],
        "message": {"*": text, "en": text},
        "home_url": f"https://shop.example/{text}",
        "info_url": f"https://shop.example/?{text}",
        "words": {"en": dict.fromkeys(WORDED, text)},
        "colour": text,
        "background": f"#fff;{text}",
    }
    for name, value in wanted.items():
        try:
            Room(**facts, **{name: value})
        except ValidationError:
            continue
        facts[name] = value
    assert not {"colour", "background"} & set(facts)
    return Room(**facts)


class Screen:
    """One page of a browser that notices whatever runs, asks or goes somewhere."""

    def __init__(self, browser: Browser, *, policy: bool) -> None:
        self._context = browser.new_context(bypass_csp=not policy)
        self.page: Page = self._context.new_page()
        self.happened: list[str] = []
        self._body, self._headers, self._answer = b"", {"": ""}, "{}"
        self.page.on("dialog", self._opened)
        self.page.on("console", lambda message: self.happened.append(message.text))
        self.page.on("pageerror", lambda error: self.happened.append(str(error)))
        self._context.route("**/*", self._serve)

    def _opened(self, dialog: Dialog) -> None:
        self.happened.append(dialog.message)
        dialog.dismiss()

    def _serve(self, route: Route) -> None:
        url = route.request.url
        if url == f"{ORIGIN}/here":
            route.fulfill(body=self._body, headers=self._headers)
        elif url.startswith(f"{ORIGIN}/.waitroom/"):
            route.fulfill(body=self._answer, headers={"content-type": "application/json"})
        else:
            self.happened.append(f"asked for {url}")
            route.abort()

    def show(self, room: Room, view: str, here: str) -> None:
        """Show the page, which then asks once and is answered with the same texts."""
        page = WaitingPage([room], lambda: "n0nce", lambda *failed: self.happened.append(str(failed)))
        base = "/.waitroom/sale"
        addresses = Addresses(
            me=f"{base}/me", join=f"{base}/join", queue=f"{base}/queue.json", language="/.waitroom/language", here=here,
            go=local_address(here), token_url=local_address(here),
        )  # fmt: skip
        standing = example(view, room, NOW_MS)
        self._answer = json.dumps(standing.as_json())
        self._body, headers = page.render(room, standing, "en", addresses, reload=True)
        self._headers = {name.decode(): value.decode() for name, value in headers}
        self.page.goto(f"{ORIGIN}/here")
        self.page.evaluate("new Promise((done) => setTimeout(done, 10))")

    def texts(self) -> str:
        return str(self.page.inner_text("body"))

    def close(self) -> None:
        self._context.close()


@pytest.mark.parametrize("policy", [True, False], ids=["policy", "no policy"])
def test_what_is_written_is_shown_and_never_run(browser: Browser, policy: bool) -> None:
    """Each text stands in every place that takes it; nothing runs, loads, asks or goes, even where no policy forbids."""
    screen = Screen(browser, policy=policy)
    try:
        for number, text in enumerate(MARKUP[:: 6 if policy else 1]):
            room = room_that_says(text)
            view = ("waiting", "closed")[number % 2]
            screen.show(room, view, f"/{text}?{text}")
            assert screen.happened == [], text
            said = room.message.get("en", "")
            assert not said.isprintable() or " ".join(said.split()) in " ".join(screen.texts().split())
            found = screen.page.evaluate(
                "document.querySelectorAll('iframe,object,embed,base,[onload],[onerror],[onfocus],[onmouseover],"
                'script:not([nonce]):not([type]),link[rel=stylesheet],meta[http-equiv],form:not([action^="/.waitroom/"]),'
                "a[href^=javascript]').length"
            )
            assert found == 0, text
    finally:
        screen.close()


def test_the_screen_notices_what_runs(browser: Browser) -> None:
    """The test above could not fail if the same texts did nothing where they are not made safe."""
    screen = Screen(browser, policy=False)

    def runs(text: str, within_ms: int) -> bool:
        screen.happened.clear()
        screen.page.set_content(f'<!doctype html><p>{text}<p title="{text}">x')
        screen.page.evaluate(f"new Promise((done) => setTimeout(done, {within_ms}))")
        return any(event == "1" or "evil.example" in event for event in screen.happened)

    try:
        assert any(sum(runs(text, within_ms) for text in MARKUP) > 8 for within_ms in (10, 100, 1_000))
    finally:
        screen.close()
