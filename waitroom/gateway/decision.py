"""What becomes of a request, as far as it can be told at once: by room, rules and pass. Nobody is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from waitroom.domain.room import Mode
from waitroom.errors import RoomUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from waitroom.domain.routing import Router
    from waitroom.store.base import RoomRecord

    from .desk import Desk, Proofs
    from .visitor import Asked, Header

UNMATCHED: Final = "unmatched"
OFF: Final = "off"
BYPASS: Final = "bypass"
FRESH: Final = "fresh"
THROUGH: Final = frozenset({UNMATCHED, OFF, BYPASS, FRESH})
"""Verdicts that lead to the site, named as metrics name them; of these only FRESH is of an admitted visitor."""
AMBIGUOUS: Final = "ambiguous"
UNREADY: Final = "unready"
STALE: Final = "stale"
UNPROVEN: Final = "unproven"
"""No pass: it may be let in, or wait."""


@dataclass(slots=True)
class Decision:
    """A verdict, and what it was made of."""

    verdict: str
    room: str
    """Empty for none."""
    asked: Asked
    scheme: str
    """As the visitor used it."""
    record: RoomRecord | None = None
    """Known for STALE and UNPROVEN."""
    proofs: Proofs | None = None
    """Known for FRESH, STALE and UNPROVEN; with a pass for the first two."""


class Decider:
    """Knows the rooms and the desk where passes are read."""

    def __init__(self, desk: Desk, router: Router) -> None:
        self._desk = desk
        self._route = router.route
        self._store = desk.store

    def decide(
        self, method: str, raw_path: bytes, headers: Iterable[Header], client: tuple[str, int] | None, scheme: str
    ) -> Decision:
        """Return what becomes of a request; `client` is the immediate peer, `scheme` what it used with us."""
        asked, scheme = self._desk.read_head(headers, client, scheme)
        route = self._route(method, asked.host, raw_path)
        room = route.room
        if room is None:
            return Decision(AMBIGUOUS if route.ambiguous else UNMATCHED, "", asked, scheme)
        try:
            record = self._store.record(room)
        except RoomUnknown:
            return Decision(UNREADY, room, asked, scheme)
        if record.room.mode is Mode.OFF:
            return Decision(OFF, room, asked, scheme)
        if route.bypass:
            return Decision(BYPASS, room, asked, scheme)
        proofs = self._desk.find_pass(asked, room, scheme)
        claims = proofs.pass_
        verdict = UNPROVEN
        if claims is not None:
            fresh = claims.fresh(self._store.now_ms(), record.room.refresh_seconds * 1000)
            verdict = FRESH if fresh else STALE
        return Decision(verdict, room, asked, scheme, record, proofs)
