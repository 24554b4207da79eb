"""The console for everybody: what axe and a small screen say of each page, by day and by night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from tests.look.pages import a_browser
from tests.look.sale import VIEWS, Sale, a_sale
from tests.look.test_accessible import broken_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.journey
WIDE = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def sale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sale]:
    with a_sale(tmp_path_factory.mktemp("sale")) as sale:
        yield sale


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.mark.parametrize(("scheme", "width"), [("light", 320), ("dark", 1280)])
def test_axe_finds_nothing_on_any_page_and_nothing_is_too_wide(
    sale: Sale, browser: Browser, scheme: Literal["light", "dark"], width: int
) -> None:
    found = {}
    with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700}, bypass_csp=True) as context:
        page = sale.log_in(context)
        for view, show in VIEWS.items():
            show(page, sale)
            wide = page.evaluate(WIDE)
            found[view] = broken_rules(page) + ([f"{wide} px wide"] if wide > width else [])
    assert {view: broken for view, broken in found.items() if broken} == {}


def answered_at_a_glance(page: Page, height: int) -> list[str]:
    """Which figures of a room are seen without scrolling."""
    page.locator("#age", has_text="live").wait_for()
    seen: list[str] = page.evaluate(
        "height => [...document.querySelectorAll('#room [data-figure]')].filter(e => e.textContent.trim()"
        " && e.getBoundingClientRect().bottom <= height).map(e => e.dataset.figure)",
        height,
    )
    return seen


@pytest.mark.parametrize("size", [(390, 844), (1280, 800), (3840, 2160)])
def test_every_question_is_answered_on_the_first_screen(sale: Sale, browser: Browser, size: tuple[int, int]) -> None:
    width, height = size
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = sale.log_in(context)
        page.goto(f"{sale.url}/rooms/drop")
        assert {
            "queueing", "limiting", "waiting", "wait", "active", "capacity", "entries", "rate", "shop_p50_ms",
            "shop_p95_ms", "shop_error_share", "store",
        } <= set(answered_at_a_glance(page, height))  # fmt: skip
        assert page.locator("#pause").bounding_box()["y"] < height  # type: ignore[index]
