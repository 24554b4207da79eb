"""The shared document of a running Waitroom: one for all gateways, soon true, honest while the store is away."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.stage import (
    ADMIN_TOKEN,
    AS_SHIPPED_MS,
    Visitor,
    breakable_store,
    observing_site,
    serving,
    visitors,
    write_config,
)
from waitroom.domain.sketch import position_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.journeys.stage import Serving

pytestmark = [pytest.mark.anyio, pytest.mark.journey]
URL = "/.waitroom/sale/queue.json"
WAITING = 60
PATIENCE_SECONDS = 30


def say(running: Serving, text: str) -> None:
    body = json.dumps({"changes": {"message": text}, "reason": "journey"}).encode()
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/json"}
    request = urllib.request.Request(f"{running.admin_url}/api/v1/rooms/sale", body, headers, method="PATCH")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def metrics(running: Serving) -> str:
    with urllib.request.urlopen(f"{running.admin_url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


async def document(visitor: Visitor) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await visitor.fetch(URL)).body)
    return found


async def until(visitor: Visitor, holds: Callable[[dict[str, Any]], bool]) -> tuple[dict[str, Any], float]:
    """Ask until the document is so; return it, and how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_SECONDS:
        found = await document(visitor)
        if holds(found):
            return found, time.monotonic() - began
        await asyncio.sleep(0.02)
    raise AssertionError(f"after {PATIENCE_SECONDS} s the document is {found}")


async def test_the_shared_document_is_one_for_all_soon_true_and_honest(tmp_path: Path) -> None:
    with breakable_store(tmp_path) as store:
        async with observing_site() as site:
            backend = f"http://127.0.0.1:{site.port}"
            config = write_config(
                tmp_path, backend=backend, store=store.url, deadline_ms=AS_SHIPPED_MS, workers=2, rate=60, burst=1
            )
            with serving(config, tmp_path, ready=2) as running:
                async with visitors(running.port, WAITING, timeout_seconds=30) as crowd:
                    for visitor in crowd:
                        await visitor.patiently("/")
                    waiting = crowd[-10:]

                    # Many connections, so both workers answer: whatever was counted at one moment is told in the same bytes.
                    told: dict[int, set[bytes]] = {}
                    for _ in range(25):
                        for answer in await asyncio.gather(*(visitor.fetch(URL) for visitor in crowd)):
                            told.setdefault(json.loads(answer.body)["made_ms"], set()).add(answer.body)
                        await asyncio.sleep(0.1)
                    assert len(told) >= 3
                    assert {len(bodies) for bodies in told.values()} == {1}

                    # What the sketch tells and what each is told for themselves agree but for who was called meanwhile.
                    found, _ = await until(waiting[0], lambda now: now["view"] == "waiting")
                    read_at = time.monotonic()
                    for visitor in waiting:
                        own = await visitor.standing()
                        read = position_of(own["score_us"], found["sketch"], found["waiting"])
                        called = time.monotonic() - read_at  # one a second
                        assert 0 <= read - own["position"] <= 3 + called
                        assert own["wait"] is not None

                    say(running, "More stock at noon.")
                    found, seconds = await until(waiting[0], lambda now: now["message"] is not None)
                    assert found["message"]["text"] == {"*": "More stock at noon."}
                    assert seconds < 5, "a page asks each second; the rest is a busy machine's"

                    # Whoever is called enters, and it is counted whether the range told at joining held.
                    await crowd[1].enter(poll_seconds=0.2)
                    assert 'waitroom_estimates_total{outcome="held",room="sale"} 1.0' in metrics(running)

                    assert store.process is not None
                    store.process.send_signal(signal.SIGSTOP)
                    found, _ = await until(waiting[0], lambda now: now["view"] == "reconnecting")
                    found, _ = await until(waiting[0], lambda now: now["age_seconds"] >= 2)
                    assert (found["waits"], found["message"]["text"]["*"]) == ([], "More stock at noon.")
                    store.process.send_signal(signal.SIGCONT)
                    found, _ = await until(waiting[0], lambda now: now["view"] == "waiting")
                    assert found["age_seconds"] == 0
