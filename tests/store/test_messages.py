"""What a shop said, as every gateway reads it from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.bench import START_US, Bench, by

if TYPE_CHECKING:
    from waitroom.store.redis import RedisStore

pytestmark = pytest.mark.anyio
NOON_MS = START_US // 1000


async def say(store: RedisStore, text: str | dict[str, str], request: str) -> None:
    await store.configure("sale", {"message": text}, expected_version=None, author=by(request))


def shown(store: RedisStore, now_ms: int) -> list[tuple[int, str]]:
    return [(message.at_ms, message.text["*"]) for message in store.record("sale").messages_at(now_ms)]


async def test_every_gateway_knows_what_was_said_and_when_after_its_next_beat(bench: Bench) -> None:
    first, second = bench.gateway(), bench.gateway()
    await first.beat("sale")
    await say(first, "Size 38 is sold out.", "a")
    await say(first, "Size 40 is sold out.", "b")
    assert shown(second, NOON_MS) == []
    await second.beat("sale")
    assert shown(second, second.now_ms()) == shown(first, first.now_ms())
    said = shown(second, NOON_MS)
    assert [text for _, text in said] == ["Size 40 is sold out.", "Size 38 is sold out."]
    assert [at_ms for at_ms, _ in said] == pytest.approx([NOON_MS, NOON_MS], abs=500)


async def test_taking_the_message_away_takes_all_of_them(bench: Bench) -> None:
    store = bench.gateway()
    await say(store, "Size 38 is sold out.", "a")
    await say(store, "", "b")
    assert shown(store, store.now_ms()) == []


async def test_a_message_is_shown_until_its_time(bench: Bench) -> None:
    store = bench.gateway(message="Doors open at noon.", message_until="2027-01-15T12:00:00+00:00")
    await store.seed()
    until_ms = store.record("sale").room.message_until_ms
    assert until_ms is not None
    assert shown(store, until_ms - 1) != []
    assert shown(store, until_ms) == []


async def test_what_was_said_outlives_a_lost_memory(bench: Bench) -> None:
    store = bench.gateway()
    await store.beat("sale")
    await say(store, "Size 38 is sold out.", "a")
    before = shown(store, store.now_ms())
    await bench.forget()
    await store.beat("sale")
    other = bench.gateway()
    await other.beat("sale")
    assert shown(other, other.now_ms()) == before != []


async def test_the_files_message_is_said_once(bench: Bench) -> None:
    store = bench.gateway(message={"*": "Welcome", "de": "Willkommen"})
    await store.beat("sale")
    await store.seed()
    before = store.record("sale")
    bench.pass_seconds(60)
    again = bench.gateway(message={"*": "Welcome", "de": "Willkommen"})
    await again.beat("sale")
    await again.seed()
    assert again.record("sale").messages == before.messages != ()
    assert again.record("sale").version == before.version
