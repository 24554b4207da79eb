"""Connections are bounded, shared in order, and never lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from typing import TYPE_CHECKING, cast

import pytest

from tests.proxy.rig import PATIENCE_SECONDS, Wire, answer, call, nothing, proxied, request, self_signed
from tests.proxy.stack import site
from waitroom.errors import BackendBusy
from waitroom.proxy import Proxy, ProxyOptions
from waitroom.proxy.connection import BackendConnection
from waitroom.proxy.exchange import Exchange
from waitroom.proxy.failures import Vanished
from waitroom.proxy.headers import RequestRewriter
from waitroom.proxy.observer import Unobserved
from waitroom.proxy.options import parse_origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from waitroom.proxy.pool import ConnectionPool

pytestmark = pytest.mark.anyio


async def test_there_are_never_more_connections_than_the_limit_and_who_waits_is_served_in_order() -> None:
    order: list[bytes] = []
    go = asyncio.Event()

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            order.append(head.split(b" ")[1])
            await go.wait()
            await wire.send(answer(b"ok"))

    async with proxied(script, pool_size=2) as rig:
        pool = rig.proxy.pool
        clients = [await rig.client() for _ in range(20)]
        for number, client in enumerate(clients):
            client.write(request(b"/%d" % number))
            await rig.settled(lambda n=number: len(order) + pool.waiting > n)  # type: ignore[misc]
        assert (pool.slots, pool.waiting, len(rig.backend.wires)) == (2, 18, 2)
        go.set()
        for client in clients:
            assert (await client.head()).startswith(b"HTTP/1.1 200")
        assert (pool.slots, pool.idle, len(rig.backend.wires)) == (2, 2, 2)
        assert rig.facts.waits == 18
    assert order == [b"/%d" % number for number in range(20)]


async def test_who_waits_too_long_gets_503_and_a_time_to_come_back() -> None:
    async def script(wire: Wire) -> None:
        await wire.rest()

    async with proxied(script, pool_size=1, pool_wait_seconds=0.1) as rig:
        first = await rig.client()
        first.write(request())
        await rig.settled(lambda: rig.proxy.pool.slots == 1)
        got = await rig.get()
        assert got.startswith(b"HTTP/1.1 503")
        assert re.search(rb"\r\nretry-after: [456]\r\n", got)
        assert rig.facts.kinds == ["busy"]
        assert rig.proxy.pool.waiting == 0
        assert "1 of 1" in repr(rig.proxy)


LARGE = request(b"/large", b"content-length: 20000", method=b"POST")
SMALL = request(b"/small", b"content-length: 2000", method=b"POST")


async def answer_each(wire: Wire) -> None:
    """Read each request to its end, and answer."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while head := await wire.head():
            if b"chunked" in head:
                await wire.until(b"0\r\n\r\n")
            elif b"content-length: " in head:
                await wire.exactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            await wire.send(answer(b"ok"))


@pytest.mark.parametrize("large", [LARGE, request(b"/large", b"transfer-encoding: chunked", method=b"POST")])
async def test_bodies_on_their_way_never_take_the_last_quarter_of_the_connections(large: bytes) -> None:
    """Others go through at once, however many send slowly and for how long."""
    async with proxied(answer_each, pool_size=4, pool_wait_seconds=60) as rig:
        for _ in range(20):
            (await rig.client()).write(large)
        await rig.settled(lambda: rig.proxy.pool.slots == 3 and len(rig.proxy._live) == 20)
        for method in (b"GET", b"POST"):
            assert (await rig.get(b"/", b"content-length: 0", method=method)).startswith(b"HTTP/1.1 200")
        assert (await rig.ask(SMALL.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + b"x" * 2000)).endswith(
            b"ok"
        )
        assert rig.proxy.pool.slots == 4
        assert rig.proxy.pool.waiting == 0


async def test_the_next_body_sets_out_when_one_has_arrived_or_its_visitor_has_left() -> None:
    async with proxied(answer_each, pool_size=4, pool_wait_seconds=60) as rig:
        clients = [await rig.client() for _ in range(9)]
        for count, client in enumerate(clients, 1):
            client.write(LARGE)
            await rig.settled(lambda n=count: len(rig.proxy._live) == n)  # type: ignore[misc]
        for number, client in enumerate(clients):
            if number % 2:
                client.reset()
            else:
                client.write(b"x" * 20_000)
                assert (await client.head()).startswith(b"HTTP/1.1 200")
        await rig.settled(lambda: not rig.proxy._live)
        assert rig.proxy.pool._uploads._value == rig.proxy.pool.most_uploads


async def test_a_body_that_finds_no_connection_gets_503_in_time() -> None:
    async with proxied(answer_each, pool_size=4, pool_wait_seconds=0.1) as rig:
        for count in range(3):
            (await rig.client()).write(LARGE)
            await rig.settled(lambda n=count: rig.proxy.pool.slots > n)  # type: ignore[misc]
        client = await rig.client()
        client.write(LARGE)
        assert (await client.head()).startswith(b"HTTP/1.1 503")
        assert rig.facts.kinds == ["busy"]
        assert rig.facts.waits == 1


