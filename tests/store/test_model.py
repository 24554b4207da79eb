"""The store does what a pure model does, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import random
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.store.bench import Bench, by, name, pass_of, token_of
from tests.store.model import Model, Remembered
from tests.store.simulated import SimulatedServer
from waitroom.domain.audit import Deed
from waitroom.domain.room import Room
from waitroom.domain.visit import MOVES, Answer, State, Visit
from waitroom.store.base import Purpose
from waitroom.store.connect import open_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from waitroom.domain.claims import PassClaims, QueueClaims
    from waitroom.store.client import Client
    from waitroom.store.redis import RedisStore

VISITOR_NAMES = [name(letter) for letter in "abcdefghij"]
VISITORS = st.sampled_from(VISITOR_NAMES[:7])
PURPOSES = st.sampled_from(list(Purpose))
STEPS_MS = st.sampled_from([0, 1, 40, 100, 100, 100, 100, 500, 1_000, 1_000, 1_900, 1_900, 2_500, 20_000])
STEPS_IN_ALL = 10_000
"""For the walk; the machine, which shrinks what it finds, takes half as many again in small programs."""
STEPS_EACH = 100


class StoreMachine(RuleBasedStateMachine):
    """Random visits, beats, changes and losses, done to both."""

    client: Callable[[], Client]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bench = Bench(type(self).client())
        self.run(self.bench.forget())
        self.tokens: dict[str, QueueClaims] = {}
        self.passes: dict[str, PassClaims] = {}
        self.requests = 0
        self.admitted_us: list[int] = []
        self.states: dict[str, State] = {}
        self.copied: tuple[dict[str, Any], Model] | None = None

    def run(self, verb: Any) -> Any:
        return self.loop.run_until_complete(verb)

    def teardown(self) -> None:
        self.run(self.bench.client.aclose())
        self.loop.close()

    @initialize(
        rate=st.sampled_from([None, 6, 60, 120, 120]),
        capacity=st.sampled_from([None, 1, 2, 3]),
        burst=st.sampled_from([None, 1, 3]),
        renew=st.sampled_from(["sliding", "fixed"]),
        session_seconds=st.sampled_from([5, 30]),
        hold_minutes=st.sampled_from([0, 1]),
    )
    def begin(self, **room: Any) -> None:
        self.settings = room | {"refresh_seconds": 3, "claim_seconds": 5}
        self.stores = [self.bench.gateway(**self.settings)]
        self.remembered = [Remembered()]
        self.copied = None
        self.model = Model(Room(name="sale", **self.settings), self.bench.now_us)

    # What both must be told before each verb.

    def gateway(self, index: int) -> tuple[RedisStore, Remembered]:
        index %= len(self.stores)
        return self.stores[index], self.remembered[index]

    def heard(self, memory: Remembered) -> None:
        memory.generation, memory.heard_ms = self.model.generation, self.model.now_ms
        memory.active, memory.entries = self.model.active_count, self.model.entered
        memory.moments = self.model.moments
        self.check_moves()

    def check_moves(self) -> None:
        """Every move since the verb before is one of the table."""
        for visitor in VISITOR_NAMES:
            before, now = self.states.get(visitor, State.NEW), self.model.state_of(visitor)
            # A verb first lets a session or a kept place end, then takes the visitor as new; a session, a claim or a
            # kept place may also have ended since the verb before.
            legal = {before} | MOVES[before] | (MOVES[State.NEW] if before in {State.ACTIVE, State.MISSED} else set())
            assert now in legal or (now is State.NEW and State.ENDED in legal), (visitor, before, now)
            self.states[visitor] = now

    def check_limits(self) -> None:
        """Somebody just entered: neither limit is passed, by a count of the test's own."""
        room, rate, now_us = self.model.room, self.model.rate, self.bench.now_us
        self.admitted_us = [at for at in self.admitted_us if at > now_us - 60_000_000] + [now_us]
        beyond = sum(at > now_us - 60_000_000 for at in self.model.beyond_us)
        assert rate is None or len(self.admitted_us) - beyond <= rate
        assert room.capacity is None or self.model.active_count <= room.capacity

    def generation(self) -> str:
        value: bytes = self.run(self.bench.client.command("HGET", "waitroom:{sale}:state", "generation"))
        return value.decode()

    def known(self) -> bool:
        return self.model.generation != "" and bool(
            self.run(self.bench.client.command("EXISTS", "waitroom:{sale}:state"))
        )

    @rule(visitors=st.lists(VISITORS, min_size=1, max_size=4), purpose=PURPOSES, index=st.integers(0, 2))
    def enter_together(self, visitors: list[str], purpose: Purpose, index: int) -> None:
        for visitor in visitors:
            self.enter(visitor, purpose, True, index)

    @rule(index=st.integers(0, 2))
    def the_called_come(self, index: int) -> None:
        for visitor in sorted(self.model.called):
            self.enter(visitor, Purpose.CLAIM, True, index)

    @rule(visitor=VISITORS, purpose=PURPOSES, with_token=st.booleans(), index=st.integers(0, 2))
    def enter(self, visitor: str, purpose: Purpose, with_token: bool, index: int) -> None:
        store, memory = self.gateway(index)
        claims = self.tokens.get(visitor) if with_token else None
        visit: Visit = self.run(store.enter("sale", visitor, claims=claims, purpose=purpose))
        self.model.touch(self.generation(), memory)
        was_active = self.model.state_of(visitor) is State.ACTIVE
        expected = self.model.enter(visitor, claims, purpose)
        assert expected == (visit.answer, visit.score_us, visit.position, visit.session_end_ms)
        if visit.answer is Answer.ADMITTED and not was_active:
            self.check_limits()
        self.heard(memory)
        if visit.answer is Answer.WAITING:
            self.tokens[visitor] = token_of(visit)
        if visit.answer is Answer.ADMITTED:
            self.passes[visitor] = pass_of(visit)

    @rule(visitor=VISITORS, back_ms=st.integers(0, 5_000))
    def enter_provisionally(self, visitor: str, back_ms: int) -> None:
        store, memory = self.gateway(0)
        score = self.bench.now_us - back_ms * 1000
        visit = Visit(Answer.WAITING, visitor, 0, "", self.model.epoch, score_us=score)
        claims = token_of(visit, provisional=True)
        visit = self.run(store.enter("sale", visitor, claims=claims, purpose=Purpose.CLAIM))
        self.model.touch(self.generation(), memory)
        was_active = self.model.state_of(visitor) is State.ACTIVE
        expected = self.model.enter(visitor, claims, Purpose.CLAIM)
        assert expected == (visit.answer, visit.score_us, visit.position, visit.session_end_ms)
        if visit.answer is Answer.ADMITTED and not was_active:
            self.check_limits()
        self.heard(memory)

    @rule(visitor=VISITORS, index=st.integers(0, 2), provisional=st.booleans())
    def renew(self, visitor: str, index: int, provisional: bool) -> None:
        if visitor not in self.passes:
            return
        store, memory = self.gateway(index)
        claims = self.passes[visitor]
        if provisional:
            claims = pass_of(
                Visit(Answer.ADMITTED, visitor, 0, "", 1, session_end_ms=claims.session_end_ms), provisional=True
            )
        renewal = self.run(store.renew("sale", claims))
        self.model.touch(self.generation(), memory)
        assert self.model.renew(claims) == (renewal.active, renewal.session_end_ms)
        # A session that the store forgot is put back from wherever its visitor stands.
        self.states[visitor] = self.model.state_of(visitor)
        self.heard(memory)

    @rule(visitor=VISITORS)
    def leave(self, visitor: str) -> None:
        left = self.run(self.stores[0].leave("sale", visitor))
        self.model.touch(self.generation(), None)
        assert self.model.leave(visitor) == left
        self.check_moves()

    @rule(visitor=VISITORS)
    def release(self, visitor: str) -> None:
        generation = self.passes[visitor].generation if visitor in self.passes else ""
        released = self.run(self.stores[0].release("sale", visitor, generation=generation))
        self.model.touch(self.generation(), None)
        assert self.model.release(visitor, generation) == released
        self.check_moves()

    def deed(self, action: str) -> Deed:
        self.requests += 1
        return Deed(by(f"r{self.requests}"), action)

    @precondition(lambda self: self.known())
    @rule(count=st.sampled_from([1, 2, 9]))
    def admit_now(self, count: int) -> None:
        _, called = self.run(self.stores[0].admit("sale", count, self.deed("admit")))
        self.model.touch(self.generation(), None)
        assert self.model.admit_now(count) == called
        self.check_moves()

    @precondition(lambda self: self.known())
    @rule(visitor=VISITORS, revoke=st.booleans())
    def dismiss(self, visitor: str, revoke: bool) -> None:
        ended = self.run(self.stores[0].dismiss("sale", visitor, revoke=revoke, deed=self.deed("dismiss")))
        self.model.touch(self.generation(), None)
        assert self.model.dismiss(visitor, revoke=revoke) == ended
        self.check_moves()

    @precondition(lambda self: self.known())
    @rule(visitor=VISITORS)
    def front(self, visitor: str) -> None:
        word, _ = self.run(self.stores[0].front("sale", visitor, most_a_day=1_000_000, deed=self.deed("front")))
        self.model.touch(self.generation(), None)
        assert self.model.front(visitor) == (word == "placed")
        self.check_moves()

    @precondition(lambda self: self.known())
    @rule(sure=st.sampled_from([True, False, False]))
    def reset(self, sure: bool) -> None:
        if sure:
            people = self.run(self.stores[0].reset("sale", self.deed("reset"), expected_version=None))
            self.model.touch(self.generation(), None)
            assert self.model.reset() == people
            self.check_moves()

    @rule(step_ms=st.sampled_from([100, 1_000, 1_900]), times=st.integers(2, 8))
    def beat_on(self, step_ms: int, times: int) -> None:
        for _ in range(times):
            self.beat(step_ms, 0)

    @rule(step_ms=STEPS_MS, index=st.integers(0, 2))
    def beat(self, step_ms: int, index: int) -> None:
        store, memory = self.gateway(index)
        self.bench.now_us += step_ms * 1000
        self.model.now_us = self.bench.now_us
        census = self.run(store.beat("sale"))
        self.model.touch(self.generation(), memory)
        self.model.beat()
        model = self.model
        assert (
            len(model.queue), len(model.called), len(model.missed), model.active_count,
            model.entered, model.reserved, max(0, model.recover_until_ms - model.now_ms),
        ) == (
            census.waiting, census.called, census.missed, census.active,
            census.entries, census.reserved, census.recovering_ms,
        )  # fmt: skip
        assert census.missed_share == pytest.approx(model.missed_share, abs=0.001)
        self.heard(memory)

    @precondition(lambda self: self.known())
    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
                "rate": st.sampled_from([None, 0, 6, 60, 120]),
                "ramp_seconds": st.sampled_from([1, 60, 600]),
                "capacity": st.sampled_from([None, 0, 1, 3]),
                "mode": st.sampled_from(["on", "on", "on", "on", "paused", "paused", "closed", "off"]),
                "opens_at": st.sampled_from([-1_000, 50, 950, 1_999, 5_000]),
            },
        )
    )
    def configure(self, changes: dict[str, Any]) -> None:
        """`opens_at` is given in ms from now."""
        self.requests += 1
        if "opens_at" in changes:
            seconds = self.bench.now_us / 1_000_000 + changes["opens_at"] / 1_000
            changes = changes | {"opens_at": datetime.fromtimestamp(seconds, UTC).isoformat()}
        seconds = changes.pop("ramp_seconds", 0)
        if seconds and changes.get("rate") is not None:
            begins = datetime.fromtimestamp(self.bench.now_us / 1_000_000, UTC)
            ends = begins + timedelta(seconds=seconds)
            changes["ramp"] = {"start_rate": 30, "starts_at": begins.isoformat(), "ends_at": ends.isoformat()}
        self.run(self.stores[0].configure("sale", changes, expected_version=None, author=by(f"r{self.requests}")))
        before = self.model.room
        self.model.configure(Room(name="sale", **self.settings).changed(changes))
        if before.rate != self.model.room.rate and self.model.room.ramp is None:
            self.admitted_us = []

    @precondition(lambda self: len(self.stores) < 3)
    @rule()
    def another_gateway(self) -> None:
        self.stores.append(self.bench.gateway(**self.settings))
        self.remembered.append(Remembered())
        self.run(self.stores[-1]._follow_version("sale", -1))

    @precondition(lambda self: self.known())
    @rule(sure=st.sampled_from([True, False, False]))
    def forget(self, sure: bool) -> None:
        if sure:
            self.run(self.bench.forget())
            # Whoever comes first brings the configuration back.
            self.run(self.stores[0]._restore("sale"))
            self.states.clear()
            self.model.forget()

    @precondition(lambda self: self.known())
    @rule()
    def copy(self) -> None:
        self.copied = self.run(self.bench.copy()), deepcopy(self.model)
        self.bench.now_us += 1_000  # a copy is told from what came after to the ms
        self.model.now_us = self.bench.now_us

    @precondition(lambda self: self.copied is not None)
    @rule(sure=st.sampled_from([True, False, False]))
    def go_back(self, sure: bool) -> None:
        if not sure or self.copied is None:
            return
        kept, model = self.copied
        self.run(self.bench.go_back(kept))
        self.run(self.stores[0]._restore("sale"))
        self.model.go_back(model)
        self.states = {visitor: self.model.state_of(visitor) for visitor in VISITOR_NAMES}
        # Every gateway beats, so whoever heard most says so before anybody enters.
        for index in range(len(self.stores)):
            self.beat(0, index)

    @invariant()
    def nobody_is_in_two_places(self) -> None:
        if not hasattr(self, "model"):
            return
        model = self.model
        inside = [visitor for visitor, end in model.active.items() if end > model.session_now]
        names = [*inside, *model.queue, *model.called, *model.missed]
        assert len(names) == len(set(names))


