"""An admin listener on a real store, one whose store is away, and the house, empty, for each test."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from tests.admin.access.house import House
from tests.admin.test_api import ROOMS, Listener
from waitroom.store.connect import open_operator_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def listener(valkey_url: str) -> AsyncIterator[Listener]:
    async with aclosing(open_operator_store(valkey_url, ROOMS, deadline_ms=5_000)) as store:
        await store.seed()
        yield Listener(store)


@pytest.fixture
async def cut_off() -> AsyncIterator[Listener]:
    """A listener whose store is away."""
    store = open_operator_store("unix:///nonexistent/store.sock", ROOMS, deadline_ms=500)
    yield Listener(store)
    await store.aclose()


@pytest.fixture
async def house(valkey_url: str) -> AsyncIterator[House]:
    house = House(valkey_url)
    async with aclosing(house.store):
        await house.store.seed()
        yield house