async def test_a_small_body_is_here_before_a_connection_is_taken_for_it() -> None:
    async with proxied(answer_each) as rig:
        client = await rig.client()
        client.write(SMALL)
        for _ in range(4):
            client.write(b"x" * 400)
            await rig.settled(lambda: len(rig.proxy._live) == 1)
            await asyncio.sleep(0.01)
        assert rig.proxy.pool.slots == 0
        client.write(b"x" * 400)
        assert (await client.head()).startswith(b"HTTP/1.1 200")
        assert await client.exactly(2) == b"ok"
        left = await rig.client()
        left.write(SMALL + b"x" * 400)
        await rig.settled(lambda: len(rig.proxy._live) == 1)
        left.reset()
        await rig.settled(lambda: not rig.proxy._live)
        assert len(rig.backend.wires) == 1


async def test_slow_readers_keep_nobody_else_waiting() -> None:
    """Connections that stand still for them are not counted, up to as many again as there may be."""
    size = 64 * 2**20

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            if b"/large" in head:
                await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
                for _ in range(64):
                    await wire.send(b"x" * 2**20)
            else:
                await wire.send(answer(b"ok"))

    async with site(script, pool_size=2, pool_wait_seconds=60) as (stack, backend):
        pool = stack.proxy.pool
        readers = [await stack.client() for _ in range(6)]
        for reader in readers:
            reader.write(request(b"/large", b"connection: close"))
        await settled(lambda: len(backend.wires) == 4 and pool.waiting == 2)
        readers[0].reset()
        readers[1].reset()
        readers[2].reset()
        await settled(lambda: pool.waiting == 0)
        other = await stack.client()
        for _ in range(3):
            other.write(request(b"/"))
            assert (await other.head()).startswith(b"HTTP/1.1 200")
            assert await other.exactly(2) == b"ok"
        assert pool.slots <= 4
        for reader in readers[3:]:
            reader.reset()
        await settled(lambda: pool.slots <= 2)


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_connection_that_ends_makes_room_for_who_waits() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"%d" % wire.number, b"connection: close"))

    async with proxied(script, pool_size=1) as rig:
        got = await asyncio.gather(*(rig.get() for _ in range(5)))
        assert sorted(one[-1:] for one in got) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_connection_idle_too_long_is_closed() -> None:
    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(answer(b"ok"))

    async with proxied(script, idle_timeout_seconds=0.2) as rig:
        await rig.get()
        assert rig.proxy.pool.idle == 1
        await rig.settled(lambda: rig.backend.open == 0)
        await rig.settled(lambda: rig.proxy.pool.slots == 0)
        assert rig.proxy._sweep_timer is None or not rig.proxy.pool.idle


async def test_a_connection_the_backend_closes_while_idle_is_forgotten() -> None:
    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer(b"ok"))

    async with proxied(script) as rig:
        for _ in range(3):
            assert (await rig.get(method=b"POST")).endswith(b"ok")
            await rig.settled(lambda: rig.proxy.pool.slots == 0)
        assert rig.facts.failures == []


async def test_a_repeat_gets_a_new_connection_even_when_all_slots_are_idle() -> None:
    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(answer(b"%d" % wire.number))

    async with proxied(script, pool_size=1) as rig:
        await rig.get()
        fresh = await rig.proxy.pool.acquire(fresh=True)
        assert fresh.uses == 0
        rig.proxy.pool.release(fresh)
        assert rig.proxy.pool.idle == 1, "never used is as good as new"


async def test_cancelled_requests_leave_no_connection_busy() -> None:
    """2,000 requests cancelled at every stage; then every slot is usable."""
    chance = random.Random(1)

    async def script(wire: Wire) -> None:
        while await wire.head():
            await asyncio.sleep(chance.random() / 200)
            await wire.send(answer(b"ok"))

    async with proxied(script, pool_size=20) as rig:
        for _ in range(40):
            tasks = [asyncio.create_task(call(rig.proxy)) for _ in range(50)]
            for task in tasks:
                asyncio.get_running_loop().call_later(chance.random() / 100, task.cancel)
            await asyncio.gather(*tasks, return_exceptions=True)
        pool = rig.proxy.pool
        await rig.settled(lambda: pool.slots == pool.idle)
        assert (pool.waiting, rig.proxy._live) == (0, set())
        got = await asyncio.gather(*(call(rig.proxy) for _ in range(100)))
        assert {sent[0]["status"] for sent in got} == {200}
        assert pool.slots <= 20


async def test_aborted_connections_leave_nothing_behind() -> None:
    async def script(wire: Wire) -> None:
        while await wire.head():
            await asyncio.sleep(0.01)
            await wire.send(answer(b"ok"))

    async with proxied(script, pool_size=10) as rig:
        for _ in range(10):
            clients = [await rig.client() for _ in range(20)]
            for number, client in enumerate(clients):
                client.write(request())
                if number % 3 == 0:
                    client.reset()
            for client in clients:
                client.reset()
        pool = rig.proxy.pool
        await rig.settled(lambda: pool.slots == pool.idle and not rig.proxy._live)
        assert (await rig.get()).endswith(b"ok")


