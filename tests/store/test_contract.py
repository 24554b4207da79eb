"""The promises of the store's verbs, on fakeredis and on every kind of real server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.bench import START_US, Bench, arrive, by, come_back, name, pass_of, token_of
from waitroom.domain.audit import Author, Source
from waitroom.domain.room import Mode
from waitroom.domain.sketch import FRONT, ranks
from waitroom.domain.visit import Answer, Visit
from waitroom.errors import Refused, RoomUnknown, VersionConflict
from waitroom.store.base import Purpose

if TYPE_CHECKING:
    from waitroom.domain.snapshot import Snapshot
    from waitroom.store.redis import RedisStore

pytestmark = pytest.mark.anyio


def at(now_us: int, seconds: float) -> str:
    """The moment `seconds` after `now_us`, as settings write it."""
    return datetime.fromtimestamp(now_us / 1_000_000 + seconds, UTC).isoformat()


async def queue(store: RedisStore, *visitors: str) -> list[Visit]:
    return [await arrive(store, visitor, Purpose.JOIN) for visitor in visitors]


async def test_a_newcomer_enters_at_once_while_there_is_room(bench: Bench) -> None:
    store = bench.gateway(rate=60, capacity=2, session_seconds=300)
    visit = await arrive(store, "ada")
    assert visit.answer is Answer.ADMITTED
    assert visit.now_ms == bench.now_us // 1000
    assert visit.session_end_ms == visit.now_ms + 300_000


async def test_entering_again_is_the_same_session(bench: Bench) -> None:
    store = bench.gateway(capacity=1)
    first = await arrive(store, "ada")
    assert await arrive(store, "ada") == first
    assert (await store.beat("sale")).entries == 1


async def test_capacity_is_never_passed_by_newcomers(bench: Bench) -> None:
    store = bench.gateway(capacity=3)
    answers = [(await arrive(store, f"v{i}")).answer for i in range(5)]
    assert answers == [Answer.ADMITTED] * 3 + [Answer.WAITING] * 2


async def test_the_burst_bounds_how_many_enter_at_once(bench: Bench) -> None:
    store = bench.gateway(rate=600, burst=4)
    answers = [(await arrive(store, f"v{i}")).answer for i in range(6)]
    assert answers == [Answer.ADMITTED] * 4 + [Answer.WAITING] * 2


async def test_without_a_rate_only_capacity_limits(bench: Bench) -> None:
    store = bench.gateway()
    answers = {(await arrive(store, f"v{i}")).answer for i in range(50)}
    assert answers == {Answer.ADMITTED}


async def test_rate_zero_admits_nobody(bench: Bench) -> None:
    store = bench.gateway(rate=0)
    assert (await arrive(store, "ada")).answer is Answer.WAITING
    census = await bench.run(store, 70)
    assert (census.called, census.waiting) == (0, 1)


async def test_no_rolling_minute_holds_more_entries_than_the_rate(bench: Bench) -> None:
    store = bench.gateway(rate=30, burst=30)
    entered: list[int] = []
    for i in range(240):
        if (await arrive(store, f"v{i}", Purpose.DIRECT)).answer is Answer.ADMITTED:
            entered.append(bench.now_us)
        bench.pass_seconds(0.9)
        await store.beat("sale")
    busiest = max(sum(1 for other in entered if at <= other < at + 60_000_000) for at in entered)
    assert busiest <= 30
    assert len(entered) > 80


async def test_calls_follow_the_rate_evenly_while_somebody_waits(bench: Bench) -> None:
    store = bench.gateway(rate=600, burst=1)
    await arrive(store, "first")
    await queue(store, *(f"v{i}" for i in range(40)))
    census = await bench.run(store, 2, step_seconds=0.1)
    assert census.called_total == 20


async def test_a_small_burst_does_not_slow_the_calls(bench: Bench) -> None:
    store = bench.gateway(rate=6_000, burst=1)
    await queue(store, *(f"v{i}" for i in range(150)))
    census = await bench.run(store, 1, step_seconds=0.1)
    assert census.called_total >= 100


async def test_calls_follow_arrival_exactly(bench: Bench) -> None:
    store = bench.gateway(rate=600, burst=1)
    await arrive(store, "first")
    visits = await queue(store, *(f"v{i}" for i in range(30)))
    assert [visit.position for visit in visits] == list(range(1, 31))
    await bench.run(store, 1, step_seconds=0.1)
    states = [(await come_back(store, token_of(visit), Purpose.LOOK)).answer for visit in visits]
    assert states == [Answer.CALLED] * 10 + [Answer.WAITING] * 20


async def test_scores_are_strictly_increasing_even_in_the_same_microsecond(bench: Bench) -> None:
    store = bench.gateway(rate=0)
    scores = [visit.score_us for visit in await queue(store, *"abcdef")]
    assert scores == [bench.now_us + i for i in range(6)]


async def test_a_newcomer_does_not_pass_those_who_wait(bench: Bench) -> None:
    store = bench.gateway(rate=6000, capacity=1)
    inside = await arrive(store, "inside")
    await arrive(store, "first")
    await store.release("sale", inside.visitor)
    assert (await arrive(store, "late")).answer is Answer.WAITING


async def test_a_newcomer_does_not_take_a_slot_promised_to_a_called_visitor(bench: Bench) -> None:
    store = bench.gateway(rate=6000, capacity=1)
    inside = await arrive(store, "inside")
    first = await arrive(store, "first")
    await store.release("sale", inside.visitor)
    await bench.run(store, 0.2, step_seconds=0.1)
    assert (await arrive(store, "late")).answer is Answer.WAITING
    assert (await come_back(store, token_of(first))).answer is Answer.ADMITTED


async def test_a_newcomer_does_not_take_the_part_of_the_rate_promised_to_a_called_visitor(bench: Bench) -> None:
    store = bench.gateway(rate=2, burst=2, claim_seconds=300)
    await queue(store, "called")
    await bench.run(store, 31)
    assert (await arrive(store, "first", Purpose.DIRECT)).answer is Answer.ADMITTED
    await bench.run(store, 31)
    assert (await arrive(store, "late", Purpose.DIRECT)).answer is Answer.REFUSED
    assert (await arrive(store, "called")).answer is Answer.ADMITTED


async def test_a_freed_slot_is_offered_within_one_beat(bench: Bench) -> None:
    store = bench.gateway(capacity=1)
    inside = await arrive(store, "inside")
    waiting = await arrive(store, "next")
    await store.beat("sale")
    await store.release("sale", inside.visitor)
    bench.pass_seconds(0.1)
    await store.beat("sale")
    assert (await come_back(store, token_of(waiting), Purpose.LOOK)).answer is Answer.CALLED


async def test_joining_and_looking_never_use_up_a_turn(bench: Bench) -> None:
    store = bench.gateway(capacity=1)
    place = await arrive(store, "ada", Purpose.JOIN)
    assert place.answer is Answer.WAITING
    census = await bench.run(store, 0.2, step_seconds=0.1)
    assert (census.called, census.active) == (1, 0)
    for purpose in (Purpose.LOOK, Purpose.JOIN):
        assert (await come_back(store, token_of(place), purpose)).answer is Answer.CALLED
    assert (await bench.run(store, 1)).active == 0


async def test_looking_does_not_prolong_a_turn(bench: Bench) -> None:
    store = bench.gateway(capacity=1, claim_seconds=10)
    place = await arrive(store, "ada", Purpose.JOIN)
    await bench.run(store, 4)
    for purpose in (Purpose.LOOK, Purpose.JOIN):
        assert (await come_back(store, token_of(place), purpose)).left_ms == 6_000


async def test_looking_makes_no_place(bench: Bench) -> None:
    store = bench.gateway(rate=0)
    assert (await arrive(store, "ada", Purpose.LOOK)).answer is Answer.REFUSED
    assert (await store.beat("sale")).waiting == 0


async def test_a_request_that_is_no_navigation_makes_no_place(bench: Bench) -> None:
    store = bench.gateway(rate=0)
    assert (await arrive(store, "script", Purpose.DIRECT)).answer is Answer.REFUSED
    assert (await store.beat("sale")).waiting == 0


async def test_only_the_first_beat_in_100_ms_does_the_work(bench: Bench) -> None:
    one, two = bench.gateway(capacity=1), bench.gateway(capacity=1)
    inside = await arrive(one, "inside")
    await arrive(one, "next")
    await one.beat("sale")
    await one.release("sale", inside.visitor)
    assert (await two.beat("sale")).called == 0
    bench.pass_seconds(0.1)
    assert (await two.beat("sale")).called == 1


async def test_whoever_enters_at_their_turn_hears_how_long_it_would_still_have_been_held(bench: Bench) -> None:
    store = bench.gateway(capacity=1, claim_seconds=10)
    (place,) = await queue(store, "ada")
    await store.beat("sale")
    await bench.run(store, 3.5, step_seconds=0.5)
    visit = await come_back(store, token_of(place))
    assert (visit.answer, visit.left_ms) == (Answer.ADMITTED, 6_500)
    assert (await come_back(store, token_of(place))).left_ms == 0


async def test_a_called_visitor_who_finds_the_room_full_stays_called(bench: Bench) -> None:
    store = bench.gateway(rate=600, capacity=1, claim_seconds=10)
    inside = await arrive(store, "inside")
    waiting = await arrive(store, "next")
    await store.release("sale", inside.visitor)
    await bench.run(store, 0.2, step_seconds=0.1)
    record = store.record("sale")
    await store.configure("sale", {"capacity": 0}, expected_version=record.version, author=by("full"))
    await bench.run(store, 8)
    visit = await come_back(store, token_of(waiting))
    assert (visit.answer, visit.left_ms) == (Answer.CALLED, 10_000)
    await store.configure("sale", {"capacity": 1}, expected_version=None, author=by("room"))
    assert (await come_back(store, token_of(waiting))).answer is Answer.ADMITTED


class TestMissed:
    async def turn_missed(self, bench: Bench, **room: int) -> tuple[RedisStore, list[Visit]]:
        store = bench.gateway(**{"capacity": 1, "claim_seconds": 10, "hold_minutes": 1} | room)
        inside = await arrive(store, "inside")
        visits = await queue(store, "absent", "second", "third")
        await store.release("sale", inside.visitor)
        await bench.run(store, 0.2, step_seconds=0.1)
        return store, visits

    async def test_a_missed_turn_frees_the_slot_for_the_next(self, bench: Bench) -> None:
        store, (_, second, _) = await self.turn_missed(bench)
        census = await bench.run(store, 11)
        assert (census.missed, census.missed_total, census.called) == (1, 1, 1)
        assert (await come_back(store, token_of(second), Purpose.LOOK)).answer is Answer.CALLED

    async def test_whoever_missed_a_turn_comes_back_to_the_front(self, bench: Bench) -> None:
        store, (absent, _, third) = await self.turn_missed(bench)
        await bench.run(store, 11)
        visit = await come_back(store, token_of(absent))
        assert (visit.answer, visit.position, visit.score_us) == (Answer.WAITING, 1, absent.score_us)
        assert (await come_back(store, token_of(third))).position == 2

    async def test_a_kept_place_is_forgotten_after_the_hold(self, bench: Bench) -> None:
        store, (absent, _, third) = await self.turn_missed(bench)
        census = await bench.run(store, 75)
        # All three were called in turn and stayed away; the first has been forgotten by now.
        assert (census.missed_total, census.missed) == (3, 2)
        await queue(store, "newcomer")
        assert (await come_back(store, token_of(absent), Purpose.LOOK)).answer is Answer.REFUSED
        visit = await come_back(store, token_of(absent), Purpose.JOIN)
        assert visit.score_us > third.score_us

    async def test_who_only_looks_stays_away_and_hears_how_long_the_place_is_kept(self, bench: Bench) -> None:
        store, (absent, *_) = await self.turn_missed(bench)
        # Called at 0.1 s for 10 s, so missed at the beat of 11.2 s, and kept for a minute.
        await bench.run(store, 11)
        for after_seconds in (0, 20):
            await bench.run(store, after_seconds)
            visit = await come_back(store, token_of(absent), Purpose.LOOK)
            assert (visit.answer, visit.score_us) == (Answer.MISSED, absent.score_us)
            assert visit.left_ms == pytest.approx(60_000 - after_seconds * 1000, abs=1_000)
        assert (await store.census("sale")).returned_total == 0

    async def test_joining_brings_a_missed_turn_back_without_entering(self, bench: Bench) -> None:
        store, (absent, *_) = await self.turn_missed(bench, capacity=2)
        await bench.run(store, 11)
        visit = await come_back(store, token_of(absent), Purpose.JOIN)
        assert (visit.answer, visit.position) == (Answer.WAITING, 1)

    async def test_many_absent_visitors_do_not_leave_slots_idle(self, bench: Bench) -> None:
        store = bench.gateway(capacity=10, claim_seconds=5, session_seconds=3600, hold_minutes=30)
        await queue(store, *(f"v{i}" for i in range(400)))
        census = await bench.run(store, 18, step_seconds=0.5)
        assert census.missed_share > 0.7
        # Ten slots are offered to many more, since so few come.
        assert census.called > 20


class TestModes:
    async def test_paused_nobody_enters_or_is_called_and_claims_stand_still(self, bench: Bench) -> None:
        store = bench.gateway(capacity=2, claim_seconds=10)
        inside = await arrive(store, "inside")
        await queue(store, "called")
        await bench.run(store, 0.2, step_seconds=0.1)
        called = await arrive(store, "called", Purpose.LOOK)
        assert called.answer is Answer.CALLED
        await store.configure("sale", {"mode": "paused"}, expected_version=None, author=by("pause"))
        assert (await arrive(store, "new")).answer is Answer.WAITING
        census = await bench.run(store, 60)
        assert (census.mode, census.called, census.missed, census.waiting) == (Mode.PAUSED, 1, 0, 1)
        assert (await arrive(store, "called")).answer is Answer.CALLED
        assert (await store.renew("sale", pass_of(inside))).active
        await store.configure("sale", {"mode": "on"}, expected_version=None, author=by("resume"))
        assert (await come_back(store, token_of(called))).answer is Answer.ADMITTED

    async def test_before_it_opens_a_room_gives_places_and_admits_nobody(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5, opens_at=at(START_US, 60))
        assert [visit.position for visit in [await arrive(store, "ada"), await arrive(store, "bob")]] == [1, 2]
        census = await bench.run(store, 59.9)
        assert (census.mode, census.waiting, census.called) == (Mode.PAUSED, 2, 0)

    async def test_a_room_opens_within_a_beat_of_its_time(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5, opens_at=at(START_US, 60))
        first = await arrive(store, "ada")
        await bench.run(store, 60, step_seconds=0.1)
        assert (await store.census("sale")).called == 1
        assert (await come_back(store, token_of(first))).answer is Answer.ADMITTED
        assert (await store.census("sale")).mode is Mode.ON

    async def test_claims_stand_still_until_a_room_opens(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, claim_seconds=10)
        place = await arrive(store, "ada", Purpose.JOIN)
        await bench.run(store, 4)
        opens_at = at(bench.now_us, 30.5)
        await store.configure("sale", {"opens_at": opens_at}, expected_version=None, author=by("later"))
        assert (await come_back(store, token_of(place))).answer is Answer.CALLED
        await bench.run(store, 30)
        assert (await come_back(store, token_of(place), Purpose.LOOK)).left_ms == 10_000
        await bench.run(store, 1)
        assert (await come_back(store, token_of(place), Purpose.LOOK)).left_ms == 9_500

    async def test_a_paused_room_stays_paused_and_an_open_one_open_whatever_the_moment(self, bench: Bench) -> None:
        paused = bench.gateway(mode="paused", opens_at=at(START_US, 5))
        assert (await bench.run(paused, 10)).mode is Mode.PAUSED
        opened = bench.gateway(mode="off", opens_at=at(bench.now_us, 60))
        await opened.seed()
        assert (await arrive(opened, "ada")).answer is Answer.OFF

    async def test_closed_nobody_joins_or_enters_and_the_active_shop_on(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5)
        inside = await arrive(store, "inside")
        await queue(store, "waiting")
        await store.configure("sale", {"mode": "closed"}, expected_version=None, author=by("close"))
        assert (await arrive(store, "new")).answer is Answer.CLOSED
        assert (await arrive(store, "waiting")).answer is Answer.CLOSED
        assert (await arrive(store, "inside")).answer is Answer.ADMITTED
        assert (await store.renew("sale", pass_of(inside))).active
        assert (await bench.run(store, 2)).called == 0

    async def test_off_everyone_passes(self, bench: Bench) -> None:
        store = bench.gateway(rate=0, mode="off")
        assert (await arrive(store, "ada")).answer is Answer.OFF
        assert (await store.beat("sale")).active == 0


class TestSessions:
    async def test_a_sliding_session_lasts_as_long_as_it_is_renewed(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=60)
        visit = await arrive(store, "ada")
        for _ in range(5):
            await bench.run(store, 50)
            renewal = await store.renew("sale", pass_of(visit))
            assert renewal.active
            assert renewal.session_end_ms == renewal.now_ms + 60_000
        await bench.run(store, 61)
        assert not (await store.renew("sale", pass_of(visit))).active

    async def test_a_fixed_session_ends_when_it_said(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=60, renew="fixed")
        visit = await arrive(store, "ada")
        await bench.run(store, 50)
        renewal = await store.renew("sale", pass_of(visit))
        assert (renewal.active, renewal.session_end_ms) == (True, visit.session_end_ms)
        await bench.run(store, 11)
        assert not (await store.renew("sale", pass_of(visit))).active

    async def test_an_ended_session_frees_its_slot(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=30)
        await arrive(store, "ada")
        assert (await arrive(store, "bob")).answer is Answer.WAITING
        census = await bench.run(store, 31)
        assert (census.active, census.called, census.ended_total) == (0, 1, 1)

    async def test_a_released_session_frees_its_slot_once(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1)
        visit = await arrive(store, "ada")
        assert await store.release("sale", visit.visitor)
        assert not await store.release("sale", visit.visitor)
        assert not (await store.renew("sale", pass_of(visit))).active
        assert (await arrive(store, "bob")).answer is Answer.ADMITTED


class TestLeaving:
    async def test_whoever_leaves_is_no_longer_in_the_way(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        first, second = await queue(store, "first", "second")
        assert await store.leave("sale", first.visitor)
        assert not await store.leave("sale", first.visitor)
        assert (await come_back(store, token_of(second))).position == 1

    async def test_a_called_visitor_who_leaves_gives_the_slot_and_the_pace_back(self, bench: Bench) -> None:
        store = bench.gateway(rate=60, burst=1, capacity=1)
        inside = await arrive(store, "inside")
        first, second = await queue(store, "first", "second")
        await store.release("sale", inside.visitor)
        await bench.run(store, 1)
        assert await store.leave("sale", first.visitor)
        await bench.run(store, 0.2, step_seconds=0.1)
        assert (await come_back(store, token_of(second), Purpose.LOOK)).answer is Answer.CALLED


class TestTokens:
    async def test_a_place_that_the_store_lost_is_put_back_by_its_token(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        _, second, _ = await queue(store, "first", "second", "third")
        await bench.admin.command("ZREM", "waitroom:{sale}:queue", second.visitor)
        visit = await come_back(store, token_of(second))
        assert (visit.position, visit.score_us) == (2, second.score_us)

    async def test_a_used_token_is_a_new_arrival(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=30)
        (first,) = await queue(store, "first")
        await bench.run(store, 0.2, step_seconds=0.1)
        assert (await come_back(store, token_of(first))).answer is Answer.ADMITTED
        await queue(store, "second")
        await store.release("sale", first.visitor)
        visit = await come_back(store, token_of(first))
        assert (visit.answer, visit.position) == (Answer.WAITING, 2)

    async def test_a_token_of_an_older_epoch_is_a_new_arrival(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        (first,) = await queue(store, "first")
        visit = await come_back(store, token_of(first, visitor=name("other"), epoch=0))
        assert visit.position == 2

    async def test_a_provisional_place_is_put_in_by_its_time_once(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=3600)
        await arrive(store, "inside")
        (later,) = await queue(store, "later")
        provisional = token_of(
            later, visitor=name("earlier"), score_us=later.score_us - 5_000_000, generation="", provisional=True
        )
        visit = await come_back(store, provisional)
        assert (visit.position, visit.score_us) == (1, provisional.score_us)
        assert (await come_back(store, provisional)).position == 1
        await store.leave("sale", provisional.visitor)
        assert (await come_back(store, provisional)).position == 2

    async def test_each_provisional_place_of_a_visitor_is_put_in_by_its_time_once(self, bench: Bench) -> None:
        """The store was away twice in a day, and a pass of long ago told who it is."""
        store = bench.gateway(rate=0)
        (other,) = await queue(store, "other")
        first = token_of(
            other, visitor=name("twice"), score_us=other.score_us - 9_000_000, generation="", provisional=True
        )
        second = first._replace(score_us=other.score_us - 5_000_000)
        for told in (first, second):
            visit = await come_back(store, told)
            assert (visit.position, visit.score_us) == (1, told.score_us)
            await store.leave("sale", told.visitor)
        for spent in (first, second):
            assert (await come_back(store, spent)).position == 2
            await store.leave("sale", spent.visitor)

    async def test_a_join_carried_out_late_does_not_cost_the_place_that_was_told_meanwhile(self, bench: Bench) -> None:
        """The store was away: the gateway gave the call up and told a place of its own; the call was done all the same."""
        store = bench.gateway(capacity=1, session_seconds=3600)
        await arrive(store, "inside")
        other, late = await queue(store, "other", "late")
        told = token_of(late, score_us=other.score_us - 5_000_000, generation="", provisional=True)
        visit = await come_back(store, told)
        assert (visit.position, visit.score_us) == (1, told.score_us)
        earlier = token_of(late, score_us=told.score_us - 5_000_000, generation="", provisional=True)
        assert (await come_back(store, earlier)).score_us == told.score_us, "once"
        after = token_of(other, score_us=other.score_us + 5_000_000, generation="", provisional=True)
        assert (await come_back(store, after)).score_us == other.score_us, "never back"

    async def test_joining_fifty_times_at_once_is_one_place(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        visits = await asyncio.gather(*(arrive(store, "ada") for _ in range(50)))
        assert len(set(visits)) == 1
        assert (await store.beat("sale")).waiting == 1


class TestLostMemory:
    async def test_all_places_come_back_in_the_old_order(self, bench: Bench) -> None:
        store = bench.gateway(rate=60, burst=1, refresh_seconds=10)
        await arrive(store, "inside")
        visits = await queue(store, *(f"v{i}" for i in range(20)))
        await bench.run(store, 5)
        await bench.forget()
        back = [await come_back(store, token_of(visit), Purpose.LOOK) for visit in reversed(visits)]
        assert {visit.generation for visit in back} != {visits[0].generation}
        positions = [(await come_back(store, token_of(visit), Purpose.LOOK)).position for visit in visits]
        assert positions == list(range(1, 21))

    async def test_a_turn_forgotten_before_it_was_taken_comes_again_before_all_who_stood_behind(
        self, bench: Bench
    ) -> None:
        store = bench.gateway(capacity=2, refresh_seconds=1, session_seconds=100)
        await arrive(store, "inside")
        leaving = await arrive(store, "leaving")
        first, *behind = await queue(store, "first", "second", "third")
        await store.release("sale", leaving.visitor)
        census = await bench.run(store, 0.2, step_seconds=0.1)
        assert (census.called, census.waiting) == (1, 2)
        await bench.forget()
        for visit in (*behind, first):
            back = await come_back(store, token_of(visit), Purpose.LOOK)
            assert (back.answer, back.score_us) == (Answer.WAITING, visit.score_us)
        census = await bench.run(store, 8)
        assert (census.called, census.waiting) == (1, 2)
        assert (await come_back(store, token_of(first), Purpose.LOOK)).answer is Answer.CALLED

    async def test_nobody_new_is_let_in_until_live_sessions_had_time_to_come_back(self, bench: Bench) -> None:
        store = bench.gateway(capacity=2, refresh_seconds=10, session_seconds=100)
        inside = [await arrive(store, "ada"), await arrive(store, "bob")]
        await bench.run(store, 3)
        await bench.forget()
        assert (await arrive(store, "new")).answer is Answer.WAITING
        census = await store.beat("sale")
        assert (census.recovering_ms, census.reserved) == (15_000, 2)
        assert (await store.renew("sale", pass_of(inside[0]))).active
        census = await bench.run(store, 20)
        # The other one reads a page and has not asked yet: their slot is still theirs.
        assert (census.recovering_ms, census.active, census.reserved, census.called) == (0, 1, 1, 0)
        assert (await store.renew("sale", pass_of(inside[1]))).active
        assert (await store.beat("sale")).active == 2

    async def test_slots_of_sessions_that_never_come_back_are_free_when_they_must_have_ended(
        self, bench: Bench
    ) -> None:
        store = bench.gateway(capacity=1, refresh_seconds=10, session_seconds=100)
        await arrive(store, "ada")
        await store.beat("sale")
        await bench.forget()
        await arrive(store, "new")
        census = await bench.run(store, 99)
        assert (census.called, census.reserved) == (0, 1)
        census = await bench.run(store, 2)
        assert (census.called, census.reserved) == (1, 0)

    async def test_a_newcomer_does_not_take_a_slot_reserved_for_a_session_that_may_come_back(
        self, bench: Bench
    ) -> None:
        store = bench.gateway(capacity=1, refresh_seconds=10, session_seconds=100)
        inside = await arrive(store, "ada")
        await bench.run(store, 1)
        await bench.forget()
        await bench.run(store, 20)
        assert (await arrive(store, "new", Purpose.DIRECT)).answer is Answer.REFUSED
        assert (await store.renew("sale", pass_of(inside))).active

    async def test_entries_of_before_the_loss_still_count(self, bench: Bench) -> None:
        store = bench.gateway(rate=10, burst=10, refresh_seconds=1, session_seconds=300)
        for i in range(8):
            await arrive(store, f"v{i}")
        await bench.forget()
        assert (await store.beat("sale")).entries == 8
        await bench.run(store, 10)
        answers = [(await arrive(store, f"w{i}", Purpose.DIRECT)).answer for i in range(4)]
        assert answers.count(Answer.ADMITTED) <= 2

    async def test_live_changes_survive(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        await store.seed()
        await store.configure("sale", {"rate": 77}, expected_version=1, author=by("change"))
        await bench.forget()
        await store.beat("sale")
        assert (await bench.admin.command("HGET", "waitroom:{sale}:config", "rate")) == b"77"
        assert (store.record("sale").version, store.record("sale").room.rate) == (2, 77)

    async def test_a_session_that_ended_before_the_loss_does_not_come_back(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5, session_seconds=30, refresh_seconds=5)
        visit = await arrive(store, "ada")
        await bench.run(store, 40)
        await bench.forget()
        await store.beat("sale")
        assert not (await store.renew("sale", pass_of(visit))).active

    async def test_a_session_released_after_the_loss_does_not_come_back(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=300, refresh_seconds=5)
        visit = await arrive(store, "ada")
        await store.beat("sale")
        await bench.forget()
        await store.beat("sale")
        assert await store.release("sale", visit.visitor, generation=visit.generation)
        assert not (await store.renew("sale", pass_of(visit))).active
        assert (await store.beat("sale")).reserved == 0

    async def test_an_old_token_buys_the_front_only_once(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, refresh_seconds=1, session_seconds=30)
        (first,) = await queue(store, "first")
        await bench.forget()
        await come_back(store, token_of(first), Purpose.LOOK)
        await bench.run(store, 8)
        assert (await come_back(store, token_of(first))).answer is Answer.ADMITTED
        await queue(store, "second")
        await store.release("sale", first.visitor)
        assert (await come_back(store, token_of(first))).position == 2

    async def test_a_first_start_is_not_a_loss(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1)
        assert (await store.beat("sale")).recovering_ms == 0
        assert (await arrive(store, "ada")).answer is Answer.ADMITTED

    async def test_a_fresh_gateway_learns_of_a_loss_from_a_token(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5, refresh_seconds=10)
        (visit,) = await queue(store, "ada")
        await bench.forget()
        fresh = bench.gateway(capacity=5, refresh_seconds=10)
        assert (await come_back(fresh, token_of(visit))).answer is Answer.WAITING
        assert (await fresh.beat("sale")).recovering_ms > 0
        assert (await arrive(fresh, "new")).answer is Answer.WAITING


class TestSilence:
    async def test_sessions_and_claims_stand_still_while_no_gateway_reaches_the_store(self, bench: Bench) -> None:
        store = bench.gateway(capacity=2, session_seconds=30, claim_seconds=10)
        inside = await arrive(store, "inside")
        await queue(store, "called")
        await bench.run(store, 1, step_seconds=0.1)
        bench.pass_seconds(600)
        renewal = await store.renew("sale", pass_of(inside))
        assert renewal.active
        census = await store.beat("sale")
        assert (census.active, census.called, census.missed) == (1, 1, 0)

    async def test_a_night_without_gateways_is_no_outage(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=30)
        await arrive(store, "ada")
        bench.pass_seconds(8 * 3600)
        assert (await store.beat("sale")).active == 0

    async def test_a_clock_set_back_neither_prolongs_sessions_nor_stops_the_queue(self, bench: Bench) -> None:
        store = bench.gateway(rate=600, capacity=20, session_seconds=30)
        await arrive(store, "ada")
        await bench.run(store, 20)
        bench.pass_seconds(-3600)
        await queue(store, "bob")
        census = await bench.run(store, 11)
        assert (census.active, census.called, census.ended_total) == (0, 1, 1)
        census = await bench.run(store, 51)
        assert census.entries == 0


class TestProvisionalPass:
    async def test_a_pass_given_while_the_store_was_away_becomes_a_session_once(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5, session_seconds=60)
        visit = await arrive(store, "ada")
        lone = pass_of(visit, visitor=name("lone"), generation="", provisional=True)
        assert (await store.renew("sale", lone)).active
        assert (await store.beat("sale")).active == 2
        await store.release("sale", lone.visitor)
        assert not (await store.renew("sale", lone)).active

    async def test_a_place_that_was_put_in_costs_no_pass_that_was_given_later(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5, session_seconds=60)
        visit = await arrive(store, "ada")
        facts: dict[str, Any] = {"visitor": name("lone"), "generation": "", "provisional": True}
        assert (await come_back(store, token_of(visit, score_us=bench.now_us, **facts), Purpose.LOOK)).position == 1
        assert (await store.renew("sale", pass_of(visit, **facts))).active


class TestConfiguration:
    async def test_a_change_is_compare_and_set(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        await store.seed()
        record = await store.configure("sale", {"rate": 20}, expected_version=1, author=by("a"))
        assert (record.version, record.room.rate, record.live) == (2, 20, {"rate": 20})
        with pytest.raises(VersionConflict) as conflict:
            await store.configure("sale", {"rate": 30}, expected_version=1, author=by("b"))
        assert conflict.value.current == 2

    async def test_the_same_request_again_answers_as_the_first_time(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        await store.seed()
        first = await store.configure("sale", {"rate": 20}, expected_version=1, author=by("a"))
        assert await store.configure("sale", {"rate": 20}, expected_version=1, author=by("a")) == first

    async def test_a_change_reaches_every_gateway_with_its_next_answer(self, bench: Bench) -> None:
        one, two = bench.gateway(rate=10), bench.gateway(rate=10)
        await one.seed()
        await one.configure("sale", {"rate": 20, "refresh_seconds": 7}, expected_version=None, author=by("a"))
        await two.beat("sale")
        assert two.record("sale").room.rate == 20
        assert two.record("sale").room.refresh_seconds == 7

    async def test_live_changes_win_over_a_new_seed(self, bench: Bench) -> None:
        one = bench.gateway(rate=10, capacity=1)
        await one.seed()
        await one.configure("sale", {"rate": 20}, expected_version=None, author=by("a"))
        two = bench.gateway(rate=99, capacity=5)
        await two.seed()
        assert (two.record("sale").room.rate, two.record("sale").room.capacity) == (20, 5)
        assert two.record("sale").version == 3
        await two.seed()
        assert two.record("sale").version == 3

    async def test_a_changed_rate_starts_a_new_window(self, bench: Bench) -> None:
        store = bench.gateway(rate=5, burst=5)
        for i in range(6):
            await arrive(store, f"v{i}")
        await store.configure("sale", {"rate": 60}, expected_version=None, author=by("a"))
        census = await bench.run(store, 2)
        assert (census.entries, census.called) == (0, 1)

    async def test_what_is_not_valid_is_refused_and_changes_nothing(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        with pytest.raises(Refused, match="rate"):
            await store.configure("sale", {"rate": -1}, expected_version=None, author=by("a"))
        with pytest.raises(Refused, match="name"):
            await store.configure("sale", {"name": "other"}, expected_version=None, author=by("a"))
        assert store.record("sale").room.rate == 10

    async def test_an_unknown_room_is_said_to_be_unknown(self, bench: Bench) -> None:
        store = bench.gateway()
        with pytest.raises(RoomUnknown):
            await store.beat("nowhere")


async def test_counting_changes_nothing(bench: Bench) -> None:
    store = bench.gateway(rate=600, capacity=1)
    await arrive(store, "inside")
    await queue(store, "waiting")
    await store.beat("sale")
    before = {key: await bench.admin.command("DUMP", key) for key in await bench.keys()}
    census = await store.census("sale")
    assert (census.active, census.waiting, census.entries) == (1, 1, 1)
    assert {key: await bench.admin.command("DUMP", key) for key in await bench.keys()} == before


async def test_counting_in_an_empty_store_makes_the_room(bench: Bench) -> None:
    census = await bench.gateway().census("sale")
    assert (census.waiting, census.version) == (0, 1)


async def test_the_snapshot_is_made_once_a_second_and_the_same_for_all_who_ask(bench: Bench) -> None:
    store, other = bench.gateway(rate=600, capacity=0), bench.gateway(rate=600, capacity=0)
    visits = await queue(store, *"abcdefghijklmno")
    await store.beat("sale")
    first = await store.snapshot("sale")
    assert (first.census.waiting, first.census.now_ms, first.frontier_us) == (15, bench.now_us // 1000, 0)
    assert first.points == tuple((visit.score_us, visit.position) for visit in visits)
    bench.pass_seconds(0.999)
    await queue(store, "p")
    assert await other.snapshot("sale") == first
    bench.pass_seconds(0.001)
    later = await other.snapshot("sale")
    assert (later.census.waiting, len(later.points)) == (16, 16)
    assert await store.snapshot("sale") == later


@pytest.mark.parametrize("rate", [20, 50, 55])
async def test_a_slow_pace_loses_nothing_between_the_beats(bench: Bench, rate: int) -> None:
    store = bench.gateway(rate=rate, burst=1, claim_seconds=600)
    await queue(store, *(str(number) for number in range(60)))
    census = await bench.run(store, 60, step_seconds=0.1)
    assert rate - 1 <= census.called_total <= rate + 1


async def test_a_change_of_version_makes_a_snapshot_at_once(bench: Bench) -> None:
    store = bench.gateway(rate=600)
    await store.beat("sale")
    first = await store.snapshot("sale")
    await store.configure("sale", {"mode": "paused"}, expected_version=None, author=by("1"))
    assert (await store.snapshot("sale")).census.mode is Mode.PAUSED is not first.census.mode


async def test_the_snapshot_of_a_long_queue_holds_the_scores_at_the_ranks_of_the_sketch(bench: Bench) -> None:
    store = bench.gateway(rate=0)
    await store.beat("sale")
    scores = [bench.now_us + 7 * number for number in range(5_000)]
    for start in range(0, 5_000, 500):
        pairs = [word for at in range(start, start + 500) for word in (str(scores[at]), name(str(at)))]
        await bench.client.command("ZADD", "waitroom:{sale}:queue", *pairs)
    bench.pass_seconds(1)
    await store.beat("sale")
    assert (await store.snapshot("sale")).points == tuple(
        (scores[rank], rank + 1) for rank in (*range(FRONT), *ranks(4_999), 4_999)
    )


async def test_the_pulse_tells_five_minutes_in_one_mode_and_capacity(bench: Bench) -> None:
    store = bench.gateway(rate=60)
    await queue(store, *(str(number) for number in range(400)))

    async def snapshot_after(seconds: int) -> Snapshot:
        for _ in range(seconds):
            await bench.run(store, 1, step_seconds=0.5)
            found = await store.snapshot("sale")
        return found

    found = await snapshot_after(12)
    assert [found.now.at_ms - pulse.at_ms for pulse in found.pulses] == [11_000, 6_000, 1_000]
    assert 9 <= found.now.called - found.pulses[0].called <= 12
    found = await snapshot_after(310)
    assert (len(found.pulses), found.now.at_ms - found.pulses[0].at_ms) == (61, 301_000)
    await store.configure("sale", {"capacity": 9}, expected_version=None, author=by("1"))
    assert len((await snapshot_after(1)).pulses) == 1


async def test_a_new_rate_counts_anew_what_it_limits_and_the_pulse_goes_on_telling_who_entered(bench: Bench) -> None:
    store = bench.gateway(rate=60)
    await store.snapshot("sale")
    bench.pass_seconds(1)
    for number in range(5):
        await arrive(store, str(number))
    before = await store.snapshot("sale")
    bench.pass_seconds(6)
    await store.configure("sale", {"rate": 90}, expected_version=None, author=by("1"))
    found = await store.snapshot("sale")
    assert (before.census.entries, found.census.entries) == (5, 0)
    assert (found.pulses[0].admitted, found.now.admitted, found.entered_last_minute) == (0, 5, 5)


async def test_an_empty_store_is_asked_for_a_snapshot_and_begins_a_memory(bench: Bench) -> None:
    store = bench.gateway(rate=60)
    assert (await store.snapshot("sale")).census.waiting == 0
    await bench.forget()
    assert (await store.snapshot("sale")).points == ()


async def test_no_key_is_outside_the_table(bench: Bench) -> None:
    from waitroom.store.keys import NAMES, key

    store = bench.gateway(capacity=1, claim_seconds=1)
    await arrive(store, "inside")
    await queue(store, "a", "b")
    await store.release("sale", name("inside"))
    await bench.run(store, 3)
    await store.snapshot("sale")
    assert set(await bench.keys()) <= {key("sale", n) for n in NAMES}


async def test_the_journal_tells_what_happened(bench: Bench) -> None:
    store = bench.gateway(capacity=1)
    (visit,) = await queue(store, "ada")
    await bench.run(store, 0.2, step_seconds=0.1)
    await come_back(store, token_of(visit))
    await store.release("sale", visit.visitor)
    assert [kind for kind, _, _ in await bench.journal()] == ["joined", "called", "admitted", "released"]


class TestAudit:
    async def test_every_change_is_written_down_with_who_from_what_to_what_and_why(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        await store.seed()
        author = Author("dana", "r1", Source.CONSOLE, "checkout is slow")
        await store.configure("sale", {"rate": 5, "mode": "paused"}, expected_version=None, author=author)
        (line,) = await store.audit("sale", limit=10)
        assert (line.version, line.who, line.source, line.reason) == (2, "dana", Source.CONSOLE, "checkout is slow")
        assert line.steps == {"rate": [10, 5], "mode": ["on", "paused"]}
        assert line.undo == {"rate": "file", "mode": "file"}

    async def test_a_changed_file_is_written_down_too(self, bench: Bench) -> None:
        await bench.gateway(rate=10).seed()
        store = bench.gateway(rate=10, capacity=7)
        await store.seed()
        (line,) = await store.audit("sale", limit=10)
        assert (line.source, line.steps, line.undo) == (Source.FILE, {"capacity": [None, 7]}, None)

    async def test_what_was_not_changed_is_not_written_down(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        await store.seed()
        for _ in range(2):
            await store.configure("sale", {"rate": 20}, expected_version=1, author=by("a"))
        with pytest.raises(VersionConflict):
            await store.configure("sale", {"rate": 30}, expected_version=1, author=by("b"))
        assert [line.request_id for line in await store.audit("sale", limit=1)] == ["a"]
        assert len(await store.audit("sale", limit=10)) == 1

    async def test_a_request_is_known_again_after_others_came(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        await store.configure("sale", {"rate": 20}, expected_version=None, author=by("a"))
        await store.configure("sale", {"rate": 30}, expected_version=None, author=by("b"))
        again = await store.configure("sale", {"rate": 20}, expected_version=None, author=by("a"))
        assert again.room.rate == 30

    async def test_the_log_is_read_backwards_in_pages(self, bench: Bench) -> None:
        store = bench.gateway(rate=10)
        for rate in range(5):
            await store.configure("sale", {"rate": rate}, expected_version=None, author=by(f"r{rate}"))
        newest = await store.audit("sale", limit=2)
        older = await store.audit("sale", before=newest[-1].id, limit=3)
        assert [line.request_id for line in [*newest, *older[1:]]] == ["r4", "r3", "r2", "r1"]
