"""Whether this gateway process lives, and whether it is ready to be sent visitors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waitroom.errors import RoomUnknown

from .problems import json_body
from .whole import answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from waitroom.store.base import Store


class Health:
    """`livez` and `readyz`."""

    def __init__(self, store: Store, rooms: Sequence[str]) -> None:
        self._store = store
        self._rooms = rooms

    async def live(self, request: Request) -> Response:
        """200 as long as the process answers at all."""
        return answer(200, *json_body({"live": True}))

    async def ready(self, request: Request) -> Response:
        """200 when visitors can be let in; 503 and why, when they can only be held."""
        reasons = self.reasons()
        return answer(503 if reasons else 200, *json_body({"ready": not reasons, "reasons": reasons}))

    def reasons(self) -> list[str]:
        """Return why this process is not ready; nothing when it is."""
        reasons = []
        if not self._store.available:
            reasons.append("the store does not answer; its breaker is open")
        for room in self._rooms:
            try:
                self._store.record(room)
            except RoomUnknown:
                reasons.append(f"the room {room} is not set up yet")
            else:
                if self._store.last_census(room) is None:
                    reasons.append(f"the room {room} was not heard of from the store yet")
        return reasons
