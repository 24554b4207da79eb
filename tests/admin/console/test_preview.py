"""The waiting page in the console's frames, over the real store."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from waitroom.domain.access import Role

if TYPE_CHECKING:
    from tests.admin.access.house import House

pytestmark = pytest.mark.anyio


def frames(page: str) -> list[str]:
    return [unescape(address) for address in re.findall(r'<iframe [^>]*src="([^"]+)"', page)]


async def test_the_page_is_shown_in_a_frame_in_any_state_and_language(house: House) -> None:
    browser = await house.logged_in("noa", Role.VIEWER)
    around = await browser.get("/rooms/drop/preview?state=called&lang=he&scheme=dark")
    (address,) = frames(around.text)
    page = await browser.get(address)
    assert (page.status_code, page.headers["content-language"]) == (200, "he")
    assert 'dir="rtl"' in page.text
    assert page.headers["content-security-policy"].endswith("; sandbox allow-scripts"), "it is no page of the console"
    assert "set-cookie" not in page.headers
    for wrong in ("state=nothing&lang=en", "state=waiting&lang=xx", ""):
        assert (await browser.get(f"/rooms/drop/preview/page?{wrong}")).status_code == 404
    assert (await browser.get("/rooms/nothing/preview")).status_code == 404


async def test_a_message_is_shown_in_each_of_its_languages_before_it_is_said(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    typed = {"text.*": "Back at <b>ten</b>", "language": "he", "in_language": "חוזרים בעשר", "version": "1"}
    around = await browser.post("/rooms/drop/preview", data=typed)
    shown = {}
    for address in frames(around.text):
        page = await browser.get(address)
        shown[page.headers["content-language"]] = page.text
    assert shown.keys() == {"en", "he"}
    assert "Back at &lt;b&gt;ten" in shown["en"] or "Back at \\u003cb" in shown["en"]
    assert "<b>ten" not in shown["en"]
    assert "חוזרים בעשר" in shown["he"]
    assert house.store.record("drop").room.message == {}
    long = await browser.get("/rooms/drop/preview/page", params={"state": "waiting", "lang": "en", "text.*": "x" * 999})
    assert long.status_code == 422
