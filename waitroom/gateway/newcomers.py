"""Who may not join yet: newcomers whose network sent too many, or whose browser owes some work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.room import Mode
from waitroom.domain.visit import Answer, Visit
from waitroom.errors import StoreUnavailable, TokenRejected
from waitroom.store.base import Purpose

from .network import network_of
from .puzzle import EASIEST, JoinRate, Puzzles, work

if TYPE_CHECKING:
    from collections.abc import Callable

    from waitroom.domain.room import Room
    from waitroom.metrics import Metrics
    from waitroom.settings import GatewaySettings
    from waitroom.store.base import RoomRecord, Store
    from waitroom.tokens import Tokens

    from .visitor import Asked, TrustedProxies

PLAIN_JOINS_PER_NETWORK: Final = 10
"""How many a minute may join without the puzzle that others must solve, for want of scripts."""
_UNKNOWN: Final = "unknown"


class Newcomers:
    """Judges newcomers to all rooms of one gateway process."""

    def __init__(
        self,
        settings: GatewaySettings,
        store: Store,
        tokens: Tokens,
        metrics: Metrics,
        trusted: TrustedProxies,
        new_visitor: Callable[[], str],
    ) -> None:
        self._bits = settings.network_bits_ipv4, settings.network_bits_ipv6
        self._store = store
        self._tokens = tokens
        self._metrics = metrics
        self._trusted = trusted
        self._new_visitor = new_visitor
        self._puzzles = Puzzles(tokens.puzzle_keys, os.urandom)
        self._joins: dict[str, JoinRate] = {}

    async def stopped(
        self, record: RoomRecord, asked: Asked, purpose: Purpose, *, solved: bool, plain: bool
    ) -> Visit | None:
        """Return what a newcomer is told who may not join or enter now; None for who may, and is counted.

        `plain`: they cannot solve a puzzle, and few such may come.
        """
        room, left_ms = record.room, 0
        if not solved and self._work(room):
            if not plain:
                answer = Answer.REFUSED if purpose is Purpose.DIRECT else Answer.CHALLENGED
                return Visit(answer, "", self._store.now_ms(), "", record.epoch)
            # Those of whom no network can be told are counted as one, or a proxy that says nothing would open a way
            # around all work.
            network = self._network_of(asked) or _UNKNOWN
            left_ms = await self._count(room, f"plain {network}", PLAIN_JOINS_PER_NETWORK)
        if not left_ms and room.joins_per_network is not None and self._may_come_in(room, purpose):
            network = self._network_of(asked)
            left_ms = await self._count(room, network, room.joins_per_network) if network else 0
        return Visit(Answer.BLOCKED, "", self._store.now_ms(), "", record.epoch, left_ms=left_ms) if left_ms else None

    def puzzle(self, room: Room, visit: Visit | None) -> dict[str, Any] | None:
        """Return the puzzle for somebody who must solve one; None for everybody else."""
        if visit is None or visit.answer is not Answer.CHALLENGED:
            return None
        most = max(EASIEST, self._work(room))
        return self._puzzles.make(room.name, self._new_visitor(), self._store.now_ms(), most)

    def solved_by(self, room: Room, solution: str) -> str:
        """Return the visitor that a solution makes; "" when it is none."""
        try:
            return self._puzzles.solved_by(solution, room.name, self._store.now_ms())
        except TokenRejected as rejection:
            self._metrics.token_rejected(rejection.kind)
            return ""

    def _work(self, room: Room) -> int:
        """Return how many numbers a newcomer must look through before joining; 0 for none."""
        if room.challenge == "off" or room.mode in {Mode.CLOSED, Mode.OFF}:
            return 0
        joins = self._joins.setdefault(room.name, JoinRate())
        a_minute = joins.a_minute(self._store.last_census(room.name))
        return work(room.challenge, a_minute, room.rate_at(self._store.now_ms()))

    def _may_come_in(self, room: Room, purpose: Purpose) -> bool:
        """Whether the request may make a place or a session at all; if not, it is not counted."""
        census = self._store.last_census(room.name)
        in_vain = purpose is Purpose.DIRECT and census is not None and census.waiting > 0
        return room.mode not in {Mode.CLOSED, Mode.OFF} and not in_vain

    def _network_of(self, asked: Asked) -> str:
        ipv4_bits, ipv6_bits = self._bits
        return network_of(asked, self._trusted, ipv4_bits=ipv4_bits, ipv6_bits=ipv6_bits)

    async def _count(self, room: Room, network: str, most: int) -> int:
        """Count a newcomer and return 0, or the ms until the next of their network may come."""
        try:
            return await self._store.count_join(room.name, self._tokens.blinded(network), most_a_minute=most)
        except StoreUnavailable:
            return 0  # what a newcomer gets while the store is away is for the desk to say
