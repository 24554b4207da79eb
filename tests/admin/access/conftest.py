"""The house, empty, for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .house import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def house(valkey_url: str) -> AsyncIterator[House]:
    house = House(valkey_url)
    await house.store.seed()
    yield house
    await house.store.aclose()
