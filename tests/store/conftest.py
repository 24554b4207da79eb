"""The real and the simulated store under one contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.bench import Bench
from tests.store.simulated import SimulatedServer
from waitroom.store.connect import open_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from waitroom.store.client import Client


@pytest.fixture(params=["fakeredis", "valkey"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """An empty store, simulated and real."""
    client: Client
    if request.param == "valkey":
        client = open_client(request.getfixturevalue("valkey_url"), deadline_ms=5_000)
    else:
        client = SimulatedServer()
    yield Bench(client)
    await client.aclose()
