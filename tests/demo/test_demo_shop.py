"""The toy shop: it serves as many as it can bear, and its overload is real."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from waitroom.demo import pages
from waitroom.demo.browser import Answer, Browser
from waitroom.demo.resources import TooBusy, WarmSessions, Workers
from waitroom.demo.shop import Shop, Size

pytestmark = pytest.mark.anyio

SMALL = Size(4, workers=2, line_limit=8, patience_seconds=0.1, page_seconds=0.005, disk_seconds=0.02)


async def stats(port: int) -> dict[str, Any]:
    async with Browser("127.0.0.1", port) as browser:
        figures: dict[str, Any] = json.loads((await browser.fetch("/stats")).body)
        return figures


async def buy(port: int) -> list[Answer]:
    async with Browser("127.0.0.1", port) as browser:
        answers = [await browser.navigate(path) for path in ("/", "/product?n=1", "/product?n=2")]
        return answers + [await browser.navigate(path, method="POST") for path in ("/cart", "/order")]


async def test_a_shopper_looks_fills_the_cart_and_orders(serve: Any) -> None:
    async with serve(Shop(SMALL)) as port:
        answers = await buy(port)
        assert [answer.status for answer in answers] == [200] * 5
        assert [answer.header("shop-page") for answer in answers] == [
            "product",
            "product",
            "product",
            "cart",
            "confirmation",
        ]
        assert await stats(port) == {
            "requests": 5,
            "answers_5xx": 0,
            "orders_placed": 1,
            "orders_lost": 0,
            "active": 0,
            "peak_active": 1,
            "entries": 1,
            "entries_busiest_60_seconds": 1,
        }


async def test_a_confirmed_order_ends_the_session_and_says_so(serve: Any) -> None:
    async with serve(Shop(SMALL)) as port:
        *before, confirmation = await buy(port)
        assert [answer.header("waitroom-release") for answer in before] == [""] * 4
        assert confirmation.header("waitroom-release") == "1"
        assert "shop-session=;" in confirmation.header("set-cookie")


async def test_leaving_ends_the_session_and_says_so(serve: Any) -> None:
    async with serve(Shop(SMALL)) as port, Browser("127.0.0.1", port) as browser:
        await browser.navigate("/")
        assert (await stats(port))["active"] == 1
        assert (await browser.navigate("/leave", method="POST")).header("waitroom-release") == "1"
        assert (await stats(port))["active"] == 0
        assert "shop-session" not in browser.cookies


async def test_the_session_is_known_by_its_cookie(serve: Any) -> None:
    async with serve(Shop(SMALL)) as port, Browser("127.0.0.1", port) as browser:
        browser.cookies["shop-session"] = "never-heard-of"
        await browser.navigate("/")
        name = browser.cookies["shop-session"]
        assert name != "never-heard-of"
        assert (await browser.navigate("/cart")).header("set-cookie") == ""
        assert (await stats(port))["entries"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "page"),
    [
        ("HEAD", "/", 200, "product"),
        ("GET", "/product?n=no-number", 200, "product"),
        ("GET", "/cart", 200, "cart"),
        ("POST", "/order", 409, "cart"),
        ("GET", "/order", 404, "missing"),
        ("GET", "/elsewhere", 404, "missing"),
    ],
)
async def test_every_address_has_an_answer(serve: Any, method: str, path: str, status: int, page: str) -> None:
    async with serve(Shop(SMALL)) as port, Browser("127.0.0.1", port) as browser:
        answer = await browser.navigate(path, method=method)
        assert (answer.status, answer.header("shop-page")) == (status, page)


async def test_as_many_as_it_can_bear_are_all_served(serve: Any) -> None:
    async with serve(Shop(replace(SMALL, patience_seconds=30))) as port:
        visits = await asyncio.gather(*(buy(port) for _ in range(SMALL.sessions)))
        assert {answer.status for visit in visits for answer in visit} == {200}
        figures = await stats(port)
        assert (figures["orders_placed"], figures["orders_lost"], figures["answers_5xx"]) == (SMALL.sessions, 0, 0)


async def test_a_crowd_beyond_its_limit_gets_errors_and_loses_orders(serve: Any) -> None:
    """The slower the machine, the thinner the crowd it makes; so it comes again until an order is lost."""
    visits: list[list[Answer]] = []
    async with serve(Shop(SMALL)) as port, asyncio.timeout(30):
        while not (figures := await stats(port))["orders_lost"]:
            visits += await asyncio.gather(*(buy(port) for _ in range(15 * SMALL.sessions)))
        seen = [answer for visit in visits for answer in visit if answer.status == 503]
        assert figures["answers_5xx"] == len(seen) > 0
        assert {answer.header("retry-after") for answer in seen} == {"2"}
        assert figures["orders_lost"] == sum(b"could not be completed" in answer.body for answer in seen) > 0
        assert figures["peak_active"] > 2 * SMALL.sessions


async def test_an_order_whose_customer_is_gone_is_lost(serve: Any) -> None:
    size = Size(4, workers=2, line_limit=8, page_seconds=0.05, disk_seconds=0)
    async with serve(Shop(size)) as port:
        async with Browser("127.0.0.1", port) as browser:
            await browser.navigate("/cart", method="POST")
            order = asyncio.create_task(browser.navigate("/order", method="POST"))
            while (await stats(port))["requests"] < 2:
                pass
            order.cancel()
            await asyncio.wait((order,))
        while (await stats(port))["active"]:
            pass
        figures = await stats(port)
        assert (figures["orders_placed"], figures["orders_lost"]) == (0, 1)


async def test_workers_are_bounded_and_so_is_the_line() -> None:
    workers = Workers(2, line_limit=3, patience_seconds=5)
    tasks = [asyncio.create_task(workers.work(0.01)) for _ in range(9)]
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None)] * 5 + [TooBusy] * 4
    assert workers.in_line == 0


async def test_nobody_stands_in_line_longer_than_their_patience() -> None:
    workers = Workers(1, line_limit=3, patience_seconds=0.01)
    first = asyncio.create_task(workers.work(0.05))
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await workers.work(0.01)
    await first
    await workers.work(0)


def test_a_session_pushed_out_of_memory_has_to_be_read_from_disk() -> None:
    warm = WarmSessions(2)
    assert [warm.use(name, new=True) for name in "abc"] == [True] * 3
    assert warm.use("b", new=False)
    assert not warm.use("a", new=False)  # pushed out by c; pushes out c
    assert not warm.use("c", new=False)


def test_the_place_of_a_finished_session_is_free() -> None:
    warm = WarmSessions(2)
    for name in "ab":
        warm.use(name, new=True)
    warm.forget("b")
    warm.forget("unheard-of")
    warm.use("c", new=True)
    assert warm.use("a", new=False)


def test_a_shop_is_sized_for_the_sessions_it_bears() -> None:
    assert Size.bearing(60) == Size(60, workers=8, line_limit=120)
    assert Size.bearing(1).workers == 2


def test_pages_are_whole_small_and_self_contained() -> None:
    for page in (
        pages.product(3, 0),
        pages.product(99, 1),
        pages.cart(0),
        pages.cart(1),
        pages.cart(2),
        pages.ordered(7),
        pages.goodbye(),
        pages.overloaded(order_lost=True),
        pages.overloaded(order_lost=False),
        pages.missing(),
    ):
        text = page.decode()
        assert text.startswith("<!doctype html>")
        assert text.endswith("</html>\n")
        assert len(page) < 4_000
        assert "http" not in text
        assert "src=" not in text
