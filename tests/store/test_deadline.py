"""When a call is given up: at its moment on a loop that runs, a whole deadline later on one that stalled."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from waitroom.store.deadline import Alarm

pytestmark = pytest.mark.anyio


async def fires_after(alarm_seconds: float, *, stall_seconds: float = 0.0) -> float:
    """How long until an alarm of 0.1 s goes off that was set to `alarm_seconds`, with a stall at that moment."""
    loop = asyncio.get_running_loop()
    gone_off = loop.create_future()
    began = loop.time()
    alarm = Alarm(0.1, gone_off.set_result)
    if stall_seconds:
        loop.call_later(alarm_seconds - 0.01, time.sleep, stall_seconds)
    alarm.set(began + alarm_seconds)
    assert alarm.when < math.inf
    now: float = await gone_off
    assert alarm.when == math.inf
    return now - began


async def test_an_alarm_goes_off_when_it_is_due() -> None:
    assert await fires_after(0.03) >= 0.029  # some loops count whole milliseconds


async def test_a_loop_that_stalled_has_a_whole_deadline_more() -> None:
    assert await fires_after(0.03, stall_seconds=0.1) >= 0.02 + 0.1 + 0.1


async def test_an_alarm_set_again_goes_off_once_at_the_later_moment() -> None:
    loop = asyncio.get_running_loop()
    gone_off = loop.create_future()
    began = loop.time()
    alarm = Alarm(0.1, gone_off.set_result)  # a second time would be an error
    alarm.set(began + 0.01)
    alarm.set(began + 0.04)
    assert await gone_off >= began + 0.04
    assert alarm.when == math.inf


async def test_a_cleared_alarm_is_silent() -> None:
    alarm = Alarm(0.1, pytest.fail)  # type: ignore[arg-type]
    alarm.set(asyncio.get_running_loop().time())
    alarm.clear()
    for _ in range(5):
        await asyncio.sleep(0)
    assert alarm.when == math.inf
