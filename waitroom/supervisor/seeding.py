"""Seeding: the rooms of the configuration go into the store as soon as it answers, unless it is unfit for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from waitroom.errors import Refused, StartError, StoreError

if TYPE_CHECKING:
    from waitroom.logs import Log
    from waitroom.settings import Settings

SAY_AGAIN_SECONDS: Final = 5.0


async def seed(settings: Settings, log: Log, *, ours: bool) -> str:
    """Write what `settings` say of the rooms into the store, as soon as it answers; return why it cannot be used.

    A store that is not `ours` is looked at first.
    """
    from waitroom.store.connect import open_store

    inspected = ours
    clock = asyncio.get_running_loop().time
    say_at = 0.0
    store = open_store(
        settings.store.url,
        settings.rooms,
        deadline_ms=max(1_000, settings.store.deadline_ms),
        replicas=settings.store.replicas_acknowledge,
    )
    try:
        while True:
            try:
                if not inspected and (refusal := await _inspect(settings, log)):
                    return refusal
                inspected = True
                await store.seed()
            except StoreError as error:
                if clock() >= say_at:
                    say_at = clock() + SAY_AGAIN_SECONDS
                    log.warning("store_away", reason=error.reason, doing="waits, and serves provisionally")
                await asyncio.sleep(0.5)
            except StartError as error:
                log.error("store_refused", reason=error.reason)  # noqa: TRY400  # foreseen: the reason says it all
                return error.reason
            except (Refused, ValueError) as error:
                log.error(  # noqa: TRY400  # foreseen
                    "seed_refused", reason=str(error), doing="the store keeps the rooms as they were"
                )
                return ""
            else:
                log.info("rooms_seeded", rooms=len(settings.rooms))
                return ""
    finally:
        await store.aclose()


async def _inspect(settings: Settings, log: Log) -> str:
    """Look at a store that is not ours, tell what is better changed, and return why it cannot be used."""
    from waitroom.store.inspection import inspect_store

    found = await inspect_store(
        settings.store.url,
        deadline_ms=max(1_000, settings.store.deadline_ms),
        replicas=settings.store.replicas_acknowledge,
    )
    for server in found.servers:
        log.info("store_ready", kind=server)
    for advice in found.advice:
        log.warning("store_advice", advice=advice)
    for refusal in found.refusals:
        log.error("store_refused", reason=refusal)
    return "; ".join(found.refusals)
