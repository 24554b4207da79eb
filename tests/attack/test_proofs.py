"""Tokens in the wrong hands, at the wrong time, twice: none buys a place, a turn or a session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.attack.house import PASS, QUEUE, Browser
from tests.gateway.front import KEY
from tests.store.bench import by
from waitroom.domain.audit import Deed
from waitroom.domain.claims import PassClaims
from waitroom.errors import TokenRejected
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from tests.attack.house import House

pytestmark = pytest.mark.anyio

DEED = Deed(by("r1"), "test")


async def test_a_place_that_was_used_buys_no_second_admission(house: House) -> None:
    """The token of a place, kept aside and shown again after its turn, stands at the end like a newcomer."""
    await house.open(capacity=1, rate=600, session_seconds=60, refresh_seconds=5)
    first = await house.someone()
    second = await house.someone()
    kept = dict(second.jar)
    others = [await house.someone() for _ in range(3)]
    await first.go("/.waitroom/sale/leave", method="POST")
    await house.bench.run(house.store, 2)
    assert await second.is_in()

    again = Browser(house.front, kept)
    assert await again.is_in(), "the same visitor with the same session: one slot, not two"
    assert (await house.store.census("sale")).active == 1
    await second.go("/.waitroom/sale/leave", method="POST")
    await house.bench.run(house.store, 2)
    assert await others[0].is_in()
    assert await Browser(house.front, kept).stands() == ("new", 0), "a look gives nothing"
    thief = Browser(house.front, kept)
    assert not await thief.is_in()
    assert await thief.stands() == ("waiting", 3), "behind all who came before"


async def test_a_place_is_one_place_however_many_show_it(house: House) -> None:
    """A copied cookie is the same visitor: one place, one turn, one session."""
    await house.open(capacity=1, rate=600)
    await house.someone()
    owner = await house.someone()
    copies = [Browser(house.front, owner.jar) for _ in range(20)]
    for copy in copies:
        assert await copy.stands() == ("waiting", 1)
        assert not await copy.is_in()
    census = await house.store.census("sale")
    assert (census.waiting, census.active) == (1, 1)


async def test_a_position_cannot_be_bought_by_joining_again(house: House) -> None:
    """Without its cookie a browser is a newcomer, at the end, each time; with several places, each waits its turn."""
    await house.open(capacity=1, rate=600)
    await house.someone()
    honest = [await house.someone() for _ in range(5)]
    places = []
    for number in range(20):
        greedy = await house.someone()
        places.append(await greedy.stands())
        assert places[-1] == ("waiting", 6 + number)
    assert [await one.stands() for one in honest] == [("waiting", at) for at in range(1, 6)]
    # What it kept of its last place and leaves or throws away makes none of the others better.
    await Browser(house.front, greedy.jar).go("/.waitroom/sale/leave", method="POST")
    assert (await (await house.someone()).stands()) == ("waiting", 25)


async def test_who_never_brings_the_cookie_back_holds_nobody_up(house: House) -> None:
    """A flood of places that nobody comes for is called and forgotten; it never uses a slot."""
    await house.open(capacity=10, rate=6_000, burst=10, claim_seconds=5, session_seconds=600)
    for _ in range(10):
        await house.someone()
    for _ in range(300):
        await house.someone()  # the flood: the cookie is thrown away
    honest = await house.someone()
    for _ in range(10):
        await house.store.release("sale", (await house.active())[0])
    for _ in range(60):
        await house.bench.run(house.store, 1, step_seconds=0.5)
        if (await honest.stands())[0] == "called":
            break
    else:
        pytest.fail("300 absent visitors hold the next one up for more than a minute")
    assert await honest.is_in()


@pytest.mark.parametrize("how", ["revoke", "release", "leave", "reset"])
async def test_what_an_operator_ended_opens_nothing_once_a_pass_must_be_renewed(house: House, how: str) -> None:
    """A pass is honoured without the store while it is fresh, for `refresh_seconds` and no longer; then it is over."""
    await house.open(capacity=1, rate=600, refresh_seconds=5, session_seconds=60)
    shopper = await house.someone()
    waiter = await house.someone()
    visitor = shopper.jar[PASS].split("~")[3]
    if how in {"revoke", "release"}:
        assert await house.store.dismiss("sale", visitor, revoke=how == "revoke", deed=DEED)
    elif how == "leave":
        await Browser(house.front, shopper.jar).go("/.waitroom/sale/leave", method="POST")
    else:
        await house.store.reset("sale", DEED, expected_version=None)
    await house.bench.run(house.store, 6)
    if how == "reset":
        assert (await waiter.stands()) == ("new", 0)
        assert not await waiter.is_in(), "a place of before the reset is a new arrival"
        assert await shopper.is_in(), "a reset empties the queue; who shops goes on shopping"
        return
    thief = Browser(house.front, shopper.jar)
    assert not await thief.is_in()
    assert await waiter.is_in(), "the slot is the next one's"


async def test_revoking_is_of_the_visitor_and_not_of_a_text(house: House) -> None:
    """Whatever other text of the same proof there may be, it is the same visitor, and revoked."""
    await house.open(capacity=1, rate=600, refresh_seconds=5)
    await house.someone()
    waiter = await house.someone()
    text = waiter.jar[QUEUE]
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if letter != text[-1]:
            assert await Browser(house.front, {QUEUE: text[:-1] + letter}).stands() == ("new", 0)
    assert await house.store.dismiss("sale", text.split("~")[3], revoke=True, deed=DEED)
    assert await Browser(house.front, {QUEUE: text}).stands() == ("new", 0)
    renamed = {PASS: text}
    assert await Browser(house.front, renamed).stands() == ("new", 0)


async def test_a_clock_that_is_wrong_gains_nothing(house: House) -> None:
    """Order and ends go by the store's time; what a gateway with a wrong clock signed neither passes nor outlasts."""
    await house.open(capacity=1, rate=600, refresh_seconds=5, session_seconds=60)
    await house.someone()
    waiter = await house.someone()
    tokens = Tokens([KEY])
    now_ms = house.bench.now_us // 1000
    claims = tokens.read_queue(waiter.jar[QUEUE], "sale", now_ms)
    late = tokens.sign_queue(
        claims._replace(visitor="l" * 22, least_position=0, score_us=claims.score_us + 3_600_000_000)
    )
    assert (await Browser(house.front, {QUEUE: late}).stands()) == ("waiting", 2)
    assert (await waiter.stands()) == ("waiting", 1)

    early = claims._replace(visitor="e" * 22, score_us=claims.score_us - 3_600_000_000)
    census = await house.store.census("sale")
    assert early.generation == census.generation
    assert (await Browser(house.front, {QUEUE: tokens.sign_queue(early)}).stands())[0] in {"new", "waiting"}
    forever = PassClaims("sale", "f" * 22, now_ms - 60_000, now_ms + 10**9, census.generation)
    assert not await Browser(house.front, {PASS: tokens.sign_pass(forever)}).is_in(), (
        "a stale pass is the store's to judge"
    )


async def test_a_million_different_texts_fill_no_memory() -> None:
    """What does not verify is not remembered; what does is remembered for so many and no more."""
    tokens, other = Tokens([KEY]), Tokens(["another key of more than thirty-two letters"])
    remembered = tokens._verified.cache_info
    forged = other.sign_pass(PassClaims("sale", "v" * 22, 1, 2, "g"))
    began = time.process_time()
    for number in range(10_000):
        with pytest.raises(TokenRejected):
            tokens.read_pass(f"{forged[:-20]}{number:020}"[: len(forged)], "sale")
    for number in range(10_000):
        with pytest.raises(TokenRejected):
            tokens.read_pass(f"1~p~sale~{number:022}~1~2~g~0{forged[forged.index('.') :]}", "sale")
    assert remembered().currsize == 0
    assert (time.process_time() - began) / 20_000 < 0.001, "a forged text costs far less than a millisecond"
    info = remembered()
    assert info.maxsize is not None
    for number in range(info.maxsize + 500):
        tokens.read_pass(tokens.sign_pass(PassClaims("sale", f"{number:022}", 1, 2, "g")), "sale")
    assert remembered().currsize == info.maxsize
