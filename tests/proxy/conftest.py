"""The proxy runs on uvloop and is tested on both loops, for their transports differ."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(
    scope="session",
    params=[("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})],
    ids=["uvloop", "asyncio"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param
