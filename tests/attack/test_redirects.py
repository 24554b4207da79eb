"""Nobody is led to another site by an address that they, or who sent them, wrote."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from tests.attack.payloads import TARGETS
from tests.gateway.front import Front, Reply
from tests.look.pages import a_browser
from waitroom.admin.pages.forms import local

HERE = "https://shop.example/a/b"
_ORIGINS = """([here, all]) => all.map((one) => {
  try { const url = new URL(one, here); return url.protocol + "//" + url.host; } catch { return "none"; }
})"""


def locations(replies: list[Reply], name: str) -> list[str]:
    """Return what a header of all replies says, each of which must be one line of plain characters."""
    found = []
    for reply in replies:
        assert reply.status in {303, 429}
        assert all(value.isascii() and value.decode().isprintable() for _, value in reply.headers)
        location = reply.one(name)
        assert location is not None
        found.append(location)
    return found


async def after_choosing_a_language() -> list[str]:
    front = Front()
    texts = [quote(to) for to in TARGETS]
    return locations([await front.ask(f"/.waitroom/language?to=de&next={text}") for text in texts], "location")


async def where_to_wait() -> list[str]:
    """Where a program is told that its browser can wait and come back to, whatever `Referer` it brought."""
    front = Front()
    texts = [to.encode().decode("latin-1") for to in TARGETS]
    referers = [start + text for text in texts for start in ("", "https://shop.example", "http://shop.example/")]
    replies = [await front.ask("/", {"accept": "*/*", "referer": referer}) for referer in referers]
    assert {reply.json["page"] for reply in replies} == set(locations(replies, "waitroom-location"))
    return locations(replies, "waitroom-location")


@pytest.mark.journey
def test_no_address_that_somebody_wrote_leads_to_another_site() -> None:
    """How a real browser reads an address is what counts."""
    found = asyncio.run(after_choosing_a_language()) + asyncio.run(where_to_wait()) + [local(to) for to in TARGETS]
    assert len(found) > 2_000
    with a_browser() as browser:
        page = browser.new_page()
        origins = page.evaluate(_ORIGINS, [HERE, found])
        unguarded = page.evaluate(_ORIGINS, [HERE, TARGETS])
    wrong = [one for one, origin in zip(found, origins, strict=True) if origin != "https://shop.example"]
    assert wrong == []
    assert sum(origin != "https://shop.example" for origin in unguarded) > 200, "the table bites"
