"""The preview by a signed link: whoever has it sees every state of the page, and gets no place and no pass."""

from __future__ import annotations

import re

import pytest

from tests.gateway.front import NOW_MS, Front
from waitroom.domain.room import Room
from waitroom.gateway.page.views import VIEWS
from waitroom.tokens import Tokens

pytestmark = pytest.mark.anyio
HOUR_SECONDS = 3_600


def link(front: Front, query: str = "", *, room: str = "default", seconds: int = HOUR_SECONDS) -> str:
    token = front.tokens.sign_preview(room, NOW_MS // 1000 + seconds)
    return f"/.waitroom/default/preview?token={token}{query}"


async def test_the_link_shows_where_state_and_language_are_chosen() -> None:
    front = Front(Room(name="default", shop_name="<Maison>", language="he"))
    reply = await front.ask(link(front, "&state=missed"))
    page = reply.body.decode()
    assert reply.status == 200
    assert "&lt;Maison&gt;: the waiting page" in page
    assert "<option selected>missed</option>" in page
    assert '<option value="he" lang="he" selected>' in page
    assert re.findall(r"<(?:style|script)(?! nonce=\"nonce\")", page) == []
    assert reply.one("referrer-policy") == "no-referrer"


@pytest.mark.parametrize("view", VIEWS)
async def test_each_state_is_shown_as_a_preview_that_gives_nothing(view: str) -> None:
    front = Front()
    reply = await front.ask(link(front, f"&page=1&state={view}&lang=en"))
    page = reply.body.decode()
    assert "Preview: nobody waits here" in page
    assert f'class="{view}"' in page
    assert f'"preview":"{view}"' in page
    assert (reply.cookies, front.store.calls, front.site.asked) == ({}, [], [])


@pytest.mark.parametrize(
    ("query", "status"),
    [("&page=1&state=nothing", 404), ("&page=1&state=waiting&lang=xx", 404), ("&page=1&state=waiting", 200)],
)
async def test_only_states_and_languages_that_are_there_are_shown(query: str, status: int) -> None:
    front = Front()
    assert (await front.ask(link(front, query))).status == status


async def test_the_page_is_shown_light_or_dark_whatever_the_device_prefers() -> None:
    front = Front()
    pages = [
        (await front.ask(link(front, f"&page=1&state=waiting&scheme={name}"))).body for name in ("dark", "light", "")
    ]
    assert [b"@media all{" in page for page in pages] == [True, False, False]
    assert [b"@media not all{" in page for page in pages] == [False, True, False]
    assert [b"color-scheme:light dark" in page for page in pages] == [False, False, True]


async def test_a_link_that_ended_or_is_of_another_room_or_forged_shows_nothing() -> None:
    front = Front()
    assert (await front.ask(link(front, seconds=0))).status == 403
    assert (await front.ask(link(front, room="other"))).status == 403
    assert (await front.ask("/.waitroom/default/preview")).status == 403
    assert (await front.ask(f"/.waitroom/default/preview?token={front.pass_()}")).status == 403
    stranger = Tokens(["x" * 40]).sign_preview("default", NOW_MS // 1000 + HOUR_SECONDS)
    assert (await front.ask(f"/.waitroom/default/preview?token={stranger}")).status == 403
    assert (await front.ask("/.waitroom/nowhere/preview")).status == 404


async def test_a_preview_is_no_proof_of_anything_else() -> None:
    front = Front()
    token = front.tokens.sign_preview("default", NOW_MS // 1000 + HOUR_SECONDS)
    reply = await front.ask(cookie=f"waitroom-queue-default={token}; waitroom-pass-default={token}")
    assert b"You are in the queue</h1>" in reply.body
    assert {key: count for key, count in front.metrics.told.items() if key[0] == "token_rejected"} == {
        ("token_rejected", "forged"): 2
    }
