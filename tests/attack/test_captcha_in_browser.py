"""The CAPTCHA in a real browser, with the page's policy in force: a stand-in for the provider's script on a port of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.attack.test_puzzles import Served
from tests.attack.verifier import SITE_KEY, Verifier, of
from tests.gateway.front import Front, census
from tests.look.pages import a_browser
from tests.look.test_accessible import broken_rules
from waitroom.domain.room import Room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.journey
PATIENCE_MS = 60_000
HERE = {"hostname": "127.0.0.1", "action": "default"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@contextmanager
def a_shop(**wanted: Any) -> Iterator[tuple[str, Verifier]]:
    """A room that always wants the CAPTCHA, or what is `wanted`, 30 waiting in it, and the service."""
    verifier = Verifier()
    front = Front(Room(name="default", rate=60, **(wanted or {"captcha": "always"})), captcha=verifier.settings())
    front.store.counted = census(waiting=30)
    with ThreadPoolExecutor(1) as apart:  # from the loop of Playwright
        apart.submit(lambda: asyncio.run(front.documents.follow("default", front.store.counted))).result()
    served = Served(front)
    try:
        yield served.url, verifier
    finally:
        served.close()
        verifier.close()


def listened(page: Page) -> list[str]:
    """What the browser says on its console, as it comes."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def complaints(said: list[str]) -> list[str]:
    """Less what axe meets, which looks for itself in every frame."""
    others = ("favicon", "Failed to load resource", "Failed to execute 'postMessage'")
    return [text for text in said if not any(other in text for other in others)]


def press(page: Page) -> None:
    page.frame_locator("#check iframe").get_by_role("button", name="I am a person").click(timeout=PATIENCE_MS)


@pytest.mark.parametrize(("language", "width"), [("en", 1_000), ("he", 320)])
def test_a_person_passes_it_and_gets_their_place(browser: Browser, language: str, width: int) -> None:
    """The first time it does not work: that is said, and they try again."""
    options: dict[str, Any] = {"locale": language, "viewport": {"width": width, "height": 640}}
    with a_shop() as (url, verifier), browser.new_context(**options) as context:
        page = context.new_page()
        said = listened(page)
        page.goto(f"{url}/product?id=7")
        frame = page.wait_for_selector("#check iframe", timeout=PATIENCE_MS)
        assert frame is not None
        assert f"key={SITE_KEY}&action=default&language={language}" in str(frame.get_attribute("src"))
        assert broken_rules(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        group = page.get_by_role("group", name=page.inner_text("h1"))
        press(page)
        again = page.evaluate("waitroom.texts.checking_again")
        group.get_by_role("alert").get_by_text(again).wait_for(timeout=PATIENCE_MS)
        assert broken_rules(page) == []
        verifier.good["response-1"] = HERE
        press(page)
        page.wait_for_selector("main.waiting, main.near", timeout=PATIENCE_MS)
        assert page.url == f"{url}/product?id=7"
        assert page.inner_text("#position") == "7"
        assert [cookie["name"] for cookie in context.cookies()] == ["waitroom-queue-default"]
        assert [form["response"] for form in verifier.asked] == ["response-0", "response-1"]
        assert complaints(said) == []


def test_while_the_service_is_away_the_browser_does_work_and_gets_its_place(browser: Browser) -> None:
    with a_shop() as (url, verifier), browser.new_context() as context:
        page = context.new_page()
        said = listened(page)
        page.goto(url)
        verifier.whole = of(500, "")
        press(page)
        page.wait_for_selector("main.waiting, main.near", timeout=PATIENCE_MS)
        assert page.inner_text("#position") == "7"
        assert complaints(said) == []


def test_where_it_cannot_be_loaded_that_is_said_and_a_link_leads_on(browser: Browser) -> None:
    with a_shop() as (url, verifier), browser.new_context() as context:
        verifier.script = False
        page = context.new_page()
        page.goto(f"{url}/product?id=7")
        alert = page.get_by_role("alert").get_by_text("The check could not be loaded")
        alert.wait_for(timeout=PATIENCE_MS)
        assert broken_rules(page) == []
        page.get_by_role("link", name="Get a place").click()
        page.wait_for_selector("main.waiting, main.near", timeout=PATIENCE_MS)
        assert page.inner_text("#position") == "7"


@pytest.mark.parametrize(
    ("wanted", "heading"), [("captcha", "A short check first"), ("challenge", "Getting your place")]
)
def test_without_scripts_the_page_says_so_and_a_link_leads_on(browser: Browser, wanted: str, heading: str) -> None:
    with a_shop(**{wanted: "always"}) as (url, _), browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{url}/product?id=7")
        assert page.get_by_role("heading", level=1).inner_text() == heading
        told = page.locator("noscript p:visible")
        assert "your browser runs no JavaScript" in told.inner_text()
        told.locator("a", has_text="Get a place").click()
        page.wait_for_selector("main.waiting, main.near", timeout=PATIENCE_MS)
        assert page.inner_text("#position") == "7"
