"""The CAPTCHA before joining: passed once, by one visitor, here and for this; and what happens while its service is away.

The service is a real server on a port of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tests.attack.house import QUEUE, Browser
from tests.attack.test_puzzles import solve, written
from tests.attack.verifier import HOST, SECRET, SITE_KEY, Verifier, of
from tests.gateway.front import FETCH, RecordingMetrics
from tests.proxy.rig import self_signed
from waitroom.errors import ServiceUnavailable
from waitroom.gateway.captcha import AT_ONCE, AWAY_SECONDS, FAILURES_TO_OPEN, Captcha, Outcome, judge
from waitroom.gateway.challenge import Kind
from waitroom.gateway.puzzle import Puzzles
from waitroom.inquiry import LARGEST_ANSWER_BYTES, post_form
from waitroom.logs import Log
from waitroom.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.attack.house import House
    from tests.gateway.front import Front, Reply

pytestmark = pytest.mark.anyio
JOIN = "/.waitroom/sale/join"


@pytest.fixture
def verifier() -> Iterator[Verifier]:
    service = Verifier()
    yield service
    service.close()


async def bring(front: Front, body: Any, **how: Any) -> Reply:
    return await front.ask(JOIN, FETCH, method="POST", body=json.dumps(body).encode(), **how)


def outcomes(front: Front) -> dict[str, int]:
    return {key[1]: count for key, count in front.metrics.told.items() if key[0] == "captcha"}


async def test_without_the_captcha_nobody_new_joins_or_enters_and_passing_it_once_is_enough(
    house: House, verifier: Verifier
) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=100, captcha="always")
    page = await front.ask("/product?id=7")
    assert (page.status, page.cookies) == (200, {})
    assert b"A short check first" in page.body
    assert page.data["captcha"]["site_key"] == SITE_KEY
    asked = await front.ask(JOIN, FETCH, method="POST")
    assert (asked.status, asked.json["state"], asked.json["view"], asked.cookies) == (428, "challenged", "checking", {})
    assert asked.one("content-type") == "application/problem+json"
    assert (asked.json["status"], asked.json["captcha"]["provider"]) == (428, "turnstile")
    assert "send the response to `join` as `captcha`" in asked.json["detail"]
    assert (await front.ask("/api", FETCH)).status == 429, "nor by a script while there is room"
    assert front.site.asked == verifier.asked == []
    counted = await house.store.census("sale")
    assert (counted.waiting, counted.active) == (0, 0)

    verifier.good["r1"] = {}
    joined = await bring(front, {"captcha": "r1"})
    assert (joined.status, joined.json["state"], joined.json["position"]) == (200, "waiting", 1)
    for _ in range(20):
        assert (await bring(front, {"captcha": "r1"})).json["position"] == 1, "one response is one place"
    assert (await house.store.census("sale")).waiting == len(verifier.asked) == 1
    await house.bench.run(house.store, 1, step_seconds=0.1)
    assert await Browser(front, joined.cookies).is_in()
    assert outcomes(front) == {"passed": 1}


async def test_one_response_brought_fifty_times_at_once_is_one_question_and_one_place(
    house: House, verifier: Verifier
) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    verifier.good["r1"] = {}
    replies = await asyncio.gather(*(bring(front, {"captcha": "r1"}) for _ in range(50)))
    assert {(reply.status, reply.json["position"]) for reply in replies} == {(200, 1)}
    assert len({reply.json["short_code"] for reply in replies}) == 1
    assert len(verifier.asked) == 1


@pytest.mark.parametrize(
    ("facts", "response"),
    [
        (None, "r1"),
        ({"hostname": "evil.example"}, "r1"),
        ({"hostname": None}, "r1"),
        ({"hostname": ["shop.example"]}, "r1"),
        ({"action": "login"}, "r1"),
        ({"action": ""}, "r1"),
        ({"action": None}, "r1"),
    ],
)
async def test_what_was_not_passed_here_and_for_this_buys_nothing(
    house: House, verifier: Verifier, facts: dict[str, Any] | None, response: str
) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    if facts is not None:
        verifier.good[response] = facts
    reply = await bring(front, {"captcha": response})
    assert (reply.status, reply.cookies, "captcha" in reply.json, "puzzle" in reply.json) == (428, {}, True, False)
    assert (await bring(front, {"captcha": response})).status == 428
    assert outcomes(front) == {"refused": 2}
    assert (await house.store.census("sale")).waiting == 0


async def test_the_host_is_compared_without_port_and_case_and_may_be_said_otherwise(
    house: House, verifier: Verifier
) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    verifier.good |= {"r1": {"hostname": "SHOP.example"}, "r2": {"action": "sale"}}
    assert (await bring(front, {"captcha": "r1"}, more=(("host", "shop.example:8443"),))).status == 200
    assert (await bring(front, {"captcha": "r2"})).status == 200
    front = await house.open(
        service=verifier.settings(hostnames=("www.shop.example",)), rate=600, capacity=0, captcha="always"
    )
    verifier.good |= {"r3": {"hostname": "www.shop.example"}, "r4": {}}
    assert [(await bring(front, {"captcha": name})).status for name in ("r3", "r4")] == [200, 428]


async def test_a_response_that_was_passed_in_one_room_counts_in_no_other(verifier: Verifier) -> None:
    captcha = Captcha(verifier.settings(), post_form, RecordingMetrics(), Log("test"), lambda: 0.0)
    verifier.good["r1"] = {}
    for room, outcome in (("sale", "passed"), ("vip", "refused"), ("sale", "passed")):
        found = await captcha.check("r1", room=room, host=HOST, address="", new_visitor=lambda: "v" * 22)
        assert found == (outcome, "v" * 22 if outcome == "passed" else "")
    assert len(verifier.asked) == 1


@pytest.mark.parametrize(
    "response", ["", " ", "a b", "r1\r\nX: y", "r\x00", "é", "<script>", "r" * 8_193, "%", "&secret=x"]
)
async def test_what_is_no_response_never_gets_to_the_service(house: House, verifier: Verifier, response: str) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    assert (await bring(front, {"captcha": response})).status == 428
    assert verifier.asked == []


AWAY = {
    "500": of(500, "{}"),
    "429": of(429, '{"success": false}'),
    "moved": of(302, ""),
    "garbage": of(200, "<html>"),
    "no object": of(200, "[true]"),
    "no verdict": of(200, '{"success": "yes", "hostname": "shop.example"}'),
    "deep": of(200, "[" * 20_000),
    "nothing": b"",
    "no HTTP": b"\x00\xff\r\n\r\n",
    "cut": of(200, '{"success": true, "hostname": "shop.example"}')[:-5],
    "huge": of(200, '{"success": true, "hostname": "shop.example", "x": "' + "x" * LARGEST_ANSWER_BYTES + '"}'),
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000,
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "our secret": of(200, '{"success": false, "error-codes": ["invalid-input-secret"]}'),
    "its fault": of(200, '{"success": false, "error-codes": ["internal-error"]}'),
}


@pytest.mark.parametrize("kind", AWAY)
async def test_while_the_service_gives_no_verdict_work_stands_in(house: House, verifier: Verifier, kind: str) -> None:
    """Nobody is locked out, and nobody gets in for nothing; it is counted and logged."""
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    verifier.whole = AWAY[kind]
    reply = await bring(front, {"captcha": "r1"})
    assert (reply.status, reply.json["view"], "captcha" in reply.json, reply.cookies) == (428, "joining", False, {})
    assert (outcomes(front), front.lines) == ({"away": 1}, ["captcha_failed"])
    joined = await bring(front, {"solution": written(solve(reply.json["puzzle"]))})
    assert (joined.status, joined.json["position"]) == (200, 1)


async def test_a_service_that_is_slow_or_gone_is_away(house: House, verifier: Verifier) -> None:
    slow = await house.open(service=verifier.settings(deadline_ms=100), rate=600, capacity=0, captcha="always")
    verifier.go_on.clear()
    assert "puzzle" in (await bring(slow, {"captcha": "r1"})).json
    verifier.close()
    gone = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    assert "puzzle" in (await bring(gone, {"captcha": "r1"})).json
    assert outcomes(slow) == outcomes(gone) == {"away": 1}


async def test_a_service_that_failed_thrice_is_left_alone_for_a_while_and_then_asked_again(
    house: House, verifier: Verifier
) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    verifier.whole = AWAY["500"]
    for number in range(FAILURES_TO_OPEN):
        assert "captcha" in (await front.ask()).data, "one failure shows nobody else the work"
        await bring(front, {"captcha": f"r{number}"})
    assert "puzzle" in (await front.ask()).data
    assert (await bring(front, {"captcha": "r9"})).json["view"] == "joining"
    assert len(verifier.asked) == FAILURES_TO_OPEN
    front.seconds += AWAY_SECONDS
    verifier.whole = None
    verifier.good["r9"] = {}
    assert "captcha" in (await front.ask()).data
    assert (await bring(front, {"captcha": "r9"})).status == 200
    assert front.lines == ["captcha_failed", "captcha_back"]


async def test_where_newcomers_are_to_be_held_nobody_joins_until_the_service_is_back(
    house: House, verifier: Verifier
) -> None:
    front = await house.open(service=verifier.settings(on_loss="hold"), rate=600, capacity=0, captcha="always")
    verifier.whole = AWAY["500"]
    for _ in range(FAILURES_TO_OPEN + 1):
        reply = await bring(front, {"captcha": "r1"})
        assert (reply.status, "captcha" in reply.json, reply.one("retry-after")) == (428, True, "5")
    verifier.whole = None
    verifier.good["r1"] = {}
    assert (await bring(front, {"captcha": "r1"})).status == 200, "the same response, brought again"


async def test_work_does_not_replace_the_captcha_but_where_it_stood_in(house: House, verifier: Verifier) -> None:
    """Not what was done before it was wanted, nor what was done for another room."""
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    puzzles = Puzzles(front.tokens.puzzle_keys, os.urandom)
    now_ms = house.store.now_ms()
    for room, worth, status in (("sale", Kind.WORK, 428), ("vip", Kind.CAPTCHA, 428), ("sale", Kind.CAPTCHA, 200)):
        solution = written(solve(puzzles.make(room, "v" * 22, now_ms, 50, worth)))
        assert (await bring(front, {"solution": solution})).status == status, (room, worth)


async def test_who_passed_it_and_has_to_wait_for_their_network_is_not_asked_again(
    house: House, verifier: Verifier
) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always", joins_per_network=1)
    verifier.good |= {"r1": {}, "r2": {}}
    assert (await bring(front, {"captcha": "r1"})).status == 200
    blocked = await bring(front, {"captcha": "r2"})
    assert (blocked.status, blocked.json["state"]) == (429, "blocked")
    house.bench.pass_seconds(66)
    joined = await bring(front, {"solution": blocked.json["solution"]})
    assert (joined.status, joined.json["position"]) == (200, 2)
    assert len(verifier.asked) == 2


async def test_nobody_with_a_place_is_asked(house: House, verifier: Verifier) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    verifier.good["r1"] = {}
    cookie = f"{QUEUE}={(await bring(front, {'captcha': 'r1'})).cookies[QUEUE]}"
    again = await bring(front, {"captcha": "r2"}, cookie=cookie)
    assert (again.status, again.json["position"], len(verifier.asked)) == (200, 1, 1)
    assert "captcha" not in (await front.ask(cookie=cookie)).data


async def test_the_service_hears_the_secret_and_the_response_and_of_the_visitor_only_what_is_configured(
    house: House, verifier: Verifier
) -> None:
    gateway = GatewaySettings(trusted_proxies=("192.0.2.1",))
    through = (("x-forwarded-for", "198.51.100.7"), ("user-agent", "A browser"), ("cookie", "shop=1"))
    for changes, more in (
        ({}, {}),
        ({"visitor_address": "sent"}, {"remoteip": "198.51.100.7"}),
        ({"provider": "hcaptcha"}, {"sitekey": SITE_KEY}),
    ):
        verifier.good["r1"] = {}
        front = await house.open(
            gateway=gateway, service=verifier.settings(**changes), rate=600, capacity=0, captcha="always"
        )
        assert (await bring(front, {"captcha": "r1"}, more=through)).status == 200
        assert verifier.asked.pop() == {"secret": SECRET, "response": "r1", **more}


async def test_the_secret_and_the_responses_are_in_no_page_answer_or_line_of_the_log(
    house: House, verifier: Verifier
) -> None:
    settings = verifier.settings()
    front = await house.open(service=settings, rate=600, capacity=0, captcha="always")
    replies = [
        await front.ask(),
        await front.ask("/.waitroom/sale/?next=/"),
        await bring(front, {"captcha": "refused-1"}),
    ]
    verifier.whole = AWAY["our secret"]
    replies.append(await bring(front, {"captcha": "refused-2"}))
    told = "".join(str((reply.headers, reply.body)) for reply in replies) + front.written + repr(settings)
    assert SITE_KEY in told
    assert "invalid-input-secret" in told
    assert SECRET not in told
    assert "refused-" not in told


async def test_the_page_is_opened_to_the_service_in_this_state_alone_and_to_nobody_else(
    house: House, verifier: Verifier
) -> None:
    own = "style-src 'nonce-nonce'; script-src 'nonce-nonce'; img-src data:; connect-src 'self'; form-action 'self'"
    there = verifier.origin
    opened = {
        "script-src": f"{there} 'nonce-nonce'", "connect-src": f"{there} 'self'", "frame-src": there,
        "style-src": "'nonce-nonce'", "worker-src": "'self'", "default-src": "'none'", "img-src": "data:",
        "form-action": "'self'", "base-uri": "'none'",
    }  # fmt: skip
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    for target in ("/", "/.waitroom/sale/?next=/&auto=0"):
        page = await front.ask(target)
        policy = dict(part.split(" ", 1) for part in str(page.one("content-security-policy")).split("; "))
        assert policy == opened
        assert page.one("referrer-policy") == "strict-origin", "it is told the site, and no address on it"
    verifier.good["r1"] = {}
    place = (await bring(front, {"captcha": "r1"})).cookies[QUEUE]
    page = await front.ask(cookie=f"{QUEUE}={place}")
    assert page.one("content-security-policy") == f"default-src 'none'; {own}; base-uri 'none'"
    assert there.encode() not in page.body


@pytest.mark.parametrize("provider", ["turnstile", "hcaptcha"])
async def test_each_provider_is_allowed_its_own_origins(house: House, verifier: Verifier, provider: str) -> None:
    settings = verifier.settings(provider=provider, verify_url="", script_url="")
    front = await house.open(service=settings, rate=600, capacity=0, captcha="always")
    page = await front.ask()
    policy = dict(part.split(" ", 1) for part in str(page.one("content-security-policy")).split("; "))
    origins = {
        "turnstile": "https://challenges.cloudflare.com", "hcaptcha": "https://hcaptcha.com https://*.hcaptcha.com",
    }[provider]  # fmt: skip
    assert policy["frame-src"] == origins
    assert policy["script-src"] == f"{origins} 'nonce-nonce'"
    assert (policy["style-src"] == f"{origins} 'nonce-nonce'") == (provider == "hcaptcha")
    assert page.data["captcha"]["script"].startswith("https://")


async def test_who_has_no_scripts_reads_why_and_joins_by_a_link_and_few_may(house: House, verifier: Verifier) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    page = (await front.ask("/product?id=7")).body.decode()
    told = page.partition("<noscript><p")[2].partition("</noscript>")[0]
    link = "/.waitroom/sale/?next=%2Fproduct%3Fid%3D7&plain=1"
    assert "your browser runs no JavaScript" in told
    assert f'<a href="{link}">Get a place</a>' in told
    statuses = [(await front.ask(link)).status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2


async def test_a_room_that_wants_a_captcha_that_is_not_set_up_asks_for_work_and_says_so_once(house: House) -> None:
    front = await house.open(rate=600, capacity=0, captcha="always")
    for _ in range(3):
        asked = await bring(front, {"captcha": "r1"})
        assert (asked.status, asked.json["view"]) == (428, "joining")
    assert front.lines == ["captcha_not_set_up"]
    assert (await bring(front, {"solution": written(solve(asked.json["puzzle"]))})).status == 200


BODIES = [
    b"", b"{", b"[]", b'"x"', b"null", b"[" * 2_000, b'{"captcha": 1}', b'{"captcha": null}', b'{"captcha": {}}', b"\xff",
    b'{"captcha": "' + b"x" * 20_000 + b'"}', b'{"captcha": "\\ud800"}', b'{"captcha": "r1", "solution": 1}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
async def test_no_body_is_more_than_a_refusal(house: House, verifier: Verifier, body: bytes) -> None:
    front = await house.open(service=verifier.settings(), rate=600, capacity=0, captcha="always")
    assert (await front.ask(JOIN, FETCH, method="POST", body=body)).status == 428


async def test_so_many_questions_are_open_at_once_and_no_more(verifier: Verifier) -> None:
    open_, most, full, go_on = 0, 0, asyncio.Event(), asyncio.Event()

    async def post(url: str, form: Mapping[str, str], *, deadline_seconds: float) -> tuple[int, bytes]:
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)
        if open_ == AT_ONCE:
            full.set()
        await go_on.wait()
        open_ -= 1
        return 200, json.dumps({"success": True, "hostname": HOST}).encode()

    captcha = Captcha(verifier.settings(deadline_ms=100), post, RecordingMetrics(), Log("test"), lambda: 0.0)

    async def check(number: int) -> Outcome:
        ask = captcha.check(f"r{number}", room="sale", host=HOST, address="", new_visitor=lambda: f"{number:022}")
        return (await ask)[0]

    first = [asyncio.ensure_future(check(number)) for number in range(AT_ONCE)]
    await asyncio.wait_for(full.wait(), 30)
    assert await check(AT_ONCE) == Outcome.BUSY, "it is not the service that is away"
    assert not captcha.away
    go_on.set()
    assert set(await asyncio.gather(*first)) == {Outcome.PASSED}
    assert most == AT_ONCE
    assert await check(AT_ONCE) == Outcome.PASSED


def test_a_verdict_is_of_the_visitor_or_of_the_service() -> None:
    """No error that a visitor can bring about looks like a failure of the service."""
    for code in ("missing-input-response", "invalid-input-response", "bad-request", "timeout-or-duplicate",
                 "already-seen-response", "sitekey-secret-mismatch", "anything"):  # fmt: skip
        body = json.dumps({"success": False, "error-codes": [code]}).encode()
        assert judge(400, body, {HOST}, "sale").outcome == Outcome.REFUSED, code
    strange: list[Any] = [None, "internal-error", [["internal-error"]], [{}], {}]
    for codes in strange:
        body = json.dumps({"success": False, "error-codes": codes}).encode()
        assert judge(200, body, {HOST}, "sale").outcome == Outcome.REFUSED, codes


@pytest.mark.parametrize("url", [
    "https://", "https://a b/", "https://a;b/", "https://a,b/", "https://a'b/", "https://\u00e9/", "https://a/\n", "https://a:0/", "https://[::1",
    "https://a:b@c/", "https://a/#b", "ftp://a/", "http://a/", "http://10.0.0.1/", "http://127.0.0.1.a/", "a", "//a/", "javascript:b",
])  # fmt: skip
def test_no_address_of_a_service_is_read_by_others_or_adds_to_the_policy(verifier: Verifier, url: str) -> None:
    for name in ("script_url", "verify_url"):
        with pytest.raises(ValidationError):
            verifier.settings(**{name: url})
    for fine in ("https://a.example:8443/b?c=d", "http://localhost/", "http://[::1]:9/"):
        assert verifier.settings(script_url=fine).script_url == fine


async def test_the_service_must_show_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    path, context = await asyncio.to_thread(self_signed, tmp_path)
    service = Verifier(tls=context)
    url = f"https://localhost:{service.port}/siteverify?v=1"
    try:
        with pytest.raises(ServiceUnavailable, match="certificate"):
            await post_form(url, {"secret": SECRET}, deadline_seconds=10)
        assert service.asked == [], "the secret is not sent before"
        trusting = ssl.create_default_context(cafile=path)
        status, body = await post_form(url, {"secret": SECRET, "response": "ä&b"}, deadline_seconds=10, tls=trusting)
        assert (status, json.loads(body)["success"]) == (200, False)
        assert service.asked == [{"secret": SECRET, "response": "ä&b"}]
    finally:
        service.close()
