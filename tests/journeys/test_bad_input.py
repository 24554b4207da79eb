"""Bad input and bad neighbours, met by a real `waitroom serve`: a clear answer, nothing lost, nothing on the site."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.stage import START_SECONDS, BreakableStore, Visitor, on_site, serving, visitors, write_config
from tests.journeys.witness import PERSON, SCRIPT, ask, counted, parsed, send, witness
from waitroom.domain.claims import PassClaims, QueueClaims
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.journeys.stage import Serving
    from waitroom.demo.browser import Answer

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

QUEUE, PASS = "waitroom-queue-sale", "waitroom-pass-sale"
ME = "/.waitroom/sale/me"
SETTINGS = Path(__file__).parent.parent / "settings" / "bad"


def signer(running: Serving) -> Tokens:
    """Sign as the gateway does."""
    return Tokens((running.data / "signing-keys").read_text().split())


def bad_tokens(running: Serving, place: str, pass_: str, foreign: str) -> list[tuple[str, str]]:
    """Texts that count as none, each with the kind it must be counted as."""
    own, other = signer(running), Tokens(["a-key-that-nobody-here-has-ever-seen"])
    now_ms, visitor = int(time.time() * 1000), "v" * 22
    generation = pass_.split("~")[6]
    fresh = PassClaims("sale", visitor, now_ms, now_ms + 600_000, generation)
    old = QueueClaims("sale", visitor, (now_ms - 25 * 3_600_000) * 1000, 0, generation)
    return [
        ("forged", other.sign_pass(fresh)),
        ("forged", other.sign_queue(QueueClaims("sale", visitor, now_ms * 1000, 0, generation))),
        ("forged", place.replace("~q~", "~p~")),
        ("forged", pass_.replace("~p~", "~q~")),
        ("forged", pass_.rpartition(".")[0] + "." + place.rpartition(".")[2]),
        ("expired", own.sign_queue(old)),
        ("foreign", foreign),
        ("foreign", own.sign_queue(QueueClaims("vip", visitor, now_ms * 1000, 0, generation))),
        ("version", own._pass.sign("2" + pass_.rpartition(".")[0][1:]).decode()),
        ("version", own._queue.sign("0" + place.rpartition(".")[0][1:]).decode()),
        ("oversized", pass_ + "A" * 300),
        ("oversized", "A" * 4_000),
        *(("malformed", text[:size]) for text in (place, pass_) for size in (1, 10, len(text) // 2, len(text) - 1)),
        ("malformed", pass_ + "A"),
        ("malformed", "1~p~"),
        ("malformed", "null"),
        ("malformed", '{"room":"sale"}'),
        ("malformed", "\xff\xfe\x80"),
        ("malformed", "%00' OR 1=1 --"),
    ]


def flipped(text: str) -> Iterable[str]:
    """Change each character of `text` in one bit, into another that a cookie may hold."""
    for index, character in enumerate(text):
        others = (chr(ord(character) ^ 1 << bit) for bit in range(7))
        other = next(c for c in others if "!" <= c <= "~" and c not in '",;\\')
        yield text[:index] + other + text[index + 1 :]


async def cookies_of_visitors(running: Serving) -> tuple[str, str, str]:
    """Fill both rooms and their queues; return a place and a pass of `sale`, and a pass of `vip`."""
    async with visitors(running.port, 3) as (shopper, waiter, guest):
        assert on_site(await shopper.navigate("/"))
        assert on_site(await guest.navigate("/vip"))
        assert not on_site(await waiter.navigate("/"))
    return waiter.cookies[QUEUE], shopper.cookies[PASS], guest.cookies["waitroom-pass-vip"]


async def state_of(port: int, *fields: str) -> tuple[str, int]:
    answer = await ask(port, ME, *SCRIPT, *fields)
    assert answer.status == 200
    document = json.loads(answer.body)
    return document["state"], document["position"]


def two_rooms(tmp_path: Path, backend: str) -> Path:
    config = write_config(tmp_path, backend=backend, capacity=1)
    vip = '[[rooms]]\nname = "vip"\nmatch = ["/vip*"]\ncapacity = 1\n'
    config.write_text(config.read_text().replace("[[rooms]]", vip + "[[rooms]]"))
    return config


async def test_a_bad_token_counts_as_none_and_is_counted_by_kind(tmp_path: Path) -> None:
    async with witness() as site:
        with serving(two_rooms(tmp_path, site.url), tmp_path) as running:
            place, pass_, foreign = await cookies_of_visitors(running)
            port, before = running.port, list(site.asked)
            expected: dict[str, int] = {}
            for kind, text in bad_tokens(running, place, pass_, foreign):
                # As either cookie a text of the one kind is none of the other; Authorization reads what it says it is.
                ways = [f"cookie: {PASS if '~p~' in text else QUEUE}={text}", f"authorization: Waitroom {text}"]
                for way in ways:
                    assert await state_of(port, way) == ("new", 0)
                    script = await ask(port, "/", *SCRIPT, way)
                    assert (script.status, script.header("content-type")) == (429, "application/problem+json")
                    person = await ask(port, "/", *PERSON, way)
                    assert person.status == 200
                    assert b"You are in the queue" in person.body
                    expected[kind] = expected.get(kind, 0) + 3
            assert await counted(running, "waitroom_tokens_rejected_total", "kind") == expected

            for cookie, text in ((PASS, place), (QUEUE, pass_)):
                assert await state_of(port, f"cookie: {cookie}={text}") == ("new", 0)
            expected["forged"] += 2
            for cookie, text in ((QUEUE, place), (PASS, pass_)):
                for way in (f"cookie: {cookie}=", "authorization: Waitroom "):
                    for other in flipped(text):
                        assert await state_of(port, way + other) == ("new", 0), other
            flips = 2 * (len(place) + len(pass_))
            after = await counted(running, "waitroom_tokens_rejected_total", "kind")
            assert sum(after.values()) == sum(expected.values()) + flips
            assert set(after) <= {"forged", "malformed", "expired", "foreign", "oversized", "version"}

            assert site.asked == before
            assert await state_of(port, f"cookie: {QUEUE}={place}") == ("waiting", 1)
            assert on_site(await ask(port, "/still", *SCRIPT, f"cookie: {PASS}={pass_}"))
            assert [event for event in running.events() if event["level"] == "error"] == []


async def test_of_many_cookies_the_first_good_one_counts_and_only_four_are_looked_at(tmp_path: Path) -> None:
    async with witness() as site:
        with serving(two_rooms(tmp_path, site.url), tmp_path) as running:
            place, pass_, _ = await cookies_of_visitors(running)
            port = running.port
            async with visitors(running.port, 1) as (second,):
                await second.navigate("/")
            later = second.cookies[QUEUE]
            good, bad = f"{PASS}={pass_}", f"{PASS}={pass_[:-9]}"
            here, there, none = f"{QUEUE}={place}", f"{QUEUE}={later}", f"{QUEUE}=x"
            for order in ((good, bad), (bad, good), (bad, bad, bad, good)):
                assert on_site(await ask(port, "/", *SCRIPT, "cookie: " + "; ".join(order)))
                assert on_site(await ask(port, "/", *SCRIPT, *(f"cookie: {pair}" for pair in order)))
            for order, position in (((none, here), 1), ((here, none), 1), ((here, there), 1), ((there, here), 2)):
                assert await state_of(port, "cookie: " + "; ".join(order)) == ("waiting", position)

            before = (await counted(running, "waitroom_tokens_rejected_total", "kind"))["malformed"]
            asked = len(site.asked)
            hidden = await ask(port, "/", *SCRIPT, "cookie: " + "; ".join([f"{PASS}=x"] * 100 + [good]))
            assert hidden.status == 429
            assert (await counted(running, "waitroom_tokens_rejected_total", "kind"))["malformed"] == before + 4
            assert len(site.asked) == asked
            crumbs = [f"shop-{number}=x" for number in range(100)]
            assert on_site(await ask(port, "/", *SCRIPT, "cookie: " + "; ".join([*crumbs, good])))
            assert on_site(
                await ask(port, "/", *SCRIPT, *(f"cookie: {crumb}" for crumb in crumbs[:90]), f"cookie: {good}")
            )


async def test_an_ended_pass_opens_nothing(tmp_path: Path) -> None:
    async with witness() as site:
        with serving(two_rooms(tmp_path, site.url), tmp_path) as running:
            _, pass_, _ = await cookies_of_visitors(running)
            before = list(site.asked)
            now_ms = int(time.time() * 1000)
            ended = signer(running).sign_pass(
                PassClaims("sale", "v" * 22, now_ms - 700_000, now_ms - 100_000, pass_.split("~")[6])
            )
            assert (await ask(running.port, "/", *SCRIPT, f"cookie: {PASS}={ended}")).status == 429
            person = await ask(running.port, "/", *PERSON, f"cookie: {PASS}={ended}")
            assert b"You are in the queue" in person.body
            assert site.asked == before


def serve_badly(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a `waitroom serve` that must end by itself."""
    command = [sys.executable, "-m", "waitroom", "serve", *arguments]
    environment = os.environ | {"WAITROOM_LOG__FORMAT": "json"}
    return subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False, env=environment)


