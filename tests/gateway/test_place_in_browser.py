"""The waiting page in a real browser that keeps no cookies: another site's frame, to which ours are third-party."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect

from tests.gateway.test_page_in_browser import Shop, shop
from waitroom.domain.visit import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["shop"]
pytestmark = pytest.mark.journey
ISOLATES = "[\u2066-\u2069]*"


@pytest.fixture
def frame_of(shop: Shop) -> Iterator[str]:
    """The address of a page of another site with the shop in a frame."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'<!doctype html><iframe src="{shop.url}/sale?size=38" width="600" height="900"></iframe>'.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_in_a_frame_that_gets_no_cookies_the_place_is_kept_and_a_tab_takes_it_over(
    shop: Shop, browser: Browser, frame_of: str
) -> None:
    with browser.new_context() as context:
        shop.queue(12)
        page = context.new_page()
        page.goto(frame_of)
        frame = page.frame_locator("iframe")
        expect(frame.locator("#title")).to_have_text("Your browser keeps no cookies here")
        expect(frame.locator("#position")).to_have_text("12")
        shop.queue(5)
        expect(frame.locator("#position")).to_have_text("5")
        # At the turn it does not claim: the pass would be a cookie.
        shop.front.store.answer = Answer.CALLED
        shop.front.store.left_ms = 60_000
        calls = len(shop.front.store.calls)
        page.wait_for_timeout(4_000)
        assert shop.front.site.asked == []
        assert 1 <= len(shop.front.store.calls) - calls <= 6, "it goes on asking, and no more often than told"
        shop.front.store.answer = Answer.WAITING
        with context.expect_page() as opened:
            frame.locator("#tab").click()
        tab = opened.value
        expect(tab.locator("#title")).not_to_have_text("Your browser keeps no cookies here")
        visitors = {call[2] for call in shop.front.store.calls if call[0] == "enter"}
        assert len(visitors) == 1, "one place all along"
        shop.front.store.answer = Answer.CALLED
        tab.wait_for_timeout(100)
        shop.front.store.answer = Answer.ADMITTED
        tab.reload()
        expect(tab.locator("body")).to_have_text("the shop")
        assert tab.url == f"{shop.url}/sale?size=38"
