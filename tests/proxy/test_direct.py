"""The direct way, from the visitor's socket to the site's and back, and each place where it is left for the ordinary one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.gateway.front import KEY, NOW_MS, VISITOR, RecordingMetrics, ScriptedStore
from tests.proxy.rig import answer, body_of, fields, request
from tests.proxy.stack import Stack, site, site_app, site_set_out
from waitroom.domain.claims import PassClaims
from waitroom.domain.room import Room
from waitroom.gateway.app import build_gate
from waitroom.gateway.document import Documents
from waitroom.logs import Log, Sink
from waitroom.settings import GatewaySettings, Settings
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.proxy.rig import Backend, Script, Wire
    from waitroom.gateway.gate import Gate
    from waitroom.gateway.protocol import GatewayProtocol

pytestmark = pytest.mark.anyio

ROOM = Room(name="sale")
BIG = b"".join(b"%015d\n" % number for number in range(1_000_000))
WITHIN_SECONDS = 30.0


@contextlib.asynccontextmanager
async def ready(script: Script, gate: Gate | None = None, **options: Any) -> AsyncIterator[tuple[Stack, Backend, Wire]]:
    """A gateway with one idle connection to a script, and one visitor."""
    async with site(script, connections=1, gate=gate, **options) as (stack, backend):
        yield stack, backend, await stack.client()


async def until(condition: Any) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


async def page(wire: Wire) -> None:
    """Answers every request with its target."""
    while (head := await wire.head()).endswith(b"\r\n\r\n"):
        await wire.send(answer(head.split(b" ")[1]))


async def test_a_plain_request_is_answered_without_a_task() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        asked.set()
        await go.wait()
        await wire.send(answer(b"page", b"etag: x"))
        await wire.rest()

    async with ready(script) as (stack, _, client):
        client.write(request(b"/"))
        await asked.wait()
        assert (stack.direct, stack.state.tasks, stack.proxy.pool.idle) == (1, set(), 0)
        go.set()
        assert await client.head() == b"HTTP/1.1 200 OK\r\netag: x\r\ncontent-length: 4\r\n\r\n"
        assert await client.exactly(4) == b"page"
        assert (stack.facts.finished, stack.proxy.pool.idle) == ([("GET", 200)], 1)


async def test_pipelined_requests_go_the_direct_way_one_after_the_other() -> None:
    async with ready(page) as (stack, backend, client):
        client.write(b"".join(request(b"/%d" % number) for number in range(5)))
        for number in range(5):
            await client.head()
            assert await client.exactly(2) == b"/%d" % number
        assert (stack.direct, len(backend.wires)) == (5, 1)


@pytest.mark.parametrize(
    "message",
    [
        request(b"/", method=b"POST"),
        request(b"/", b"content-length: 2", method=b"PUT") + b"ab",
        request(b"/", b"content-length: 0"),
        request(b"/", b"expect: 100-continue"),
    ],
)
async def test_what_is_not_plain_or_not_repeatable_goes_the_ordinary_way(message: bytes) -> None:
    async with ready(page) as (stack, _, client):
        client.write(message)
        await client.head()
        assert await client.exactly(1) == b"/"
        assert stack.direct == 0


async def test_what_must_be_refused_is_refused_by_the_ordinary_way() -> None:
    async with ready(page) as (stack, _, client):
        client.write(request(b"/", method=b"TRACE"))
        assert (await client.head()).startswith(b"HTTP/1.1 405 ")
        assert stack.direct == 0


@pytest.mark.parametrize("lives", [True, False])
async def test_a_connection_that_died_idle_is_replaced_once(*, lives: bool) -> None:
    """The rule of repeating holds: sent twice at most, the second time on a new connection."""
    seen = []

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            seen.append((wire.number, head.split(b" ")[1]))
            if head.startswith(b"GET /dies") and not (lives and wire.number):
                return
            await wire.send(answer(b"ok"))

    async with ready(script) as (stack, _, client):
        client.write(request(b"/first"))
        await client.head()
        await client.exactly(2)
        client.write(request(b"/dies"))
        assert (await client.head()).startswith(b"HTTP/1.1 200 " if lives else b"HTTP/1.1 502 ")
        assert seen == [(0, b"/first"), (0, b"/dies"), (1, b"/dies")]
        assert (stack.direct, stack.facts.repeated) == (2, ["GET"])
        assert stack.facts.finished == [("GET", 200), ("GET", 200 if lives else 502)]


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (b"SSH-2.0\r\n", b"502", "bad_answer"),
        (b"HTTP/1.1 101 Go\r\n\r\n", b"502", "bad_answer"),
        (b"", b"504", "timeout"),
    ],
)
async def test_no_usable_answer_is_told_in_our_words(reply: bytes, status: bytes, kind: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(reply)
        await wire.rest()

    async with ready(script, read_timeout_seconds=0.2) as (stack, _, client):
        client.write(request(b"/"))
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 " + status)
        assert (b"content-type", b"application/problem+json") in fields(head)
        assert (stack.direct, stack.facts.kinds) == (1, [kind])
        assert stack.facts.finished == [("GET", int(status))]


async def test_an_informational_answer_is_no_answer_yet() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await wire.send(answer(b"ok"))
        await wire.rest()

    async with ready(script) as (_, _, client):
        client.write(request(b"/"))
        assert await client.head() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


@pytest.mark.parametrize("framing", [b"content-length: 100", b"transfer-encoding: chunked"])
@pytest.mark.parametrize("silent", [True, False])
async def test_half_an_answer_never_ends_cleanly(framing: bytes, *, silent: bool) -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
        if silent:
            await wire.rest()

    async with ready(script, read_timeout_seconds=0.2) as (stack, _, client):
        client.write(request(b"/"))
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(client.reader.read(-1), WITHIN_SECONDS)
        assert (stack.facts.kinds, stack.facts.finished) == (["broken"], [("GET", 200)])
        await until(lambda: stack.proxy.pool.slots == 0)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_visitor_who_leaves_is_gone_for_the_site_at_once(*, begun: bool) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        if begun:
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        asked.set()
        await wire.rest()
        left.set()

    async with ready(script) as (stack, _, client):
        client.write(request(b"/"))
        await asked.wait()
        if begun:
            await client.until(b"hello")
        client.close()
        await asyncio.wait_for(left.wait(), WITHIN_SECONDS)
        assert (stack.facts.finished, stack.facts.kinds) == ([("GET", 499)], [])
        await until(lambda: stack.proxy.pool.slots == 0)


async def test_a_slow_visitor_slows_the_site_down_and_gets_every_byte() -> None:
    sent = 0

    async def script(wire: Wire) -> None:
        nonlocal sent
        await wire.head()
        wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BIG))
        for at in range(0, len(BIG), 65_536):
            await wire.send(BIG[at : at + 65_536])
            sent = at
        await wire.rest()

    async with ready(script) as (stack, _, client):
        client.write(request(b"/"))
        await client.head()
        before = -1
        async with asyncio.timeout(WITHIN_SECONDS):
            while before < sent:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
        assert sent < len(BIG) - 1_000_000
        assert hashlib.sha256(await client.exactly(len(BIG))).digest() == hashlib.sha256(BIG).digest()
        assert (stack.direct, stack.facts.finished) == (1, [("GET", 200)])


async def test_a_slow_visitor_who_leaves_frees_the_connection() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(BIG))

    async with ready(script) as (stack, _, client):
        client.write(request(b"/"))
        await client.head()
        await until(lambda: any(cast("GatewayProtocol", one).flow.write_paused for one in stack.state.connections))
        client.reset()
        await until(lambda: stack.proxy.pool.slots == 0)
        assert stack.facts.finished == [("GET", 499)]


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("framing", [b"content-length: 100", b"x-until: close"])
async def test_a_proxy_that_stops_breaks_off_what_has_begun(method: bytes, framing: bytes) -> None:
    """Even where the end of the connection is the end of the body, and on the ordinary way as on the direct one."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\nhello")
        await wire.rest()

    async with ready(script) as (stack, _, client):
        client.write(request(b"/", method=method).replace(b"HTTP/1.1", b"HTTP/1.0"))
        await client.until(b"hello")
        await stack.proxy.aclose()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(client.reader.read(-1), WITHIN_SECONDS)
        assert stack.direct == (method == b"GET")


