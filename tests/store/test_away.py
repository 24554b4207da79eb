"""What the verbs say while the store is away, and when they ask it again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.simulated import SimulatedServer
from waitroom.domain.room import Room
from waitroom.errors import StoreUnavailable
from waitroom.store.breaker import Breaker
from waitroom.store.redis import RedisStore
from waitroom.store.wire import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from waitroom.store.scripts import Script
    from waitroom.store.wire import Word

pytestmark = pytest.mark.anyio


class Unsteady(SimulatedServer):
    """Fails with `failure` while there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.silent = False
        self.asked = 0

    async def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return await super().call(script, keys, arguments)


class Scene:
    """A store on an unsteady server, a clock that the test holds, and what the observer was told."""

    def __init__(self) -> None:
        self.server = Unsteady()
        self.now_seconds = 100.0
        self.told: list[Any] = []
        self.store = RedisStore(self.server, [Room(name="sale")], observer=self, clock=lambda: self.now_seconds)

    def store_call(self, verb: str, seconds: float, outcome: str) -> None:
        self.told.append((verb, outcome))

    def store_connecting(self) -> None:
        self.told.append("connecting")

    def breaker(self, *, opened: bool) -> None:
        self.told.append("opened" if opened else "closed")

    async def fail(self, failure: Exception, times: int = 1) -> None:
        self.server.failure = failure
        for _ in range(times):
            with pytest.raises(StoreUnavailable):
                await self.store.beat("sale")
        self.server.failure = None


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    await scene.store.beat("sale")
    scene.told.clear()
    yield scene
    await scene.store.aclose()


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (TimeoutError("no answer in time"), "timeout"),
        (ConnectionError("the store at x: gone"), "error"),
        (ServerError("OOM command not allowed"), "error"),
    ],
)
async def test_every_failure_is_the_store_s_and_says_what_it_was(
    scene: Scene, failure: Exception, outcome: str
) -> None:
    scene.server.failure = failure
    with pytest.raises(StoreUnavailable, match=f"beat: {type(failure).__name__}: {failure}"):
        await scene.store.beat("sale")
    assert scene.told == [("beat", outcome)]
    assert scene.store.available


async def test_after_three_failures_in_a_row_the_store_is_left_alone(scene: Scene) -> None:
    await scene.fail(TimeoutError(), times=3)
    asked = scene.server.asked
    with pytest.raises(StoreUnavailable, match="not asked again yet"):
        await scene.store.beat("sale")
    assert scene.server.asked == asked
    assert not scene.store.available
    assert scene.told == [*[("beat", "timeout")] * 3, "opened", ("beat", "refused")]


async def test_after_a_pause_one_call_sees_whether_it_is_back(scene: Scene) -> None:
    await scene.fail(TimeoutError(), times=3)
    scene.told.clear()
    scene.now_seconds += 0.6
    await scene.fail(TimeoutError())
    with pytest.raises(StoreUnavailable, match="not asked again yet"):
        await scene.store.beat("sale")
    scene.now_seconds += 0.6
    await scene.store.beat("sale")
    assert scene.store.available
    assert scene.told == [("beat", "timeout"), ("beat", "refused"), ("beat", "ok"), "closed"]


async def test_a_caller_that_goes_away_says_nothing_about_the_store(scene: Scene) -> None:
    scene.server.silent = True
    calling = asyncio.create_task(scene.store.beat("sale"))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert scene.told == []
    assert scene.store.available


class TwoShards(Unsteady):
    """`failure` befalls only keys of the room `sale`."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = "a"

    def part(self, key: str) -> str:
        return self.owner if "{sale}" in key else "b"

    async def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        failure, self.failure = self.failure, None if "{sale}" not in keys[0] else self.failure
        try:
            return await super().call(script, keys, arguments)
        finally:
            self.failure = failure


class TestShards:
    """One part of the store is away, the others are not."""

    @pytest.fixture
    async def scene(self) -> AsyncIterator[Scene]:
        scene = Scene()
        await scene.server.aclose()
        scene.server = TwoShards()
        scene.store = RedisStore(
            scene.server, [Room(name="sale"), Room(name="shop")], observer=scene, clock=lambda: scene.now_seconds
        )
        for room in ("sale", "shop"):
            await scene.store.beat(room)
        scene.told.clear()
        yield scene
        await scene.store.aclose()

    async def test_a_shard_that_is_away_takes_only_its_rooms_along(self, scene: Scene) -> None:
        scene.server.failure = TimeoutError()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await scene.store.beat("sale")
            await scene.store.beat("shop")
        with pytest.raises(StoreUnavailable, match="not asked again yet"):
            await scene.store.beat("sale")
        await scene.store.beat("shop")
        assert not scene.store.available

    async def test_a_room_whose_shard_was_replaced_is_asked_for_at_once(self, scene: Scene) -> None:
        await scene.fail(TimeoutError(), times=3)
        assert isinstance(scene.server, TwoShards)
        scene.server.owner = "c"
        scene.told.clear()
        await scene.store.beat("sale")
        assert scene.store.available
        assert scene.told == [("beat", "ok"), "closed"]


def test_the_breaker_counts_only_failures_in_a_row() -> None:
    breaker = Breaker(failures=2)
    assert not breaker.failed(1.0)
    assert not breaker.succeeded()
    assert not breaker.failed(2.0)
    assert breaker.failed(3.0)
    assert not breaker.failed(3.1)
    assert not breaker.allows(3.4)
    assert breaker.allows(3.6)
    assert breaker.succeeded()
    assert breaker.allows(3.7)
