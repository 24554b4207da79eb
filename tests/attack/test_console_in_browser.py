"""Whatever operators and visitors wrote stands in the console as text: in a real browser, with its policy and without."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from tests.admin.access.house import TOKEN, House
from tests.attack.payloads import MARKUP
from tests.look.pages import a_browser
from waitroom.domain.access import Role
from waitroom.store.base import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Dialog, Request

pytestmark = pytest.mark.journey

ODD = (
    "document.querySelectorAll('iframe,object,embed,base,[onload],[onerror],[onfocus],[onmouseover],meta[http-equiv],"
    "script:not([src]):not([type=application\\\\/json]),a[href^=javascript],link[href*=evil],form[action*=evil],img[src=x]').length"
)


class Served:
    """An admin listener on a real port, in whose rooms and logs somebody wrote every text there is."""

    def __init__(self, url: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cookies: dict[str, str] = {}
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=asyncio.run, args=[self._run(url)], daemon=True)
        self._thread.start()
        if not self._ready.wait(120):
            self.close()
            pytest.fail("the console was not set up within two minutes")

    async def _run(self, url: str) -> None:
        house = House(url)
        async with aclosing(house.store):
            await house.store.seed()
            await house.store.beat("drop")
            await self._write(house)
            self.cookies = dict((await house.logged_in("boss", Role.ADMIN)).cookies)
            config = uvicorn.Config(house.app, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=1)
            self._server = uvicorn.Server(config)
            self._ready.set()
            await self._server.serve(sockets=[self._listener])

    async def _write(self, house: House) -> None:
        """Write each text where it is taken; what is refused is refused in words, which are read as well."""
        boss = house.browser(accept="application/json", authorization=f"Bearer {TOKEN}")
        for number, text in enumerate(MARKUP):
            visitor = f"{number:022}"
            await house.store.enter("drop", visitor, claims=None, purpose=Purpose.JOIN)
            changes: dict[str, Any] = {
                "shop_name": text[:80],
                "message": text,
                "home_url": f"https://shop.example/{text}",
            }
            for name, value in changes.items():
                await boss.patch("/api/v1/rooms/drop", json={"changes": {name: value}, "reason": text})
            await boss.post("/api/v1/tokens", json={"name": text, "role": "viewer"})
            await boss.post("/api/v1/accounts", json={"name": text, "role": "viewer"})
            await boss.put("/api/v1/rooms/drop/presets/p", json={"changes": {"message": text}, "reason": text})

    def close(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join(10)
        self._listener.close()


@pytest.fixture
def served(valkey_url: str) -> Iterator[Served]:
    served = Served(valkey_url)
    yield served
    served.close()


def visit(context: BrowserContext, served: Served, *, also: tuple[str, ...]) -> str:
    """Go through the console; return all that its pages showed."""
    happened: list[str] = []

    def opened(dialog: Dialog) -> None:
        happened.append(dialog.message)
        dialog.dismiss()

    def asked(request: Request) -> None:
        if not request.url.startswith((served.origin, "data:")):
            happened.append(request.url)

    context.add_cookies(
        [{"name": name, "value": value, "url": served.origin} for name, value in served.cookies.items()]
    )
    page = context.new_page()
    page.on("dialog", opened)
    page.on("pageerror", lambda error: happened.append(str(error)))
    page.on("request", asked)
    # The report is a file that is opened from a disk, so nothing but its own text keeps it safe.
    report = context.request.get(f"{served.origin}/rooms/drop/report").text()
    page.route("**/report.html", lambda route: route.fulfill(body=report, headers={"content-type": "text/html"}))
    shown = ""
    for path in ("/", "/rooms/drop", "/audit", "/report.html", "/people", "/account", *also):
        page.goto(served.origin + path, wait_until="domcontentloaded")
        page.evaluate("new Promise((done) => setTimeout(done, 60))")
        assert page.evaluate(ODD) == 0, path
        assert happened == [], path
        shown += page.inner_text("body")
    return shown


def test_what_was_written_is_shown_in_the_console_and_never_run(served: Served) -> None:
    with a_browser() as browser:
        for policy in (True, False):
            with browser.new_context(bypass_csp=not policy) as context:
                quoted = [
                    text.replace("%", "%25").replace("#", "%23").replace("&", "%26")
                    for text in MARKUP[:: 18 if policy else 7]
                ]
                asked = [f"/rooms/drop/visitors?code={text}" for text in quoted] + [
                    f"/login?next=/{text}" for text in quoted
                ]
                shown = visit(context, served, also=tuple(asked))
                assert "<script>alert(1)</script>" in shown
                assert "<svg onload=alert(1)>" in shown