async def test_a_proxy_that_stops_says_so_where_no_answer_has_begun() -> None:
    asked = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.head()
        asked.set()
        await wire.rest()

    async with ready(script) as (stack, _, client):
        client.write(request(b"/"))
        await asked.wait()
        await stack.proxy.aclose()
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")


# Behind the gate


def admitted_gate(store: ScriptedStore) -> tuple[Gate, RecordingMetrics, bytes]:
    """A gate, what it counts, and the cookie of an admitted visitor."""
    metrics, tokens = RecordingMetrics(), Tokens([KEY])
    settings = Settings(gateway=GatewaySettings(), rooms=(ROOM,))
    log = Log("gateway", Sink(io.StringIO(), style="json"))
    gate = build_gate(settings, store, Documents(store), tokens, site_app, metrics, log, site_set_out=site_set_out)
    text = tokens.sign_pass(PassClaims("sale", VISITOR, NOW_MS, NOW_MS + 600_000, "g1"))
    return gate, metrics, b"cookie: a=1; waitroom-pass-sale=" + text.encode()


async def test_an_admitted_visitor_is_introduced_and_nothing_of_ours_goes_through() -> None:
    heads = []

    async def script(wire: Wire) -> None:
        heads.append(await wire.head())
        await wire.send(answer(b"ok", b"waitroom-room: x", b"set-cookie: waitroom-pass-sale=x", b"set-cookie: b=2"))
        await wire.rest()

    gate, metrics, cookie = admitted_gate(ScriptedStore({"sale": ROOM}))
    async with ready(script, gate) as (stack, _, client):
        client.write(request(b"/", cookie, b"waitroom-visitor: forged", b"x-forwarded-for: 1.2.3.4"))
        assert await client.head() == b"HTTP/1.1 200 OK\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\n"
        (head,) = heads
        told = [pair for pair in fields(head) if pair[0].startswith((b"cookie", b"waitroom", b"x-forwarded-for"))]
        assert told == [
            (b"cookie", b"a=1"),
            (b"waitroom-room", b"sale"),
            (b"waitroom-visitor", VISITOR.encode()),
            (b"x-forwarded-for", b"127.0.0.1"),
        ]
        assert (stack.direct, metrics.told) == (1, {("requests", "sale", "fresh"): 1})


