"""The deadline of a store call."""

from __future__ import annotations

import asyncio
import time

import pytest

from waitroom.store.deadline import within

pytestmark = pytest.mark.anyio


async def test_an_answer_in_time_is_returned() -> None:
    assert await within(5, asyncio.sleep(0, "answer")) == "answer"


async def test_a_silent_store_is_given_up_at_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        await within(0.01, asyncio.Event().wait())


async def test_a_stalled_loop_does_not_blame_the_store() -> None:
    """The answer is there before the deadline; this process only looks at it later."""
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    loop.call_later(0.01, time.sleep, 0.2)  # the stall, which begins before the deadline
    loop.call_later(0.02, answer.set_result, "answer")
    assert await within(0.05, answer) == "answer"


async def test_what_the_call_raises_comes_through() -> None:
    async def fails() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await within(5, fails())
