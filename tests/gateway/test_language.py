"""Which language a request is answered in, and how a visitor chooses another."""

from __future__ import annotations

import pytest

from tests.gateway.front import FETCH, PAGE, Front
from waitroom.domain.visit import Answer
from waitroom.gateway.address import local_address
from waitroom.gateway.language import reader_language
from waitroom.gateway.visitor import read_headers
from waitroom.settings import GatewaySettings
from waitroom.words.choice import COOKIE_SECONDS

CHOOSE = "/.waitroom/language"


@pytest.mark.parametrize(
    ("headers", "query", "tag"),
    [
        ([], b"", "tr"),
        ([(b"accept-language", b"de-AT,de;q=0.9")], b"", "de"),
        ([(b"accept-language", b"xx"), (b"accept-language", b"fr")], b"", "fr"),
        ([(b"accept-language", b"de"), (b"cookie", b"a=1; waitroom-lang=he; b=2")], b"", "he"),
        ([(b"cookie", b"waitroom-lang=he")], b"page=2&lang=fr", "fr"),
        ([(b"cookie", b"waitroom-lang=he.fr")], b"page=2&lang=fr", "he"),
        ([(b"cookie", b"waitroom-lang=he.fr")], b"lang=ar", "ar"),
        ([(b"accept-language", b"de")], b"lang=%D7%A2", "de"),
        ([(b"accept-language", b"de")], b"xlang=fr&lang", "de"),
        ([(b"accept-language", b"\xff\xfe,de")], b"lang=\xff", "de"),
    ],
)
def test_a_page_is_written_in_what_address_cookie_browser_and_room_say(
    headers: list[tuple[bytes, bytes]], query: bytes, tag: str
) -> None:
    assert reader_language(read_headers(headers, trusted=False), query, "tr") == tag


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/", "/"),
        ("/sale?colour=red&lang=fr", "/sale?colour=red&lang=fr"),
        ("/a%2Fb?c=%20d+e", "/a%2Fb?c=%20d+e"),
        ("/שלום", "/%D7%A9%D7%9C%D7%95%D7%9D"),
        ("", "/"),
        ("sale", "/"),
        ("//evil.example/", "/"),
        ("///evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/%09/evil.example"),
        (" //evil.example", "/"),
        ("\t//evil.example", "/"),
        ("/x\r\nset-cookie: a=b", "/x%0D%0Aset-cookie:%20a=b"),
        ("/#//evil.example", "/%23//evil.example"),
        ("/" + "a" * 9_000, "/"),
    ],
)
def test_the_way_back_never_leaves_the_host(text: str, address: str) -> None:
    assert local_address(text) == address


@pytest.mark.anyio
async def test_a_choice_is_kept_in_a_cookie_and_leads_back_with_the_query_intact() -> None:
    front = Front()
    reply = await front.ask(f"{CHOOSE}?to=iw&next=%2Fsale%3Fcolour%3Dred%26lang%3Dfr")
    assert (reply.status, reply.one("location")) == (303, "/sale?colour=red&lang=fr")
    assert reply.all("set-cookie") == [
        f"waitroom-lang=he.fr; Max-Age={COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Lax",
    ]
    assert reply.one("cache-control") == "no-store"
    assert front.site.asked == []
    assert front.store.calls == []


@pytest.mark.anyio
async def test_on_a_secure_site_the_choice_is_too() -> None:
    front = Front(gateway=GatewaySettings(cookie_secure="always"))
    reply = await front.ask(f"{CHOOSE}?to=pt")
    assert reply.one("location") == "/"
    assert "; Secure;" in reply.all("set-cookie")[0]


@pytest.mark.anyio
@pytest.mark.parametrize("query", ["", "?to=", "?to=xx", "?to=../he"])
async def test_a_language_the_page_does_not_speak_is_refused(query: str) -> None:
    reply = await Front().ask(CHOOSE + query, FETCH)
    assert (reply.status, reply.all("set-cookie")) == (400, [])


@pytest.mark.anyio
async def test_the_site_never_sees_the_choice() -> None:
    front = Front()
    front.store.answer = Answer.ADMITTED
    await front.ask("/?lang=fr", PAGE, cookie="basket=7; waitroom-lang=he")
    assert front.site.headers_seen()["cookie"] == "basket=7"
    assert front.site.asked[-1]["query_string"] == b"lang=fr"