async def test_an_answer_that_releases_the_visitor_is_handed_over() -> None:
    """The session ends before the answer goes on, the request is sent once and counted once."""
    heads = []

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            heads.append(head)
            await wire.send(answer(b"thanks", b"waitroom-release: 1"))

    store = ScriptedStore({"sale": ROOM})
    gate, metrics, cookie = admitted_gate(store)
    async with ready(script, gate) as (stack, _, client):
        client.write(request(b"/order", cookie, b"connection: close"))
        got = await client.rest()
        assert body_of(got) == b"thanks"
        cleared = [value for name, value in fields(got) if name == b"set-cookie"]
        assert [value.partition(b";")[0] for value in cleared] == [b"waitroom-queue-sale=", b"waitroom-pass-sale="]
        assert ([call[0] for call in store.calls], len(heads), stack.direct) == (["release"], 1, 1)
        assert metrics.told == {("requests", "sale", "fresh"): 1, ("released", "sale"): 1}
        assert stack.facts.finished == [("GET", 200)]


@pytest.mark.parametrize("path", [b"/.waitroom/livez", b"/%2ewaitroom/livez"])
async def test_what_is_our_own_never_sets_out(path: bytes) -> None:
    gate, _, cookie = admitted_gate(ScriptedStore({"sale": ROOM}))
    async with ready(page, gate) as (stack, _, client):
        client.write(request(path, cookie))
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
        assert stack.direct == 0


async def test_what_was_decided_in_vain_is_not_decided_again() -> None:
    """So a token that is rejected is counted once."""
    gate, metrics, cookie = admitted_gate(ScriptedStore({"sale": ROOM}))
    async with ready(page, gate) as (stack, _, client):
        client.write(request(b"/", cookie + b"A"))
        assert (await client.head()).startswith(b"HTTP/1.1 429 ")
        assert (stack.direct, metrics.told["token_rejected", "malformed"]) == (0, 1)


async def test_without_a_fresh_pass_nobody_sets_out() -> None:
    store = ScriptedStore({"sale": ROOM})
    gate, _, cookie = admitted_gate(store)
    store.clock_ms += 31_000
    async with ready(page, gate) as (stack, _, client):
        client.write(request(b"/", cookie) + request(b"/"))
        assert b"set-cookie: waitroom-pass-sale=" in await client.head()
        await client.exactly(1)
        assert (await client.head()).startswith(b"HTTP/1.1 429 ")
        assert stack.direct == 0
