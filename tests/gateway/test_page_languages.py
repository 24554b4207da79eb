"""Every view of the page in every language on a small phone, in a real browser: all is said, and nothing sticks out."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.domain.room import Room
from waitroom.gateway.page.preview import Preview
from waitroom.gateway.page.views import VIEWS
from waitroom.gateway.page.waiting import WaitingPage
from waitroom.words.languages import LANGUAGES
from waitroom.words.texts import load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.journey

NOW_MS = 1_795_826_700_000
WIDTH = 320
ROOM = Room(
    name="shop",
    shop_name="Rosenkranz & Söhne",
    home_url="https://shop.example/",
    info_url="https://shop.example/help",
    message={"*": "Sizes 38 and 40 are sold out."},
)
LOOK = """(width) => [...document.querySelectorAll("iframe")].map((frame) => {
  const page = frame.contentDocument, out = [], facts = {}, sent = {};
  const visible = [...page.querySelectorAll("body *")].filter(
    (element) => !element.closest(".vh, svg, noscript") && element.checkVisibility());
  for (const element of visible) {
    const box = element.getBoundingClientRect();
    const inline = frame.contentWindow.getComputedStyle(element).display === "inline";
    if (box.width && (box.left < -0.5 || box.right > width + 0.5)) out.push(element.outerHTML);
    if (!inline && element.scrollWidth > element.clientWidth + 1) out.push(element.outerHTML);
  }
  const found = (within, into) => {
    for (const id of ["position", "waiting", "wait", "rate", "behind"]) {
      const element = within.getElementById(id);
      if (!element.closest("[hidden]")) into[id] = element.textContent;
    }
  };
  found(page, facts);
  found(new DOMParser().parseFromString(frame.srcdoc, "text/html"), sent);
  return {view: frame.id, out, facts, sent, text: page.body.innerText, title: page.title,
    heading: page.querySelector("h1").textContent, lang: page.documentElement.lang, dir: page.documentElement.dir,
    width: page.documentElement.scrollWidth};
})"""
ORDER = """() => {
  const text = [...document.querySelector("#wait").childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
  const left = (start, end) => {
    const range = document.createRange();
    range.setStart(text, start);
    range.setEnd(text, end);
    return range.getBoundingClientRect().left;
  };
  return [...text.data.matchAll(/\\p{Nd}+/gu)].map(({index, 0: digits}) =>
    ({left: left(index, index + digits.length), left_of_first_digit: left(index, index + 1)}));
}"""


@pytest.fixture(scope="module")
def phones(browser: Browser) -> tuple[Page, list[str]]:
    """A page for many frames, each as wide as a small phone, and what goes wrong in their scripts."""
    page = browser.new_page(viewport={"width": WIDTH * 3, "height": 640})
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    return page, failures


@pytest.fixture(scope="module")
def preview() -> Preview:
    def failed(room: str, reason: str) -> None:
        raise AssertionError(reason)

    def nonce() -> str:
        return "n" * 24

    return Preview(WaitingPage([ROOM], nonce, failed), nonce)


def page_of(view: str, tag: str, preview: Preview) -> str:
    answer = preview.view(ROOM, view, tag, NOW_MS)
    assert answer is not None
    return answer[0].decode()


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_view_is_whole_in_every_language_and_the_script_says_what_the_server_said(
    phones: tuple[Page, list[str]], preview: Preview, tag: str
) -> None:
    page, failures = phones
    texts = load(tag)
    style = f"border:0;inline-size:{WIDTH}px;block-size:640px"
    page.set_content(
        "".join(
            f'<iframe id="{view}" style="{style}" srcdoc="{html.escape(page_of(view, tag, preview))}"></iframe>'
            for view in VIEWS
        )
    )
    seen: dict[str, Any] = {one["view"]: one for one in page.evaluate(LOOK, WIDTH)}
    assert failures == []
    assert list(seen) == list(VIEWS)
    for view, one in seen.items():
        assert (one["lang"], one["dir"]) == (tag, LANGUAGES[tag].direction)
        assert (view, one["width"], one["out"]) == (view, WIDTH, [])
        assert one["heading"] == texts[f"{view}_heading"]
        assert str(texts[f"{view}_title"]) in one["title"]
        leads = (texts.get(f"{view}_{kind}") for kind in ("lead", "full", "frame"))
        assert any(lead in one["text"] for lead in leads if isinstance(lead, str)), view
        assert not set("{}") & set(one["text"]), view
        assert (view, one["facts"]) == (view, one["sent"])
    assert seen["waiting"]["facts"].keys() == {"position", "waiting", "wait", "rate", "behind"}


@pytest.mark.parametrize("tag", [tag for tag, row in LANGUAGES.items() if row.direction == "rtl"])
def test_a_range_reads_from_right_to_left_and_each_number_from_left_to_right(
    browser: Browser, preview: Preview, tag: str
) -> None:
    page = browser.new_page(viewport={"width": WIDTH, "height": 640})
    page.set_content(page_of("waiting", tag, preview))
    low, high = page.evaluate(ORDER)
    page.close()
    assert low["left"] > high["left"]
    assert low["left_of_first_digit"] == low["left"]
    assert high["left_of_first_digit"] == high["left"]
