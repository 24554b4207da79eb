"""What is kept of those who may use the admin listener: the same on every kind of store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from waitroom.domain.access import Account, Role, Session
from waitroom.domain.audit import Author, Deed
from waitroom.store.access import RedisAccessRecords
from waitroom.store.operators import RedisOperatorStore

if TYPE_CHECKING:
    from tests.store.bench import Bench

pytestmark = pytest.mark.anyio

DEED = Deed(Author("dana", "r1"), "account added")


@pytest.fixture
async def records(bench: Bench) -> RedisAccessRecords:
    return RedisAccessRecords(RedisOperatorStore(bench.client, []))


async def test_a_record_is_replaced_only_if_it_is_what_it_was(records: RedisAccessRecords) -> None:
    dana = Account("dana", Role.VIEWER, 1)
    promoted = replace(dana, role=Role.ADMIN)
    assert await records.replace("accounts", "dana", None, dana.as_text(), DEED)
    assert not await records.replace("accounts", "dana", None, promoted.as_text(), None)
    assert not await records.replace("accounts", "dana", promoted.as_text(), None, None)
    assert await records.replace("accounts", "dana", dana.as_text(), promoted.as_text(), None)
    text = await records.one("accounts", "dana")
    assert text is not None
    assert Account.read(text) == promoted
    assert await records.all("accounts") == {"dana": text}
    assert await records.replace("accounts", "dana", text, None, DEED)
    assert await records.one("accounts", "dana") is None


async def test_a_session_is_kept_under_a_digest_until_it_is_closed(records: RedisAccessRecords, bench: Bench) -> None:
    session = Session("dana", 1, 5)
    await records.open_session("the cookie", session, idle_seconds=60)
    assert await records.session("the cookie", idle_seconds=60) == session
    assert await records.session("another", idle_seconds=60) is None
    await records.close_session("the cookie")
    assert await records.session("the cookie", idle_seconds=60) is None


async def test_attempts_are_counted_in_a_window_and_forgiven(records: RedisAccessRecords) -> None:
    counts = [await records.attempt("dana", window_seconds=900) for _ in range(3)]
    assert [count for count, _ in counts] == [1, 2, 3]
    assert all(890 <= left_seconds <= 900 for _, left_seconds in counts)
    assert (await records.attempt("noa", window_seconds=900))[0] == 1
    await records.forgive("dana")
    assert (await records.attempt("dana", window_seconds=900))[0] == 1
