"""The console in the middle of a made-up sale: a real `waitroom serve` on a store that holds fifteen minutes of history."""

from __future__ import annotations

import json
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

from tests.journeys.operators import PASSWORD
from tests.journeys.stage import ADMIN_TOKEN, Serving, breakable_store, serving
from waitroom.domain.short_code import short_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

MINUTES = 15
WAITING, CAPACITY = 12_431, 1_850
LONG_NAME = "christmas-market-early-access"
CODE = short_code(f"{7:022d}")


class Sale:
    """A console to look at."""

    def __init__(self, running: Serving) -> None:
        self.running = running
        self.url = running.admin_url

    def api(self, method: str, path: str, document: Any = None) -> Any:
        """Ask the admin API; `path` stands after /api/v1. Playwright's own loop runs, so this is not asynchronous."""
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/json"}
        body = None if document is None else json.dumps(document).encode()
        request = Request(f"{self.url}/api/v1{path}", body, headers, method=method)
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def log_in(self, context: BrowserContext, name: str = "dana") -> Page:
        """Return a page of somebody who is logged in."""
        page = context.new_page()
        page.goto(f"{self.url}/login")
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{self.url}/")
        return page


def moments(now_s: int) -> Iterator[tuple[int, dict[str, int]]]:
    """The sale, second by second: a rush, an hour's crowd in minutes, a shop that falters once."""
    joined = admitted = requests = errors = missed = 0
    latency = [0] * 14
    for second in range(MINUTES * 60):
        share = second / (MINUTES * 60)
        rate = 600 if share < 0.45 else 300 if share < 0.6 else 1_200
        joined += round(28 * math.exp(-3 * share) + 6 + 3 * math.sin(second / 7))
        admitted += round(rate / 60 + math.sin(second / 5))
        missed += second % 9 == 0
        slow = 0.42 < share < 0.55
        requests += 120
        errors += 14 if slow else second % 5 == 0
        latency[7 if slow else 4] += 100
        latency[9 if slow else 6] += 20
        told = second // 2
        yield now_s - MINUTES * 60 + second, {
            "rate": rate, "capacity": CAPACITY, "waiting": int(WAITING * min(1, share * 1.3)), "called_now": 24,
            "missed_now": 40, "active": int(CAPACITY * min(1, share * 2.5)), "joined": joined, "direct": 0,
            "called": admitted, "admitted": admitted, "missed": missed, "returned": 0, "left": second // 3, "released": 0,
            "ended": admitted, "requests": requests, "errors": errors, "waits": told, "waited_s": int(told * 60 * 14 * share),
            "shown_low_s": int(told * 60 * 11 * share), "shown_high_s": int(told * 60 * 17 * share), "held": told,
            "shorter": 0, "longer": 0, **{f"l{number}": count for number, count in enumerate(latency)},
        }  # fmt: skip


@contextmanager
def a_sale(directory: Path) -> Iterator[Sale]:
    with breakable_store(directory) as store:
        now_s = int(time.time())
        with store.client() as client, client.pipeline() as fill:
            for at_s, sample in moments(now_s):
                fill.xadd("waitroom:{drop}:seconds", sample, id=f"{at_s * 1000}-0")
            fill.execute()
        rooms: dict[str, dict[str, Any]] = {
            "drop": {"rate": 600, "capacity": CAPACITY, "session_seconds": 3_600, "shop_name": "Maison Verde"},
            LONG_NAME: {"rate": 300, "match": ["/market/*"]},
            "outlet": {"capacity": 400, "match": ["/outlet/*"], "mode": "paused"},
        }
        lines = ["[gateway]", 'backend = "http://127.0.0.1:9"', "port = 0", "[store]", f'url = "{store.url}"', "deadline_ms = 5000",
                 "[admin]", "port = 0", f'token = "{ADMIN_TOKEN}"']  # fmt: skip
        for name, settings in rooms.items():
            lines += [
                "[[rooms]]",
                f'name = "{name}"',
                *(f"{key} = {json.dumps(value)}" for key, value in settings.items()),
            ]
        config = directory / "waitroom.toml"
        config.write_text("\n".join(lines) + "\n")
        with serving(config, directory) as running:
            now_ms = int(time.time() * 1000)
            with store.client() as client:
                client.zadd("waitroom:{drop}:active", {f"a{i:021d}": now_ms + 9 * 10**8 for i in range(CAPACITY)})
                client.zadd("waitroom:{drop}:queue", {f"{i:022d}": now_ms * 1000 + i for i in range(WAITING)})
            sale = Sale(running)
            link = sale.api("POST", "/accounts", {"name": "dana", "role": "admin"})["welcome"].partition("link=")[2]
            accept(sale, link)
            sale.api("POST", "/accounts", {"name": "noa", "role": "operator"})
            sale.api("POST", "/tokens", {"name": "grafana", "role": "viewer", "days": 90})
            sale.api("PATCH", "/rooms/drop", {"changes": {"rate": 300}, "reason": "checkout is slow"})
            sale.api("POST", "/rooms/drop/message", {"message": {
                "*": "Sizes 38 and 40 are sold out. All else is still here.", "he": "המידות 38 ו־40 אזלו."}})  # fmt: skip
            sale.api("PUT", "/rooms/drop/presets/calm", {"changes": {"rate": 300}})
            sale.api("PATCH", "/rooms/drop", {"changes": {"rate": 1_200}, "reason": "checkout is fast again"})
            yield sale


