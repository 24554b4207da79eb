"""When gateways say which versions they run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from waitroom.errors import StoreUnavailable
from waitroom.reporting import report

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.anyio


class Store:
    """Hears what is said, unless it is away."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, dict[str, int]]] = []
        self.now = 0.0
        self.away = False

    async def say_running(self, gateway: str, versions: Mapping[str, int]) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.heard.append((round(self.now, 1), dict(versions)))


async def test_a_new_version_is_said_at_once_and_the_same_once_a_second() -> None:
    store, versions = Store(), {"sale": 1}

    async def sleep(seconds: float) -> None:
        store.now += seconds
        step = round(store.now * 10)
        if step == 4:
            versions["sale"] = 2
        store.away = 20 <= step < 23
        if step == 30:
            raise asyncio.CancelledError

    with suppress(asyncio.CancelledError):
        await report(store, "a", lambda: dict(versions), clock=lambda: store.now, sleep=sleep)
    assert store.heard[:3] == [(0.0, {"sale": 1}), (0.4, {"sale": 2}), (1.4, {"sale": 2})]
    assert [at for at, _ in store.heard[3:]] == [2.4], "what could not be said while the store was away is said after"