async def test_a_visitor_who_left_while_waiting_takes_no_connection() -> None:
    go = asyncio.Event()

    async def script(wire: Wire) -> None:
        while head := await wire.head():
            assert b"/gone" not in head
            await go.wait()
            await wire.send(answer(b"ok"))

    async with proxied(script, pool_size=1) as rig:
        first = await rig.client()
        first.write(request())
        await rig.settled(lambda: len(rig.backend.wires) == 1)
        second = await rig.client()
        second.write(request(b"/gone"))
        await rig.settled(lambda: rig.proxy.pool.waiting == 1)
        second.close()
        await rig.settled(lambda: any(exchange.gone for exchange in rig.proxy._live))
        go.set()
        await first.head()
        await rig.settled(lambda: ("GET", 499) in rig.facts.finished)
        assert (rig.proxy.pool.slots, rig.proxy.pool.idle) == (1, 1)


async def test_what_is_handed_to_who_has_just_left_goes_to_the_next() -> None:
    async def script(wire: Wire) -> None:
        await wire.rest()

    async with proxied(script, pool_size=1) as rig:
        pool = rig.proxy.pool
        held = await pool.acquire()
        first, second = (asyncio.create_task(pool.acquire()) for _ in range(2))
        await rig.settled(lambda: pool.waiting == 2)
        pool.release(held)
        first.cancel()
        assert await asyncio.wait_for(second, PATIENCE_SECONDS) is held
        third, fourth = (asyncio.create_task(pool.acquire()) for _ in range(2))
        await rig.settled(lambda: pool.waiting == 2)
        pool._ended(held)  # as the loop says when the connection is lost: its slot goes to the third
        third.cancel()
        held.abort()
        connection = await asyncio.wait_for(fourth, PATIENCE_SECONDS)
        assert connection.alive
        pool.release(connection)
        await rig.settled(lambda: pool.slots == 1)


async def test_closing_ends_all_connections_and_turns_away_who_waits() -> None:
    async def script(wire: Wire) -> None:
        await wire.rest()

    async with proxied(script, pool_size=1) as rig:
        pool = rig.proxy.pool
        await pool.acquire()
        waiting = asyncio.create_task(pool.acquire())
        await rig.settled(lambda: pool.waiting == 1)
        await rig.proxy.aclose()
        with pytest.raises(BackendBusy):
            await waiting
        with pytest.raises(BackendBusy):
            await pool.acquire()
        assert pool.slots == 0


async def test_a_new_connection_that_is_dead_on_arrival_is_told() -> None:
    class Stillborn:
        """A pool whose connections have ended before they can be used."""

        def take(self) -> None:
            return None

        async def acquire(self, *, fresh: bool) -> BackendConnection:
            return BackendConnection(asyncio.get_running_loop(), lambda connection: None)

        def release(self, connection: BackendConnection) -> None:
            assert not connection.alive
            assert not connection.nothing_to_read()

    rewriter = RequestRewriter(parse_origin("http://shop.test"), "keep")
    request = rewriter.rewrite("POST", b"/", [], peer=None, scheme="http")
    pool = cast("ConnectionPool", Stillborn())
    exchange = Exchange("POST", request, nothing, nothing, pool, Unobserved(), None)
    with pytest.raises(Vanished):
        await exchange.run()
    assert not exchange.sent


async def test_tls_is_verified(tmp_path: Path) -> None:
    certificate, context = self_signed(tmp_path)

    async def script(wire: Wire) -> None:
        while await wire.head():
            await wire.send(answer(b"secret"))

    async with proxied(script, tls=context) as server:
        url = f"https://localhost:{server.backend.port}"
        outcomes = []
        for options in (
            ProxyOptions(url, ca_file=str(certificate)),
            ProxyOptions(url),
            ProxyOptions(url.replace("localhost", "127.0.0.1"), ca_file=str(certificate)),
            ProxyOptions(url.replace("localhost", "127.0.0.1"), verify=False),
        ):
            proxy = Proxy(options)
            outcomes += [(await call(proxy, method))[0]["status"] for method in ("GET", "POST")]
            await proxy.aclose()
        assert outcomes == [200, 200, 502, 502, 502, 502, 200, 200]


async def test_over_tls_too_the_end_of_the_connection_can_be_the_end_of_the_body(tmp_path: Path) -> None:
    _, context = self_signed(tmp_path)

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with proxied(script, tls=context) as server:
        proxy = Proxy(ProxyOptions(f"https://localhost:{server.backend.port}", verify=False))
        sent = await call(proxy)
        await proxy.aclose()
    assert b"".join(message.get("body", b"") for message in sent) == b"all of it"
    assert sent[-1]["more_body"] is False
