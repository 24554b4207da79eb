"""The waiting page for everybody: what axe, a small screen, a keyboard and other settings of a device say of it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.look.pages import Gallery, a_browser
from waitroom.domain.room import Room
from waitroom.gateway.page.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.journey
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LANGUAGES = {"en": "ltr", "he": "rtl"}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


def broken_rules(page: Page, rules: list[str] = RULES) -> list[str]:
    """What axe finds on the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules
    )
    return [
        f"{rule['id']}: {json.dumps([node['html'][:120] for node in rule['nodes']])}" for rule in found["violations"]
    ]


@pytest.mark.parametrize("tag", LANGUAGES)
def test_axe_finds_nothing_in_any_state_by_day_and_by_night(browser: Browser, tag: str) -> None:
    with browser.new_context(viewport={"width": 320, "height": 640}) as context:
        gallery = Gallery(context)
        for view in VIEWS:
            page = gallery.show(view, tag)
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                assert broken_rules(page) == [], (view, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, view
            assert page.evaluate("getComputedStyle(document.documentElement).direction") == LANGUAGES[tag]
        assert gallery.complaints == []


@pytest.mark.parametrize("colour", ["#ffcc00", "#c8102e", "#111111", "#f5f5f5", "#00a651"])
def test_any_colour_of_a_shop_stays_readable_by_day_and_by_night(browser: Browser, colour: str) -> None:
    room = Room(name="sale", shop_name="Maison", colour=colour, background=colour, message={"*": "Hello"})
    for scheme in SCHEMES:
        with browser.new_context(color_scheme=scheme) as context:
            page = Gallery(context, room).show("called", "en")
            page.evaluate("document.querySelectorAll('[hidden]').forEach((element) => { element.hidden = false; })")
            assert broken_rules(page, ["color-contrast"]) == [], scheme


def test_everything_can_be_reached_and_used_by_keyboard(browser: Browser) -> None:
    with browser.new_context() as context:
        page = Gallery(context).show("waiting", "en")
        met = []
        for _ in range(4):
            page.keyboard.press("Tab")
            met.append(page.evaluate("document.activeElement.id || document.activeElement.localName"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", met
        assert met == ["sound", "awake", "select", "button"]
        page.focus("#sound")
        page.keyboard.press("Enter")
        assert page.get_attribute("#sound", "aria-pressed") == "true"


def test_every_target_is_large_enough(browser: Browser) -> None:
    with browser.new_context(viewport={"width": 320, "height": 640}) as context:
        gallery = Gallery(context)
        for view in ("waiting", "called", "ended"):
            sizes = gallery.show(view, "en").evaluate(
                "[...document.querySelectorAll('a, button, select, summary')].map(e => e.getBoundingClientRect())"
                ".filter(r => r.width).map(r => Math.min(r.width, r.height))"
            )
            assert min(sizes) >= 24, view


def test_where_motion_is_not_wanted_nothing_moves(browser: Browser) -> None:
    with browser.new_context(reduced_motion="reduce") as context:
        page = Gallery(context).show("called", "en")
        assert page.evaluate("document.getAnimations().length") == 0


def test_with_forced_colours_the_state_is_still_told(browser: Browser) -> None:
    with browser.new_context(forced_colors="active") as context:
        page = Gallery(context).show("called", "en")
        assert broken_rules(page) == []
        assert page.locator("#go").is_visible()


def test_a_screen_reader_hears_the_page_in_this_order(browser: Browser) -> None:
    with browser.new_context() as context:
        tree = Gallery(context).show("called", "en").locator("main").aria_snapshot()
    kinds = [line.strip("- ").split(" ")[0].rstrip(":") for line in tree.splitlines()]
    assert kinds.index("heading") < kinds.index("timer") < kinds.index("link")
    assert 'heading "It is your turn" [level=1]' in tree
