"""How many newcomers a minute may come from one network: over all gateways, exactly, and by nobody's choice but ours."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.attack.house import QUEUE
from tests.gateway.edge import GET, Serve, all_of, echo
from tests.gateway.front import FETCH
from tests.store.bench import by
from waitroom.gateway.network import network_of
from waitroom.gateway.protocol import ProtocolLimits
from waitroom.gateway.visitor import TrustedProxies, read_headers
from waitroom.settings import GatewaySettings

if TYPE_CHECKING:
    from tests.attack.house import House

pytestmark = pytest.mark.anyio

JOIN, ME = "/.waitroom/sale/join", "/.waitroom/sale/me"
HERE, THERE = "192.0.2.1", "192.0.2.2"


async def test_only_so_many_newcomers_a_minute_come_from_one_network(house: House) -> None:
    """The others are told to wait, and when; who has a place or a pass is never stopped; other networks are not touched."""
    front = await house.open(rate=600, capacity=1, joins_per_network=3)
    shopper, first, second = [await house.someone() for _ in range(3)]
    late = await front.ask()
    assert late.status == 429
    assert b"You cannot join just now" in late.body
    assert 55 <= int(late.one("retry-after") or 0) <= 65
    assert late.cookies == {}
    joined = await front.ask(JOIN, FETCH, method="POST")
    assert (joined.status, joined.json["state"]) == (429, "blocked")
    assert joined.json["poll_after_seconds"] == int(joined.one("retry-after") or 0)
    assert front.outcomes()["blocked"] == 1

    assert await shopper.is_in()
    assert [await first.stands(), await second.stands()] == [("waiting", 1), ("waiting", 2)]
    assert QUEUE in (await front.ask(peer=THERE)).cookies
    house.bench.pass_seconds(66)
    await house.store.beat("sale")
    assert QUEUE in (await front.ask()).cookies
    assert (await house.store.census("sale")).waiting >= 1


async def test_looking_and_what_makes_no_place_is_not_counted(house: House) -> None:
    front = await house.open(rate=600, capacity=1, joins_per_network=2)
    await house.someone()
    for _ in range(5):
        assert (await front.ask(ME, FETCH)).json["state"] == "new"
    await house.someone()
    await house.store.beat("sale")
    for _ in range(5):
        script = await front.ask("/api", FETCH)
        assert (script.status, script.json["state"]) == (429, "new"), "it waits for nothing, so it is not counted"
    assert (await front.ask()).status == 429


async def test_the_limit_is_a_live_setting_and_gone_with_its_mode(house: House) -> None:
    front = await house.open(rate=600, capacity=1, joins_per_network=1)
    await house.someone()
    assert (await front.ask()).status == 429
    await house.store.configure("sale", {"joins_per_network": None}, expected_version=None, author=by("r1"))
    assert (await front.ask()).status == 200


async def test_no_rolling_minute_counts_more_newcomers_than_may_come(house: House) -> None:
    """Two gateways, some thousand tries at random moments: never more than the limit in any 60 s, and soon as many again."""
    await house.open()
    other = house.bench.gateway()
    chance, counted = Random(1), []
    for number in range(1_500):
        house.bench.pass_seconds(chance.random())
        left_ms = await (house.store, other)[number % 2].count_join("sale", "n", most_a_minute=20)
        assert 0 <= left_ms <= 65_000
        if not left_ms:
            counted.append(house.bench.now_us)
    most = max(sum(at <= one < at + 60_000_000 for one in counted) for at in counted)
    assert most == 20
    minutes = (counted[-1] - counted[0]) / 60_000_000
    assert len(counted) > 18 * minutes * 60 / 65
    house.bench.pass_seconds(-7_200)
    assert await house.store.count_join("sale", "n", most_a_minute=1) == 0, "a clock set back starts anew"


async def test_the_store_holds_no_address(house: House) -> None:
    front = await house.open(rate=600, capacity=1, joins_per_network=3)
    await front.ask()
    (key,) = [key for key in await house.bench.keys() if ":joins:" in key]
    assert "192" not in key
    assert len(key.rpartition(":")[2]) == 32
    left_ms: int = await house.bench.admin.command("PTTL", key)
    assert 0 < left_ms <= 65_000


PROXIES = TrustedProxies(GatewaySettings.model_validate({"trusted_proxies": ["10.0.0.0/8"]}).trusted_proxies)


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("192.0.2.1", "", "192.0.2.1/32"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1/32"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9/32"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9/32"),
        ("10.0.0.1", "203.0.113.9, 10.1.1.1", "203.0.113.9/32"),
        ("10.0.0.1", "", ""),
        ("10.0.0.1", "unknown", ""),
        ("10.0.0.1", "203.0.113.9, nonsense", ""),
        ("", "203.0.113.9", ""),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1/32"),
    ],
)
def test_nobody_chooses_the_network_they_are_counted_by(peer: str, forwarded: str, network: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    asked = read_headers(headers, trusted=peer in PROXIES)
    asked.peer = peer
    assert network_of(asked, PROXIES, ipv4_bits=32, ipv6_bits=64) == network


async def test_a_network_has_so_many_connections_and_no_more(serve: Serve) -> None:
    """The next is told so at once; when one ends, another may come; who is not counted is not limited."""
    edge = await serve(echo, ProtocolLimits(connections_per_network=3))
    held = [await edge.connect() for _ in range(3)]
    for _ in range(2):
        assert (await edge.exchange(GET + b"\r\n")).startswith(b"HTTP/1.1 429 ")
    assert edge.refused == ["connections"] * 2
    held[0][1].close()
    while True:  # until the server saw the end
        answer = await edge.exchange(GET + b"Connection: close\r\n\r\n")
        if answer.startswith(b"HTTP/1.1 200 "):
            break
        assert answer.startswith(b"HTTP/1.1 429 ")
    for _, writer in held[1:]:
        writer.write(GET + b"Connection: close\r\n\r\n")
    assert [(await all_of(reader))[:12] for reader, _ in held[1:]] == [b"HTTP/1.1 200"] * 2

    edge = await serve(echo, ProtocolLimits(connections_per_network=1), network_of=lambda address: "")
    held = [await edge.connect() for _ in range(3)]
    assert (await edge.exchange(GET + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


def test_a_network_may_be_wider() -> None:
    asked = read_headers([], trusted=False)
    asked.peer = "192.0.2.77"
    assert network_of(asked, PROXIES, ipv4_bits=24, ipv6_bits=48) == "192.0.2.0/24"
