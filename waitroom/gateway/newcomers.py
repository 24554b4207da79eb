"""Who may not join yet: newcomers whose network sent too many, or who have a challenge to pass first."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from waitroom.domain.room import Mode
from waitroom.domain.visit import Answer, Visit
from waitroom.errors import StoreUnavailable, TokenRejected
from waitroom.store.base import Purpose

from .captcha import Outcome
from .challenge import Attempt, Challenge, Demand, JoinRate, Kind, Passed, demand
from .network import network_of
from .puzzle import Puzzles, work
from .visitor import find_origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from waitroom.domain.room import Room
    from waitroom.logs import Log
    from waitroom.metrics import Metrics
    from waitroom.settings import GatewaySettings
    from waitroom.store.base import RoomRecord, Store
    from waitroom.tokens import Tokens

    from .captcha import Captcha
    from .visitor import Asked, TrustedProxies

PLAIN_JOINS_PER_NETWORK: Final = 10
"""How many a minute may join without the challenge that others must pass, for want of scripts."""
NO_ATTEMPT: Final = Attempt()
AGAIN_SECONDS: Final = 5
"""When a response that could not be judged may be brought again."""
_UNKNOWN: Final = "unknown"


class Newcomers:
    """Judges newcomers to all rooms of one gateway process."""

    def __init__(
        self,
        settings: GatewaySettings,
        store: Store,
        tokens: Tokens,
        metrics: Metrics,
        log: Log,
        trusted: TrustedProxies,
        new_visitor: Callable[[], str],
        captcha: Captcha | None,
        joins: dict[str, JoinRate] | None = None,
    ) -> None:
        self._bits = settings.network_bits_ipv4, settings.network_bits_ipv6
        self._store = store
        self._tokens = tokens
        self._metrics = metrics
        self._log = log
        self._trusted = trusted
        self._new_visitor = new_visitor
        self._captcha = captcha
        self._puzzles = Puzzles(tokens.puzzle_keys, os.urandom)
        self._joins = {} if joins is None else joins
        self._without_captcha: set[str] = set()
        """Rooms of which it was said that the CAPTCHA they want is not set up."""

    async def stopped(
        self, record: RoomRecord, asked: Asked, purpose: Purpose, *, attempt: Attempt, plain: bool
    ) -> Visit | None:
        """Return what a newcomer is told who may not join or enter now; None for who may, and is counted.

        `plain`: they cannot pass a challenge, and few such may come.
        """
        room, left_ms = record.room, 0
        wanted = self._demand(room)
        if wanted is not None and (attempt.passed is None or attempt.passed.kind < wanted.worth):
            if not plain:
                answer = Answer.REFUSED if purpose is Purpose.DIRECT else Answer.CHALLENGED
                kind = self._kind_asked(wanted, service_away=attempt.service_away)
                return Visit(answer, "", self._store.now_ms(), "", record.epoch, challenge=kind.word)
            # Those of whom no network can be told are counted as one, or a proxy that says nothing would open a way
            # around all challenges.
            network = self._network_of(asked) or _UNKNOWN
            left_ms = await self._count(room, f"plain {network}", PLAIN_JOINS_PER_NETWORK)
        if not left_ms and room.joins_per_network is not None and self._may_come_in(room, purpose):
            network = self._network_of(asked)
            left_ms = await self._count(room, network, room.joins_per_network) if network else 0
        return Visit(Answer.BLOCKED, "", self._store.now_ms(), "", record.epoch, left_ms=left_ms) if left_ms else None

    def challenge(self, room: Room, visit: Visit | None) -> Challenge | None:
        """Return the challenge for somebody who must pass one; None for everybody else."""
        if visit is None or visit.answer is not Answer.CHALLENGED:
            return None
        if self._captcha is not None and visit.challenge == Kind.CAPTCHA.word:
            return Challenge({"captcha": self._captcha.facts(room.name)}, "check.js", self._captcha.sources)
        wanted = self._demand(room) or Demand(Kind.WORK, 1.0)
        if self._captcha is None and wanted.worth is Kind.CAPTCHA and room.name not in self._without_captcha:
            self._without_captcha.add(room.name)
            self._log.warning("captcha_not_set_up", room=room.name, newcomers="work")
        now_ms, most = self._store.now_ms(), work(wanted.share)
        return Challenge(
            {"puzzle": self._puzzles.make(room.name, self._new_visitor(), now_ms, most, wanted.worth)}, "solve.js"
        )

    async def attempt(self, room: Room, asked: Asked, body: bytes) -> Attempt:
        """Return what comes of the `solution` or the `captcha` in the JSON that a newcomer brought, if anything."""
        try:
            brought = json.loads(body)
            solution, response = brought.get("solution"), brought.get("captcha")
        except (ValueError, AttributeError, RecursionError):
            return NO_ATTEMPT
        if isinstance(solution, str):
            return Attempt(self._solved(room, solution))
        wanted = self._demand(room)
        if not isinstance(response, str) or self._captcha is None or wanted is None:
            return NO_ATTEMPT
        if self._kind_asked(wanted) is not Kind.CAPTCHA:
            return NO_ATTEMPT
        outcome, visitor = await self._captcha.check(
            response,
            room=room.name,
            host=asked.host,
            address=find_origin(asked.peer, "", asked.forwarding, self._trusted).address,
            new_visitor=self._new_visitor,
        )
        if outcome is Outcome.PASSED:
            passed = Passed(visitor, Kind.CAPTCHA)
            return Attempt(passed, self._puzzles.solved(room.name, passed, self._store.now_ms()))
        away = outcome is Outcome.AWAY
        held = outcome is Outcome.BUSY or (away and not self._captcha.falls_back)
        return Attempt(service_away=away, retry_seconds=AGAIN_SECONDS if held else 0)

    def _solved(self, room: Room, solution: str) -> Passed | None:
        try:
            return self._puzzles.solved_by(solution, room.name, self._store.now_ms())
        except TokenRejected as rejection:
            self._metrics.token_rejected(rejection.kind)
            return None

    def _demand(self, room: Room) -> Demand | None:
        """Return what a newcomer must pass before joining; None for nothing."""
        if (room.challenge == "off" and room.captcha == "off") or room.mode in {Mode.CLOSED, Mode.OFF}:
            return None
        joins = self._joins.setdefault(room.name, JoinRate())
        a_minute = joins.a_minute(self._store.last_census(room.name))
        return demand(room, a_minute, room.rate_at(self._store.now_ms()))

    def _kind_asked(self, wanted: Demand, *, service_away: bool = False) -> Kind:
        """Return what is put to a newcomer: work stands in for a CAPTCHA whose service is away, or that none is for."""
        if wanted.worth is not Kind.CAPTCHA:
            return wanted.worth
        captcha = self._captcha
        if captcha is None or (captcha.falls_back and (service_away or captcha.away)):
            return Kind.WORK
        return Kind.CAPTCHA

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