def test_all_mistakes_of_a_configuration_are_told_at_once(tmp_path: Path) -> None:
    mistakes = (SETTINGS / "everything.txt").read_text().splitlines()
    ended = serve_badly(str(SETTINGS / "everything.toml"), "--data", str(tmp_path / "data"))
    assert ended.returncode == 2
    told = [line for line in ended.stderr.splitlines() if line.startswith("  ")]
    assert len(told) >= len(mistakes) > 20
    for mistake in mistakes:
        assert mistake.replace("everything.toml", str(SETTINGS / "everything.toml")) in ended.stderr
    assert "secret" not in ended.stderr.replace("short-secret", "")
    assert not (tmp_path / "data").exists()


async def test_a_site_that_is_down_gets_a_page_of_ours_and_the_session_is_kept(tmp_path: Path) -> None:
    async with witness() as site:
        with serving(write_config(tmp_path, backend=site.url, capacity=1), tmp_path) as running:
            async with visitors(running.port, 2) as (shopper, other):
                site.shut()
                person = await shopper.navigate("/first")
                assert (person.status, person.header("content-type")) == (502, "text/html; charset=utf-8")
                assert b"The shop cannot be reached at the moment." in person.body
                assert b'http-equiv="refresh"' in person.body
                assert PASS in shopper.cookies
                script = await shopper.fetch("/cart")
                assert (script.status, script.header("content-type")) == (502, "application/problem+json")
                assert json.loads(script.body)["status"] == 502
                order = await shopper.navigate("/order", method="POST")
                assert order.status == 502
                assert b"has not reached the shop" in order.body
                assert site.asked == []

                await site.open()
                pass_ = shopper.cookies[PASS]
                assert on_site(await shopper.navigate("/first"))
                assert shopper.cookies[PASS] == pass_
                assert not on_site(await other.navigate("/"))
                assert site.asked == [("GET", "/first")]
                failures = await counted(running, "waitroom_backend_failures_total", "kind")
                assert sum(failures.values()) == 3


