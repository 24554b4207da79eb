"""The gate on the real store: a visitor's way from the first page to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway.front import Front, Reply
from tests.store.bench import Bench
from waitroom.domain.room import Room
from waitroom.store.connect import open_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(valkey_url: str) -> AsyncIterator[Bench]:
    client = open_client(valkey_url, deadline_ms=5_000)
    yield Bench(client)
    await client.aclose()


class Browser:
    """Keeps the cookies it is given."""

    def __init__(self, front: Front, letter: str) -> None:
        self._front = front
        self.visitor = letter * 22
        self.jar: dict[str, str] = {}

    async def go(self, target: str = "/") -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        method = "POST" if target.endswith("/leave") else "GET"
        reply = await self._front.ask(target, cookie=cookie, method=method)
        for name, value in reply.cookies.items():
            self.jar.pop(name, None)
            if value:
                self.jar[name] = value
        return reply

    async def state(self) -> tuple[str, int]:
        facts = (await self.go("/.waitroom/sale/me")).json
        return facts["state"], facts["position"]


def browsers(front: Front, names: list[str]) -> list[Browser]:
    return [Browser(front, name) for name in names]


async def test_from_the_first_page_to_the_last(bench: Bench) -> None:
    """One slot: the first shops, the others wait in order, a release calls the next, a loss costs nobody a place."""
    names = iter("abcdef")
    store = bench.gateway(rate=600, capacity=1, refresh_seconds=5, session_seconds=20)
    await store.beat("sale")
    front = Front(Room(name="sale"), store=store, new_visitor=lambda: next(names) * 22)
    first, second, third = browsers(front, ["a", "b", "c"])

    assert (await first.go()).body == b"the shop"
    assert list(first.jar) == ["waitroom-pass-sale"]
    assert b"You are next</dd>" in (await second.go("/product?id=7")).body
    assert b">2</dd>" in (await third.go()).body
    assert list(second.jar) == ["waitroom-queue-sale"]
    assert (await second.state(), await third.state()) == (("waiting", 1), ("waiting", 2))

    await bench.run(store, 6)
    assert (await first.go()).body == b"the shop", "renewed"
    await bench.forget()
    bench.pass_seconds(1)
    await store.beat("sale")
    assert (await first.go()).body == b"the shop", "a fresh pass needs no store"
    assert [await third.state(), await second.state()] == [("waiting", 1), ("waiting", 1)]
    assert await third.state() == ("waiting", 2), "back in the old order, whoever asks first"
    assert b"Restoring the queue</title>" in (await second.go()).body

    await bench.run(store, 6)
    assert (await first.go()).body == b"the shop", "put back by its pass"
    front.site.headers = [(b"waitroom-release", b"1")]
    await first.go("/thanks")
    front.site.headers = []
    assert first.jar == {}
    await bench.run(store, 15)
    assert (await second.state())[0] == "called"
    assert (await third.state()) == ("waiting", 1)
    assert (await second.go("/product?id=7")).body == b"the shop"
    assert list(second.jar) == ["waitroom-pass-sale"]

    assert (await third.go("/.waitroom/sale/leave")).json["left"]
    assert third.jar == {}
    assert await third.state() == ("new", 0)
    assert front.metrics.waits[0] == pytest.approx(28, abs=2)


async def test_a_provisional_place_is_put_in_by_its_time(bench: Bench) -> None:
    store = bench.gateway(rate=0)
    await store.beat("sale")
    names = iter("abcdef")
    front = Front(Room(name="sale"), new_visitor=lambda: next(names) * 22)
    front.store.rooms["sale"] = Room(name="sale", rate=0)
    front.store.away = True
    front.store.clock_ms = bench.now_us // 1000
    early, late = browsers(front, ["a", "b"])
    await early.go()
    await late.go()
    real = Front(Room(name="sale"), store=store, new_visitor=lambda: next(names) * 22)
    early._front = late._front = real
    assert [await late.state(), await early.state(), await late.state()] == [
        ("waiting", 1),
        ("waiting", 1),
        ("waiting", 2),
    ]


async def test_of_two_outages_in_a_day_each_keeps_the_place_that_it_told(bench: Bench) -> None:
    """A pass of hours ago tells who somebody is; nobody came between what they were told and what they get."""
    names = iter("abcdef")

    def new_visitor() -> str:
        return next(names) * 22

    store = bench.gateway(rate=600, capacity=1, refresh_seconds=5, session_seconds=20)
    await store.beat("sale")
    here = Front(Room(name="sale"), store=store, new_visitor=new_visitor)
    regular = Browser(here, "a")
    assert (await regular.go()).body == b"the shop"
    for outage in ("the first", "the second"):
        bench.pass_seconds(2 * 3_600)
        await store.beat("sale")
        alone = Front(Room(name="sale"), new_visitor=new_visitor)
        alone.store.away = True
        alone.store.clock_ms = bench.now_us // 1000
        newcomer = Browser(alone, "")
        regular._front = alone
        await regular.go()
        await newcomer.go()
        regular._front = newcomer._front = here
        assert list(regular.jar) == ["waitroom-queue-sale"]
        bench.pass_seconds(1)
        states = [await newcomer.state(), await regular.state(), await newcomer.state()]
        assert states == [("waiting", 1), ("waiting", 1), ("waiting", 2)], outage
        await bench.run(store, 0.2, step_seconds=0.1)
        assert (await regular.go()).body == b"the shop"
        await newcomer.go("/.waitroom/sale/leave")