def accept(sale: Sale, link: str) -> None:
    """Set a password by a link, as the page does."""
    body = urlencode({"link": link, "password": PASSWORD, "again": PASSWORD}).encode()
    opener = build_opener(HTTPCookieProcessor())
    with opener.open(Request(f"{sale.url}/welcome", body, {"origin": sale.url}), timeout=10) as answer:
        assert answer.url == f"{sale.url}/"


def _goes_to(path: str) -> Callable[[Page, Sale], None]:
    def show(page: Page, sale: Sale) -> None:
        page.goto(sale.url + path)

    return show


def _room(page: Page, sale: Sale) -> None:
    page.goto(f"{sale.url}/rooms/drop")
    page.locator("#age", has_text="live").wait_for()
    page.locator("canvas").first.wait_for()


def _opened(page: Page, sale: Sale) -> None:
    """The room with what folds opened, and one table: they are all alike, and long."""
    _room(page, sale)
    page.evaluate(
        "document.querySelectorAll('.controls details, #flow details').forEach((one) => { one.open = true; })"
    )


def _confirm(page: Page, sale: Sale) -> None:
    page.goto(f"{sale.url}/rooms/drop")
    page.fill("input[name=rate] >> nth=0", "9000")
    page.click("text=Set the rate")
    page.locator("text=Do it").wait_for()


def _stale(page: Page, sale: Sale) -> None:
    page.goto(f"{sale.url}/rooms/drop")
    rate = sale.api("GET", "/rooms/drop")["room"]["rate"]
    sale.api("PATCH", "/rooms/drop", {"changes": {"rate": rate - 1}, "reason": "step by step"})
    page.fill("input[name=rate] >> nth=0", "200")
    page.click("text=Set the rate")
    page.locator("text=Somebody was faster").first.wait_for()


def _making(page: Page, sale: Sale) -> None:
    """A room that cannot be, typed without a mouse, with every mistake told."""
    page.goto(sale.url)
    page.locator("summary", has_text="Make a room").focus()
    page.keyboard.press("Enter")
    for typed in ("Flash Sale", "no-pattern", "many", "-5"):
        page.keyboard.press("Tab")
        page.keyboard.type(typed)
    page.keyboard.press("Enter")
    page.locator("#wrong-capacity").wait_for()


VIEWS: dict[str, Callable[[Page, Sale], None]] = {
    "rooms": _goes_to("/"),
    "rooms-making": _making,
    "room": _room,
    "room-opened": _opened,
    "confirm": _confirm,
    "stale": _stale,
    "visitor": _goes_to(f"/rooms/drop/visitors?code={CODE}"),
    "log": _goes_to("/audit"),
    "people": _goes_to("/people"),
    "account": _goes_to("/account"),
    "preview": _goes_to("/rooms/drop/preview?state=waiting&lang=en"),
    "refused": _goes_to("/rooms/nothing"),
    "login": _goes_to("/login"),
    "welcome": _goes_to("/welcome?link=nothing"),
}
"""Every page of the console, and the way to it."""
