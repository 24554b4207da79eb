"""What a shared cache might keep, or give to somebody else, holds nothing of one request."""

from __future__ import annotations

import pytest

from tests.gateway.front import PAGE, Front, census

pytestmark = pytest.mark.anyio

MARK = "zebra7"
UNKEYED = (
    "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix", "x-forwarded-uri", "x-forwarded-scheme", "x-original-url",
    "x-rewrite-url", "x-host", "x-http-method-override", "forwarded", "x-real-ip", "via", "true-client-ip", "user-agent", "origin",
    "accept-charset", "dnt", "waitroom-room", "waitroom-visitor", "from", "te", "priority", "x-wap-profile",
)  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/", "/.waitroom/default/me", "/.waitroom/default/queue.json", "/.waitroom/language?to=de"]
)
@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1"])
async def test_an_answer_of_ours_says_nothing_that_the_request_brought(path: str, peer: str) -> None:
    """No header but cookies, language and address asked for shows in a page, a document or a redirect."""
    front = Front()
    front.store.counted = census()
    for manner in (PAGE, {"accept": "*/*"}):
        reply = await front.ask(path, {**manner, **dict.fromkeys(UNKEYED, f"{MARK}.example")}, peer=peer)
        said = reply.body + b"".join(value for _, value in reply.headers)
        assert MARK.encode() not in said
        assert front.site.asked == []


@pytest.mark.parametrize("suffix", ["/a.css", "/a.js?x=1", "/%2e%2e/a.png", ";a.css", "/a.woff2"])
async def test_an_answer_of_ours_is_never_kept_because_of_how_its_address_ends(suffix: str) -> None:
    front = Front()
    for path in ("/cart", "/.waitroom/default/me"):
        reply = await front.ask(path + suffix)
        assert reply.one("cache-control") == "no-store", path + suffix
        assert reply.one("x-content-type-options") == "nosniff"


async def test_the_shared_document_is_the_same_for_all_and_sets_no_cookie() -> None:
    front = Front()
    front.store.counted = census()
    path = "/.waitroom/default/queue.json"
    plain = await front.ask(path, {})
    for cookie in ("", f"waitroom-queue-default={front.place()}", f"waitroom-pass-default={front.pass_()}"):
        reply = await front.ask(path, {"user-agent": MARK}, cookie=cookie)
        assert reply.body == plain.body
        assert reply.all("set-cookie") == []
        assert (
            not {"vary": "cookie"}.items()
            <= {name.decode(): value.decode().lower() for name, value in reply.headers}.items()
        )
