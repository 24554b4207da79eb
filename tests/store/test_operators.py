"""What operators ask of the store, on fakeredis and on a real Valkey."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.store.bench import Bench, arrive, by, come_back, name, pass_of, token_of
from waitroom.domain.audit import Deed
from waitroom.domain.history import STEPS
from waitroom.domain.short_code import short_code
from waitroom.domain.visit import Answer, Visit
from waitroom.errors import VersionConflict
from waitroom.store.base import Purpose
from waitroom.store.connect import open_client

if TYPE_CHECKING:
    from waitroom.store.redis import RedisStore

pytestmark = pytest.mark.anyio


def deed(action: str, request_id: str = "r1") -> Deed:
    return Deed(by(request_id), action)


async def queue(store: RedisStore, *visitors: str) -> list[Visit]:
    return [await arrive(store, visitor, Purpose.JOIN) for visitor in visitors]


class TestAdmit:
    async def test_the_next_are_called_at_once_beyond_the_rate_in_order(self, bench: Bench) -> None:
        store = bench.gateway(rate=1, burst=1)
        await arrive(store, "first")
        visits = await queue(store, *"abcd")
        assert await store.admit("sale", 2, deed("admit")) == ("called", 2)
        answers = [(await come_back(store, token_of(visit))).answer for visit in visits]
        assert answers == [Answer.ADMITTED] * 2 + [Answer.WAITING] * 2

    async def test_what_was_admitted_beyond_the_rate_is_not_admitted_again_by_it(self, bench: Bench) -> None:
        store = bench.gateway(rate=2, burst=2)
        for visitor in "xy":
            await arrive(store, visitor)
        visits = await queue(store, *"abcd")
        await store.admit("sale", 2, deed("admit"))
        for visit in visits[:2]:
            await come_back(store, token_of(visit))
        census = await bench.run(store, 59)
        assert (census.entries, census.waiting) == (4, 2), "the window is full until the last minute is within the rate"

    async def test_the_capacity_is_not_passed(self, bench: Bench) -> None:
        store = bench.gateway(capacity=2)
        await arrive(store, "inside")
        await arrive(store, "second")
        await queue(store, *"abc")
        assert await store.admit("sale", 3, deed("admit")) == ("called", 0)
        assert await store.audit("sale", limit=9) == []
        await store.release("sale", name("second"))
        assert await store.admit("sale", 3, deed("admit")) == ("called", 1)

    async def test_the_same_request_again_calls_nobody_else(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        await queue(store, *"abcd")
        for _ in range(2):
            assert await store.admit("sale", 2, deed("admit")) == ("called", 2)
        assert (await store.census("sale")).called == 2
        (line,) = await store.audit("sale", limit=9)
        assert (line.action, line.people) == ("admit", 2)

    async def test_a_room_that_is_not_on_says_so(self, bench: Bench) -> None:
        store = bench.gateway(mode="paused")
        await queue(store, "a")
        assert await store.admit("sale", 2, deed("admit")) == ("paused", 0)

    async def test_who_does_not_come_leaves_nothing_to_be_used_by_others(self, bench: Bench) -> None:
        store = bench.gateway(rate=1, burst=1, claim_seconds=5)
        await arrive(store, "first")
        (absent, late) = await queue(store, "absent", "late")
        await store.admit("sale", 1, deed("admit"))
        await bench.run(store, 6)
        assert (await come_back(store, token_of(late))).answer is Answer.WAITING
        assert (await store.census("sale")).missed == 1
        assert absent.visitor

    async def test_a_grant_is_over_with_the_turns_it_was_for_though_others_stay_called(self, bench: Bench) -> None:
        store = bench.gateway(rate=6, burst=1, claim_seconds=120)
        visits = await queue(store, *(f"v{i:02}" for i in range(60)))
        await bench.run(store, 150)
        assert (await store.admit("sale", 3, deed("admit")))[1] == 3
        assert (await bench.run(store, 121)).called >= 9
        answers = [(await come_back(store, token_of(visit), Purpose.LOOK)).answer for visit in visits]
        called = [visit for visit, answer in zip(visits, answers, strict=True) if answer is Answer.CALLED]
        entered = [(await come_back(store, token_of(visit))).answer for visit in called]
        assert entered.count(Answer.ADMITTED) == 6, "the rate, and none beyond it"

    async def test_turns_that_cost_no_pace_give_none_back_when_they_are_missed(self, bench: Bench) -> None:
        store = bench.gateway(rate=60, burst=1, claim_seconds=10)
        await queue(store, *(f"v{i:03}" for i in range(300)))
        await store.beat("sale")
        await store.admit("sale", 100, deed("admit"))
        before = await bench.run(store, 9.5, step_seconds=0.1)
        after = await bench.run(store, 1, step_seconds=0.1)
        assert after.missed_total - before.missed_total >= 100
        assert after.called_total - before.called_total <= 4

    async def test_missed_turns_that_cost_pace_give_all_of_it_back(self, bench: Bench) -> None:
        store = bench.gateway(rate=6, burst=1, claim_seconds=10)
        await queue(store, *(f"v{i:02}" for i in range(60)))
        census = await bench.run(store, 45, step_seconds=0.1)
        assert census.called_total >= 10, "each who stays away is made up for, so one more at each turn"


class TestDismiss:
    async def test_a_released_session_is_over_and_its_slot_free(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1)
        visit = await arrive(store, "ada")
        assert await store.dismiss("sale", visit.visitor, revoke=False, deed=deed("release"))
        assert not (await store.renew("sale", pass_of(visit))).active
        assert (await arrive(store, "bob")).answer is Answer.ADMITTED
        assert not await store.dismiss("sale", name("nobody"), revoke=False, deed=deed("release", "r2"))

    async def test_a_revoked_place_is_not_given_back_by_its_token(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        first, second = await queue(store, "first", "second")
        assert await store.dismiss("sale", first.visitor, revoke=True, deed=deed("revoke"))
        again = await come_back(store, token_of(first), Purpose.JOIN)
        assert (again.position, (await come_back(store, token_of(second), Purpose.JOIN)).position) == (2, 1)
        assert again.score_us > second.score_us

    async def test_a_revoked_session_does_not_come_back_after_a_loss_told_by_its_pass(self, bench: Bench) -> None:
        store = bench.gateway(capacity=5)
        visit = await arrive(store, "ada")
        await store.dismiss("sale", visit.visitor, revoke=True, deed=deed("revoke"))
        assert not (await store.renew("sale", pass_of(visit, generation="other"))).active


class TestFront:
    async def test_a_visitor_whose_session_ended_is_first_again(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        await queue(store, "a", "b")
        assert await store.front("sale", name("ada"), most_a_day=5, deed=deed("front")) == ("placed", 1)
        assert (await arrive(store, "a", Purpose.JOIN)).position == 2
        assert await store.front("sale", name("b"), most_a_day=5, deed=deed("front", "r2")) == ("placed", 1)

    async def test_no_more_a_day_than_the_limit(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        for i in range(2):
            word, _ = await store.front("sale", name(f"v{i}"), most_a_day=2, deed=deed("front", f"r{i}"))
            assert word == "placed"
        assert (await store.front("sale", name("v0"), most_a_day=2, deed=deed("front", "r0")))[0] == "placed", (
            "repeated"
        )
        assert await store.front("sale", name("v3"), most_a_day=2, deed=deed("front", "r3")) == ("limit", 0)
        bench.pass_seconds(86_400)
        assert (await store.front("sale", name("v3"), most_a_day=2, deed=deed("front", "r4")))[0] == "placed"

    async def test_who_is_inside_or_called_needs_it_not(self, bench: Bench) -> None:
        store = bench.gateway(capacity=2)
        await arrive(store, "inside")
        await queue(store, "called")
        await store.admit("sale", 1, deed("admit"))
        assert await store.front("sale", name("inside"), most_a_day=5, deed=deed("front", "a")) == ("active", 0)
        assert await store.front("sale", name("called"), most_a_day=5, deed=deed("front", "b")) == ("called", 0)


class TestReset:
    async def test_all_places_are_given_up_and_old_tokens_are_new_arrivals(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        first, _ = await queue(store, "first", "second")
        assert await store.reset("sale", deed("reset"), expected_version=None) == 2
        record = store.record("sale")
        assert (record.epoch, record.version, (await store.census("sale")).waiting) == (2, 2, 0)
        again = await come_back(store, token_of(first), Purpose.JOIN)
        assert (again.position, again.epoch, again.score_us > first.score_us) == (1, 2, True)
        assert await store.reset("sale", deed("reset"), expected_version=None) == 2, "repeated, and done once"
        assert (await store.census("sale")).waiting == 1

    async def test_it_is_compare_and_set(self, bench: Bench) -> None:
        store = bench.gateway()
        await store.beat("sale")
        with pytest.raises(VersionConflict):
            await store.reset("sale", deed("reset"), expected_version=7)

    async def test_who_is_inside_stays_inside(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1)
        visit = await arrive(store, "ada")
        await store.reset("sale", deed("reset"), expected_version=None)
        assert (await store.renew("sale", pass_of(visit))).active


class TestRamp:
    async def test_the_rate_grows_evenly_by_the_stores_time(self, bench: Bench) -> None:
        begins = datetime.fromtimestamp(bench.now_us / 1_000_000, UTC)
        ramp = {"start_rate": 60, "starts_at": begins, "ends_at": begins + timedelta(minutes=10)}
        store = bench.gateway(rate=660, ramp=ramp, burst=1, claim_seconds=3_600)
        await queue(store, *(f"v{i}" for i in range(260)))
        rates = [(await bench.run(store, 60, step_seconds=0.5)).called_total for _ in range(2)]
        minutes = [rates[0], rates[1] - rates[0]]
        assert minutes == [pytest.approx(expected, abs=5) for expected in (90, 150)]
        assert store.record("sale").room.rate_at(bench.now_us // 1000) == 180

    async def test_no_window_holds_more_than_the_rate_of_its_end(self, bench: Bench) -> None:
        begins = datetime.fromtimestamp(bench.now_us / 1_000_000, UTC)
        ramp = {"start_rate": 60, "starts_at": begins, "ends_at": begins + timedelta(minutes=2)}
        store = bench.gateway(rate=6, ramp=ramp, burst=60)
        entered: list[int] = []
        for i in range(300):
            if (await arrive(store, f"v{i}", Purpose.DIRECT)).answer is Answer.ADMITTED:
                entered.append(bench.now_us)
                lately = sum(at > bench.now_us - 60_000_000 for at in entered)
                assert lately <= (store.record("sale").room.rate_at(bench.now_us // 1000) or 0)
            bench.pass_seconds(0.5)
        assert len(entered) > 40

    async def test_a_ramp_starts_no_new_window(self, bench: Bench) -> None:
        store = bench.gateway(rate=3, burst=3)
        for i in range(3):
            await arrive(store, f"v{i}")
        begins = datetime.fromtimestamp(bench.now_us / 1_000_000, UTC)
        ramp = {"start_rate": 3, "starts_at": begins.isoformat(), "ends_at": (begins + timedelta(hours=1)).isoformat()}
        await store.configure("sale", {"rate": 600, "ramp": ramp}, expected_version=None, author=by("a"))
        assert (await store.beat("sale")).entries == 3


class TestStory:
    async def test_a_visitor_is_found_by_the_short_code_wherever_they_stand(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1)
        await arrive(store, "inside")
        await queue(store, *(f"v{i}" for i in range(30)))
        for visitor in ("inside", "v7"):
            search = await store.find("sale", short_code(name(visitor)))
            assert (search.visitor, search.cursor) == (name(visitor), None)
        await store.release("sale", name("inside"))
        assert (await store.find("sale", short_code(name("inside")))).visitor == name("inside"), "the journal knows"
        nobody = await store.find("sale", short_code(name("nobody")))
        assert (nobody.visitor, nobody.cursor) == (None, None)
        assert nobody.looked_at >= 30

    async def test_a_long_search_goes_on_where_it_stopped(self, bench: Bench) -> None:
        store = bench.gateway(rate=0)
        await store.beat("sale")
        crowd = [word for i in range(21_000) for word in (i, name(f"v{i}"))]
        for at in range(0, len(crowd), 2_000):
            await bench.client.command("ZADD", "waitroom:{sale}:queue", *crowd[at : at + 2_000])
        search = await store.find("sale", short_code(name("nobody")))
        assert (search.visitor, search.looked_at >= 20_000) == (None, True)
        assert search.cursor is not None
        last = await store.find("sale", short_code(name("nobody")), cursor=search.cursor)
        assert (last.visitor, last.cursor) == (None, None)

    async def test_where_a_visitor_stands(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=100)
        inside = await arrive(store, "inside")
        (visit,) = await queue(store, "a")
        place = await store.look("sale", visit.visitor)
        assert (place.state, place.score_us, place.position) == ("waiting", visit.score_us, 1)
        place = await store.look("sale", inside.visitor)
        assert (place.state, place.left_ms) == ("active", 100_000)
        assert (await store.look("sale", name("nobody"))).state == "none"

    async def test_the_journal_tells_how_sessions_and_kept_places_ended(self, bench: Bench) -> None:
        store = bench.gateway(capacity=1, session_seconds=30, renew="fixed", claim_seconds=5, hold_minutes=1)
        await arrive(store, "inside")
        await queue(store, "absent")
        await bench.run(store, 120)
        lines = await store.journal("sale", limit=100)
        assert [line.kind for line in reversed(lines)] == [
            "admitted", "joined", "ended", "called", "missed", "forgotten",
        ]  # fmt: skip


class TestHistory:
    async def test_one_sample_a_second_whoever_writes_it_with_what_all_measured(self, bench: Bench) -> None:
        one, two = bench.gateway(rate=600, capacity=50), bench.gateway(rate=600, capacity=50)
        for second in range(3):
            await arrive(one, f"direct{second}")
            await arrive(one, f"join{second}", Purpose.JOIN)
            for store in (one, two):
                await store.beat("sale")
                await store.sample("sale", {"requests": 5, "errors": 1})
            bench.pass_seconds(1)
        now_ms = bench.now_us // 1000
        step, samples = await one.history("sale", since_ms=now_ms - 60_000, until_ms=now_ms)
        assert (step, len(samples)) == (1, 3)
        day = await one.history("sale", since_ms=now_ms - 86_400_000, until_ms=now_ms)
        assert day == (step, samples), "a young room is told by the second, however far back was asked for"
        assert [one.counts["requests"] for one in samples] == [5, 15, 25], "the second teller counts in the next sample"
        assert [one.counts["joined"] + one.counts["direct"] for one in samples] == [2, 4, 6]
        assert (samples[-1].counts["rate"], samples[-1].counts["capacity"]) == (600, 50)


async def test_two_days_of_history_take_a_fraction_of_a_megabyte(valkey_url: str) -> None:
    bench = Bench(open_client(valkey_url, deadline_ms=5_000))
    store = bench.gateway(rate=600)
    await store.beat("sale")
    meters = dict.fromkeys(("requests", "l0", "l1", "l2", "l3", "l4", "waits", "waited_s"), 1000003)
    for second in range(1_100):
        await store.sample("sale", {**meters, "held": second})
        bench.pass_seconds(1)
    seconds, tens = [await bench.client.command("XLEN", f"waitroom:{{sale}}:{name}") for name in ("seconds", "tens")]
    assert (seconds <= 1_000, tens) == (True, 110), "trimmed by whole nodes"
    now_ms = bench.now_us // 1000
    assert (await store.history("sale", since_ms=now_ms - 3_600_000, until_ms=now_ms))[0] == 10
    used: int = await bench.client.command("MEMORY", "USAGE", "waitroom:{sale}:seconds", "SAMPLES", "0")
    kept = sum(most + 100 for _, _, most in STEPS)
    assert used / seconds * kept < 1_000_000, "5 MB are allowed"
    await bench.client.aclose()