def run_machine(client: Callable[[], Client], steps: int) -> None:
    machine = type("Machine", (StoreMachine,), {"client": staticmethod(client)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=steps // STEPS_EACH,
            stateful_step_count=STEPS_EACH,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )


def test_random_steps_on_a_real_valkey(valkey_url: str) -> None:
    run_machine(lambda: open_client(valkey_url, deadline_ms=5_000), STEPS_IN_ALL // 2)


def test_random_steps_on_fakeredis() -> None:
    run_machine(SimulatedServer, STEPS_IN_ALL // 10)


WALK = {
    "together": 10,
    "called_come": 8,
    "enter": 8,
    "provisional": 2,
    "renew": 10,
    "leave": 2,
    "release": 3,
    "beat": 20,
    "beat_on": 4,
    "configure": 2,
    "admit": 2,
    "dismiss": 2,
    "front": 2,
    "reset": 1,
    "gateway": 1,
    "forget": 1,
    "copy": 1,
    "go_back": 1,
}
"""How often each step is taken: a walk as a shop sees it, mostly visits and beats."""


def walk(machine: StoreMachine, chance: random.Random, steps: int) -> None:
    """Take `steps` random steps, starting the room anew now and then."""
    names = VISITOR_NAMES
    purposes = list(Purpose)
    for at in range(steps):
        if at % 500 == 0:
            machine.run(machine.bench.forget())
            machine.tokens.clear()
            machine.passes.clear()
            machine.states.clear()
            machine.admitted_us.clear()
            machine.begin(
                rate=chance.choice([None, 6, 60, 120, 600]), capacity=chance.choice([None, 1, 2, 3]),
                burst=chance.choice([None, 1, 3]), renew=chance.choice(["sliding", "fixed"]),
                session_seconds=chance.choice([5, 30]), hold_minutes=chance.choice([0, 1]),
            )  # fmt: skip
        step = chance.choices(list(WALK), list(WALK.values()))[0]
        visitor, index = chance.choice(names), chance.randrange(3)
        match step:
            case "together":
                machine.enter_together(chance.sample(names, 3), chance.choice(purposes), index)
            case "called_come":
                machine.the_called_come(index)
            case "enter":
                machine.enter(visitor, chance.choice(purposes), chance.random() < 0.7, index)
            case "provisional":
                machine.enter_provisionally(visitor, chance.randrange(5_000))
            case "renew":
                machine.renew(visitor, index, chance.random() < 0.1)
            case "leave":
                machine.leave(chance.choice(sorted(machine.model.called) or names))
            case "release":
                machine.release(visitor)
            case "beat":
                machine.beat(chance.choice([0, 1, 40, 100, 100, 100, 500, 1_000, 1_900, 2_500]), index)
            case "beat_on":
                machine.beat_on(chance.choice([100, 1_000, 1_900]), chance.randrange(2, 8))
            case "configure" if machine.known():
                changes: dict[str, Any] = {
                    "mode": chance.choice(["on", "on", "on", "paused", "closed", "off"]),
                    "capacity": chance.choice([None, 0, 1, 3]),
                }
                others: list[dict[str, Any]] = [
                    {"rate": chance.choice([0, 6, 60, 600])},
                    {"rate": chance.choice([6, 60, 600]), "ramp_seconds": chance.choice([2, 60])},
                    {"opens_at": chance.choice([-1_000, 50, 999, 5_000])},
                ]
                machine.configure(chance.choice([changes, changes, *others]))
                machine.beat_on(1_000, 3)
                machine.configure({})
            case "admit" if machine.known():
                machine.admit_now(chance.choice([1, 2, 5]))
            case "dismiss" if machine.known():
                machine.dismiss(visitor, chance.random() < 0.5)
            case "front" if machine.known():
                machine.front(visitor)
            case "reset" if machine.known():
                machine.reset(chance.random() < 0.3)
            case "gateway" if len(machine.stores) < 3:
                machine.another_gateway()
            case "forget" if machine.known():
                machine.forget(sure=True)
            case "copy" if machine.known():
                machine.copy()
            case "go_back":
                machine.go_back(sure=True)
        machine.nobody_is_in_two_places()


@pytest.mark.parametrize("seed", range(4))
def test_a_long_walk_as_a_shop_sees_it(valkey_url: str, seed: int) -> None:
    machine = type(
        "Machine", (StoreMachine,), {"client": staticmethod(lambda: open_client(valkey_url, deadline_ms=5_000))}
    )()
    try:
        walk(machine, random.Random(seed), STEPS_IN_ALL // 4)
    finally:
        machine.teardown()
