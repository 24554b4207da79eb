"""A gate on the real store, with visitors who keep their cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attack.house import House
from tests.gateway.conftest import serve
from tests.store.bench import Bench
from waitroom.store.connect import open_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["serve"]


@pytest.fixture
async def house(valkey_url: str) -> AsyncIterator[House]:
    client = open_client(valkey_url, deadline_ms=5_000)
    yield House(Bench(client))
    await client.aclose()
