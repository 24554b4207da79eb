"""Sessions that the site ended while the store was away: their slots are freed as soon as it is back.

Without this each would hold its slot until the session ends by itself, and those who wait would pay for it. A process
that dies takes what it owes along; then sessions do end by themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from waitroom.errors import StoreUnavailable

if TYPE_CHECKING:
    from waitroom.domain.claims import PassClaims
    from waitroom.logs import Log
    from waitroom.metrics import Metrics
    from waitroom.store.base import Store

MOST: Final = 20_000
"""As many are remembered, the latest; about 10 MB."""
AT_ONCE: Final = 200
"""As many are made up for after one beat, so that visitors' calls do not stand behind them."""


class Farewells:
    """What one gateway process owes the store. It outlives a reload."""

    def __init__(self, store: Store, metrics: Metrics, log: Log) -> None:
        self._store = store
        self._metrics = metrics
        self._log = log
        self._owed: dict[tuple[str, str], PassClaims] = {}

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, claims: PassClaims, reason: str) -> None:
        """Remember a release that `reason` kept from the store."""
        if not self._owed:
            self._log.warning("release_postponed", room=claims.room, reason=reason)
        elif len(self._owed) >= MOST:
            del self._owed[next(iter(self._owed))]
        self._owed[claims.room, claims.visitor] = claims

    async def settle(self, room: str) -> None:
        """Make up for what is owed to a room whose store has just answered."""
        due = [claims for claims in self._owed.values() if claims.room == room][:AT_ONCE] if self._owed else []
        if due and (done := sum(await asyncio.gather(*map(self._release, due)))):
            self._log.info("release_made_up", room=room, sessions=done)

    async def _release(self, claims: PassClaims) -> bool:
        try:
            was_active = await self._store.release(claims.room, claims.visitor, generation=claims.generation)
        except StoreUnavailable:
            return False
        self._owed.pop((claims.room, claims.visitor), None)
        if was_active:
            self._metrics.released(claims.room)
        return was_active
