"""What a process does beside answering."""

from __future__ import annotations

import asyncio
import io

import pytest

from waitroom import logs
from waitroom.background import Background

pytestmark = pytest.mark.anyio


async def test_what_breaks_is_told_at_once_and_the_others_go_on_until_the_end() -> None:
    written = io.StringIO()
    background = Background(logs.Log("gateway", logs.Sink(written, style="json")))
    ended = asyncio.Event()

    async def breaks() -> None:
        raise ValueError("secret")

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    background.begin("report", breaks())
    background.begin("beat", goes_on())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert '"task": "report"' in written.getvalue()
    assert "secret" not in written.getvalue()
    assert not ended.is_set()
    await background.end()
    assert ended.is_set()
    assert written.getvalue().count("background_broke") == 1
