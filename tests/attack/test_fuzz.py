"""Anything at all as tokens, cookies, headers, targets, bodies and script arguments: no 500, nothing in the log but one line."""

from __future__ import annotations

import asyncio
import io
import json
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import hypothesis
import hypothesis.strategies as st
import pytest

from tests.admin.access.house import ORIGIN, TOKEN
from tests.admin.access.house import House as Office
from tests.attack.payloads import MARKUP
from tests.gateway.front import census
from tests.store.bench import Bench
from waitroom import logs
from waitroom.admin.places import BASE, PLACES, in_body, in_path
from waitroom.admin.verbs.table import VERBS
from waitroom.domain.claims import PassClaims, QueueClaims
from waitroom.store.base import Purpose
from waitroom.store.connect import open_client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.attack.house import House
    from tests.gateway.edge import Edge, Serve
    from waitroom.tokens import Tokens

ANY_NUMBER = st.integers(0, 10**17 - 1) | st.integers(1_799_999_000_000_000, 1_800_001_000_000_000) | st.integers(0, 3)
ANY_VISITOR = st.text("ab-_", min_size=16, max_size=17) | st.just("a" * 32)
ANY_GENERATION = st.sampled_from(["", "now", "a" * 32, "-_-", "0"])
PLACE = st.builds(QueueClaims, st.just("sale"), ANY_VISITOR, ANY_NUMBER, ANY_NUMBER, ANY_GENERATION, st.booleans())
PASS = st.builds(PassClaims, st.just("sale"), ANY_VISITOR, ANY_NUMBER, ANY_NUMBER, ANY_GENERATION, st.booleans())
STEPS = st.lists(
    st.tuples(st.just("enter"), st.none() | PLACE, ANY_VISITOR, st.sampled_from(Purpose))
    | st.tuples(st.just("renew"), PASS)
    | st.tuples(st.just("release"), ANY_VISITOR, ANY_GENERATION)
    | st.tuples(st.just("leave"), ANY_VISITOR)
    | st.tuples(st.just("look"), ANY_VISITOR)
    | st.tuples(st.just("pass"), st.sampled_from([0.0, 0.1, 5.0, 3_600.0, 90_000.0])),
    max_size=12,
)
MANY = hypothesis.settings(
    deadline=None, max_examples=120, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def run(valkey_url: str) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Runs coroutines one after another on one event loop."""
    with asyncio.Runner() as runner:
        yield runner.run


def test_no_argument_of_a_script_breaks_it(run: Callable[[Coroutine[Any, Any, None]], None], valkey_url: str) -> None:
    """Whatever a signed token could say, in any order: each call answers, and counts stay counts."""
    benches: list[Bench] = []

    async def begin() -> None:
        benches.append(Bench(open_client(valkey_url, deadline_ms=5_000)))

    async def take(steps: list[tuple[Any, ...]]) -> None:
        bench = benches[0]
        await bench.forget()
        store = bench.gateway(rate=60, capacity=3, burst=2, session_seconds=60, refresh_seconds=5)
        generation = (await store.beat("sale")).generation
        for verb, *facts in steps:
            if verb == "enter":
                claims, visitor, purpose = facts
                if claims is not None and claims.generation == "now":
                    claims = QueueClaims("sale", claims.visitor, claims.score_us, claims.epoch, generation)
                visit = await store.enter("sale", claims.visitor if claims else visitor, claims=claims, purpose=purpose)
                assert visit.position >= 0
                assert visit.score_us >= 0
            elif verb == "renew":
                assert (await store.renew("sale", facts[0])).now_ms * 1000 <= bench.now_us
            elif verb == "release":
                await store.release("sale", facts[0], generation=facts[1])
            elif verb == "leave":
                await store.leave("sale", facts[0])
            elif verb == "look":
                await store.look("sale", facts[0])
            else:
                bench.pass_seconds(facts[0])
            counted = await store.beat("sale")
            assert min(counted.waiting, counted.called, counted.missed, counted.active, counted.reserved) >= 0
        await store.snapshot("sale")

    @MANY
    @hypothesis.given(STEPS)
    def any_steps(steps: list[tuple[Any, ...]]) -> None:
        run(take(steps))

    run(begin())
    any_steps()
    run(benches[0].client.aclose())


SCRAPS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"=", b"%", b"%00", b"%2f", b"%5c", b"..", b"//", b"\xff", b"\xc0\xaf",
    b"\x1b[31m", b"~", b".", b"1~q~sale~", b"1~p~sale~", b"A" * 300, b"9" * 40, b"Waitroom ", b"waitroom-pass-sale=", b"__Host-",
    b"Cookie: ", b"Authorization: Waitroom ", b"Host: evil.example\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"X-Forwarded-For: ::1\r\n", b"X-Forwarded-Proto: https\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Range: bytes=0-",
    b"Accept-Language: " + b"a-" * 99, b"Expect: 100-continue\r\n", b"?lang=", b"&next=", b"{", b'"', b"<", b"\xe2\x80\xa8",
)  # fmt: skip


def requests_of(tokens: Tokens, now_us: int, generation: str) -> list[bytes]:
    """Return honest requests of every kind."""
    place = tokens.sign_queue(QueueClaims("sale", "q" * 22, now_us, 1, generation))
    pass_ = tokens.sign_pass(PassClaims("sale", "p" * 22, now_us // 1000, now_us // 1000 + 60_000, generation))
    lines = (
        "GET / HTTP/1.1", "GET /product?id=7 HTTP/1.1", "POST /cart HTTP/1.1", "GET /.waitroom/sale/me HTTP/1.1",
        "GET /.waitroom/sale/queue.json HTTP/1.1", "POST /.waitroom/sale/join HTTP/1.1", "POST /.waitroom/sale/leave HTTP/1.1",
        "GET /.waitroom/language?to=de&next=/a HTTP/1.1", "GET /.waitroom/sale/preview?token=x&state=waiting HTTP/1.1",
        "HEAD / HTTP/1.1", "OPTIONS / HTTP/1.1", "GET /.waitroom/livez HTTP/1.1", "GET /.waitroom/none/me HTTP/1.1",
    )  # fmt: skip
    fields = ("", f"Cookie: waitroom-queue-sale={place}\r\n", f"Cookie: a=b; waitroom-pass-sale={pass_}\r\n",
              f"Authorization: Waitroom {place}\r\n", "Accept: text/html\r\nReferer: http://shop.example/x\r\n",
              "Origin: http://shop.example\r\nAccess-Control-Request-Method: PUT\r\n")  # fmt: skip
    return [
        f"{line}\r\nHost: shop.example\r\n{more}Accept-Language: de\r\nConnection: close\r\n\r\n".encode()
        for line in lines
        for more in fields
    ]


def spoiled(whole: bytes, chance: Random) -> bytes:
    """Return a request with a few bytes lost, doubled, changed or put in."""
    text = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) or 1)
        match chance.randrange(5):
            case 0:
                text[at:at] = chance.choice(SCRAPS)
            case 1:
                del text[at : at + chance.randint(1, 9)]
            case 2:
                text[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                text[at:at] = text[at : at + chance.randint(1, 60)]
            case _:
                text[at : at + chance.randint(0, 5)] = chance.choice(SCRAPS)
    return bytes(text)


@pytest.mark.anyio
@pytest.mark.parametrize("style", ["json", "text"])
async def test_no_request_ends_in_an_error_or_breaks_a_line_of_the_log(house: House, serve: Serve, style: str) -> None:
    """Honest requests with a few bytes spoiled, through the real protocol, the gate and a real store."""
    written = io.StringIO()
    logs.configure(level="debug", style=style, stream=written)
    front = await house.open(capacity=1, rate=600)
    generation = (await house.store.census("sale")).generation
    front.store.counted = census()
    await front.documents.follow("sale", front.store.counted)
    edge: Edge = await serve(front.gate)
    honest = requests_of(front.tokens, house.bench.now_us, generation)
    chance = Random(6)
    statuses: dict[bytes, int] = {}

    async def send(text: bytes) -> None:
        reader, writer = await edge.connect()
        writer.write(text)
        writer.write_eof()
        status = (await asyncio.wait_for(reader.read(), 10))[9:12]
        statuses[status] = statuses.get(status, 0) + 1
        assert status[:1] != b"5", text
        writer.close()

    try:
        for _ in range(40):
            await asyncio.gather(*(send(spoiled(chance.choice(honest), chance)) for _ in range(50)))
    finally:
        logs.unconfigure()
    assert sum(statuses.values()) == 2_000
    assert {b"200", b"400"} <= set(statuses)
    for line in written.getvalue().split("\n"):
        assert line.isascii()
        assert line.isprintable()
        assert "error" not in line.lower().replace("library", ""), line
        assert not any(secret in line for secret in ("~q~", "~p~", "evil.example", "\x1b"))


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(MARKUP),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def demands(draw: st.DrawFn) -> tuple[str, str, Any, dict[str, Any]]:
    """What a program may ask of the API: a verb's place, or nearly, with arguments of any kind."""
    verb = draw(st.sampled_from(sorted(VERBS)))
    method, path = PLACES[verb]
    for name in in_path(path):
        word = draw(st.sampled_from(["drop", "7F3K-92QD", "..", "%", "a" * 300]) | st.text(min_size=1, max_size=12))
        path = path.replace(f"{{{name}}}", quote(word, safe="", errors="replace"))
    known = {name: draw(ANYTHING) for name in VERBS[verb].arguments.model_fields if draw(st.booleans())}
    body = {**known, "reason": draw(st.text(max_size=9))} if draw(st.booleans()) else draw(ANYTHING)
    query = {} if in_body(method) else {name: str(value).encode("utf-8", "replace") for name, value in known.items()}
    return method, BASE + path, body, query


def test_no_demand_on_the_api_ends_in_an_error(
    run: Callable[[Coroutine[Any, Any, None]], None], valkey_url: str
) -> None:
    """Every verb with arguments of any kind, by somebody who may do everything: answered, refused in words, never a 500."""
    offices: list[Office] = []

    async def begin() -> None:
        offices.append(Office(valkey_url))
        await offices[0].store.seed()

    async def ask(method: str, path: str, body: Any, query: dict[str, Any]) -> None:
        text = json.dumps(body)
        async with offices[0].browser(accept="application/json", authorization=f"Bearer {TOKEN}") as program:
            headers = {"content-type": "application/json"}
            answer = await program.request(method, ORIGIN + path, content=text, params=query or None, headers=headers)
        assert answer.status_code < 500, (method, path, body, query, answer.text)
        assert '"level": "error"' not in offices[0].written.getvalue()

    @MANY
    @hypothesis.given(demands())
    def any_demand(demand: tuple[str, str, Any, dict[str, Any]]) -> None:
        run(ask(*demand))

    run(begin())
    any_demand()
    run(offices[0].store.aclose())