async def test_a_store_that_comes_late_finds_everybody_in_the_order_they_came(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = BreakableStore(tmp_path / "store")
    try:
        async with witness() as site:
            config = write_config(tmp_path, backend=site.url, store=store.url, rate=0)
            with serving(config, tmp_path) as running:
                async with visitors(running.port, 8) as crowd:
                    said = [event for event in running.events() if event["event"] == "store_away"]
                    assert said[0]["doing"] == "waits, and serves provisionally"
                    for visitor in crowd:
                        page = await visitor.navigate("/")
                        assert page.status == 200
                        assert b"Your place is safe" in page.body
                    provisional = [visitor.cookies[QUEUE] for visitor in crowd]

                    store.start()
                    async with asyncio.timeout(60):
                        while (await crowd[0].me())["state"] != "waiting":
                            await asyncio.sleep(0.1)
                    for visitor in reversed(crowd):
                        await visitor.me()
                    states = [await visitor.me() for visitor in crowd]
                    assert [(state["state"], state["position"]) for state in states] == [
                        ("waiting", position) for position in range(1, 9)
                    ]
                    assert all(visitor.cookies[QUEUE] != old for visitor, old in zip(crowd, provisional, strict=True))
                    assert site.asked == []
    finally:
        if store.process is not None:
            store.kill()


HUGE = {
    "a field of 9 kB": ("x: " + "x" * 9_000,),
    "a block of 70 kB": tuple(f"x-{number}: " + "x" * 7_000 for number in range(10)),
    "120 fields": tuple(f"x-{number}: x" for number in range(120)),
    "a cookie of 20 kB": (f"cookie: {QUEUE}=" + "x" * 20_000,),
}
HOSTS = {
    "missing": b"GET / HTTP/1.1\r\n\r\n",
    "missing in HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "repeated": b"GET / HTTP/1.1\r\nhost: shop\r\nhost: shop\r\n\r\n",
    "empty": b"GET / HTTP/1.1\r\nhost:\r\n\r\n",
    "a list": b"GET / HTTP/1.1\r\nhost: a, b\r\n\r\n",
    "a path": b"GET / HTTP/1.1\r\nhost: shop/x\r\n\r\n",
    "with a login": b"GET / HTTP/1.1\r\nhost: me@shop\r\n\r\n",
    "port too high": b"GET / HTTP/1.1\r\nhost: shop:70000\r\n\r\n",
    "not the target's": b"GET http://other/ HTTP/1.1\r\nhost: shop\r\n\r\n",
}


async def test_heads_that_are_too_large_or_not_for_us_are_refused_in_words(tmp_path: Path) -> None:
    async with witness() as site:
        with serving(write_config(tmp_path, backend=site.url, capacity=5), tmp_path) as running:
            port = running.port
            for what, fields in HUGE.items():
                answer = await ask(port, "/", *PERSON, *fields)
                assert answer.status == 431, what
            assert (await ask(port, "/" + "x" * 9_000, *PERSON)).status == 414
            for what, request in HOSTS.items():
                answer = parsed(await send(port, request))
                assert answer.status == 400, what
                assert b"ost" in answer.body
            refused = await counted(running, "waitroom_connections_refused_total", "reason")
            assert refused == {
                "header_line_size": 2, "header_size": 1, "header_fields": 1, "request_line_size": 1,
                "host_missing": 2, "host_repeated": 1, "host_malformed": 5, "host_differs": 1,
            }  # fmt: skip
            assert site.asked == []

            for method, path in (("GET", "me"), ("POST", "join"), ("POST", "leave"), ("GET", "queue.json")):
                answer = await ask(port, f"/.waitroom/nowhere/{path}", *SCRIPT, method=method)
                assert (answer.status, answer.header("content-type")) == (404, "application/problem+json")
                assert json.loads(answer.body)["title"] == "No such room"
            assert (await ask(port, "/.waitroom/nowhere", *PERSON)).status == 404
            assert site.asked == []
            assert on_site(await ask(port, "/", *PERSON))
            assert [event for event in running.events() if event["level"] == "error"] == []


async def trickle(port: int, start: bytes, drop: bytes = b"", *, drops: int = 1_000) -> tuple[Answer, float]:
    """Send a drop each 0.1 s until there is an answer; return it, and how long the connection was open."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)

    async def drip() -> None:
        for _ in range(drops if drop else 0):
            await asyncio.sleep(0.1)
            writer.write(drop)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(10):
            response = await reader.read()
    finally:
        dripping.cancel()
        writer.transport.abort()
    return parsed(response), time.monotonic() - began


async def shop_on(visitor: Visitor, until: asyncio.Future[Any]) -> list[float]:
    """Open a page every 30 ms; return how long each took."""
    took = []
    while not until.done():
        began = time.monotonic()
        assert on_site(await visitor.navigate("/page"))
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.03)
    return took


async def test_slow_and_greedy_clients_are_cut_off_while_others_are_served_at_once(tmp_path: Path) -> None:
    async with witness() as site:
        config = write_config(
            tmp_path, backend=site.url, capacity=5,
            gateway="header_seconds = 1\nbody_grace_seconds = 1\nbody_rate_bytes_per_second = 500",
        )  # fmt: skip
        with serving(config, tmp_path) as running:
            async with visitors(running.port, 1) as (shopper,):
                port = running.port
                assert on_site(await shopper.navigate("/"))
                cookie = f"cookie: {PASS}={shopper.cookies[PASS]}\r\n".encode()
                head = b"GET / HTTP/1.1\r\nhost: shop\r\n"
                upload = (
                    b"POST /upload HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: 1000000\r\n"
                    + cookie
                    + b"\r\n"
                )
                silent = [trickle(port, b"") for _ in range(60)]
                stopped = [trickle(port, head) for _ in range(20)]
                dripping = [trickle(port, head + b"x: ", b"x") for _ in range(20)]
                slow = [trickle(port, upload, b"x" * 10) for _ in range(10)]
                begun = upload.replace(b"1000000", b"3000") + b"x" * 1_000  # two seconds' worth in hand
                steady = trickle(port, begun, b"x" * 100, drops=20)
                greedy = asyncio.gather(*silent, *stopped, *dripping, *slow, steady)
                shopping = asyncio.create_task(shop_on(shopper, greedy))
                *cut, (finished, took_seconds) = await greedy
                assert [answer.status for answer, _ in cut] == [408] * 110
                assert all(0.9 < seconds < 8 for _, seconds in cut), sorted(seconds for _, seconds in cut)
                # One who sends 1,000 bytes a second may take longer than the grace.
                assert on_site(finished)
                assert took_seconds > 1.5

                latencies = sorted(await shopping)
                assert len(latencies) > 5
                assert latencies[len(latencies) // 2] < 0.5, "what holds up the slow ones is a second"
                refused = await counted(running, "waitroom_connections_refused_total", "reason")
                # Whose first bytes come late, since the machine stalled, counts as silent.
                assert refused.keys() == {"first_byte_timeout", "header_timeout", "body_timeout"}
                assert sum(refused.values()) == 110
                assert refused["first_byte_timeout"] >= 60
                assert refused["body_timeout"] <= 10
                assert {target for _, target in site.asked} == {"/", "/page", "/upload"}
                async with asyncio.timeout(30):
                    while len(site.open_connections) > 2:  # uploads that were cut are not left hanging on the site
                        await asyncio.sleep(0.05)
