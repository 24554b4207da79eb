"""The desk: what a visitor proves → what the store answers → the cookies and the facts they get.

The gate and Waitroom's own endpoints both stand behind it, so that a place is the same wherever it is asked for. It
answers alone while the store is away, and keeps the three things a process must remember for that: since when, the
last provisional score, and which passes it renewed lately.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.claims import QUEUE_TOKEN_SECONDS, PassClaims, QueueClaims
from waitroom.domain.estimate import wait_range
from waitroom.domain.outcome import outcome_of
from waitroom.domain.polling import SHORTEST_SECONDS, poll_seconds
from waitroom.domain.room import Mode
from waitroom.domain.visit import Answer, Visit
from waitroom.errors import StoreUnavailable, TokenRejected
from waitroom.store.base import Purpose

from .newcomers import NO_ATTEMPT, Newcomers
from .standing import Standing, position_of, standing_of, state_of
from .visitor import (
    PASS,
    QUEUE,
    Asked,
    Header,
    TrustedProxies,
    cookie_name,
    find_origin,
    read_headers,
    set_cookie,
    texts_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from waitroom.domain.room import Room
    from waitroom.logs import Log
    from waitroom.metrics import Metrics
    from waitroom.settings import GatewaySettings
    from waitroom.store.base import RoomRecord, Store
    from waitroom.tokens import Tokens

    from .captcha import Captcha
    from .challenge import Attempt, JoinRate
    from .document import Documents, Outlook

JOINING_MS: Final = 5_000
"""Whoever's score is older did not join just now, but was put back or moved."""
CLOSED_SECONDS: Final = 15
"""How soon to ask again where nobody joins any more."""
UNKNOWN_SECONDS: Final = 5
"""How soon to ask again where the room cannot tell: without a place, or while the store is away."""
SOLVING_SECONDS: Final = 60
"""How long a browser may be at a challenge before it is given another."""
PASS_GRACE_SECONDS: Final = 3_600
"""How long after its session's end a pass is kept and, while the store is away, honoured."""
_REMEMBERED_RENEWALS: Final = 4_096
"""More than are renewed while a browser's requests with the old pass are under way; the oldest go first."""


class Proofs:
    """What a visitor can prove in one room."""

    # One is made for every request, so what most do not bring is not set on the object.
    queue: QueueClaims | None = None
    pass_: PassClaims | None = None
    by_header: bool = False
    """They asked by Authorization, so answers carry tokens in headers too."""
    by_address: bool = False
    """The place came in the address alone: this browser brings no cookies here."""
    carried: frozenset[str] = frozenset()
    """Kinds of which a cookie came, valid or not."""
    rejected: frozenset[str] = frozenset()
    """Kinds of which no cookie that came was valid."""

    def __init__(self, room: str, secure: bool) -> None:
        self.room = room
        self.secure = secure


class Desk:
    """Answers for all rooms of one gateway process."""

    def __init__(
        self,
        settings: GatewaySettings,
        store: Store,
        documents: Documents,
        tokens: Tokens,
        metrics: Metrics,
        log: Log,
        new_visitor: Callable[[], str],
        captcha: Captcha | None = None,
        joins: dict[str, JoinRate] | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.documents = documents
        self.tokens = tokens
        self.metrics = metrics
        self.log = log
        self.new_visitor = new_visitor
        self.trusted = TrustedProxies(settings.trusted_proxies)
        self.always_secure = settings.cookie_secure == "always"
        self._away_since_ms: int | None = None
        self._last_provisional_us = 0
        self.newcomers = Newcomers(settings, store, tokens, metrics, log, self.trusted, new_visitor, captcha, joins)
        self._flights: dict[tuple[str, str], asyncio.Task[PassClaims | None]] = {}
        self._renewed: dict[tuple[str, str], PassClaims] = {}

    # Reading.

    def read(self, scope: MutableMapping[str, Any]) -> tuple[Asked, str]:
        """Return what the request's headers say, and the scheme that the visitor used."""
        return self.read_head(scope["headers"], scope.get("client"), scope["scheme"])

    def read_head(self, headers: Iterable[Header], client: tuple[str, int] | None, scheme: str) -> tuple[Asked, str]:
        """Do the same without a scope; `client` is the immediate peer."""
        peer = client[0] if client else ""
        asked = read_headers(headers, trusted=peer in self.trusted)
        asked.peer = peer
        if asked.forwarding:
            scheme = find_origin(peer, scheme, asked.forwarding, self.trusted).scheme
        return asked, scheme

    def find_pass(self, asked: Asked, room: str, scheme: str) -> Proofs:
        """Read the pass alone; the first valid one counts. A queue token is for `find_place`."""
        proofs = Proofs(room, self.always_secure or scheme == "https")
        if asked.token:
            proofs.by_header = True
        if not asked.own_cookies and not asked.token:
            return proofs
        for text in texts_of(asked, PASS, room, proofs.secure):
            try:
                proofs.pass_ = self.tokens.read_pass(text, room)
            except TokenRejected as rejection:
                self.metrics.token_rejected(rejection.kind)
                proofs.rejected |= {PASS}
            else:
                proofs.rejected -= {PASS}
                break
        return proofs

    def find_place(self, asked: Asked, proofs: Proofs, in_address: str = "") -> Proofs:
        """Read the queue token as well, and which cookies came; one `in_address` counts when no other is there."""
        if not asked.own_cookies and not asked.token:
            return self._find_in_address(proofs, in_address)
        now_ms = self.store.now_ms()
        for text in texts_of(asked, QUEUE, proofs.room, proofs.secure):
            try:
                proofs.queue = self.tokens.read_queue(text, proofs.room, now_ms)
            except TokenRejected as rejection:
                self.metrics.token_rejected(rejection.kind)
                proofs.rejected |= {QUEUE}
            else:
                proofs.rejected -= {QUEUE}
                break
        for kind in (QUEUE, PASS):
            start = cookie_name(kind, proofs.room, secure=proofs.secure).encode("ascii") + b"="
            if any(pair.startswith(start) for pair in asked.own_cookies):
                proofs.carried |= {kind}
        return self._find_in_address(proofs, in_address)

    def _find_in_address(self, proofs: Proofs, text: str) -> Proofs:
        if text and proofs.queue is None and proofs.pass_ is None:
            try:
                proofs.queue = self.tokens.read_queue(text, proofs.room, self.store.now_ms())
            except TokenRejected as rejection:
                self.metrics.token_rejected(rejection.kind)
            else:
                proofs.by_address = True
        return proofs

    # Asking the store.

    async def enter(
        self,
        record: RoomRecord,
        asked: Asked,
        proofs: Proofs,
        purpose: Purpose,
        *,
        attempt: Attempt = NO_ATTEMPT,
        plain: bool = False,
    ) -> Visit:
        """Return the store's answer, or the one that the room's `on_store_loss` gives while the store is away.

        A newcomer with a challenge to pass, or from a network of which too many came, is not let near the queue.
        `attempt` is what came of what they brought; `plain`: they cannot pass one, and few such may come.
        """
        known = proofs.queue or proofs.pass_
        if known is None and purpose is not Purpose.LOOK:
            stopped = await self.newcomers.stopped(record, asked, purpose, attempt=attempt, plain=plain)
            if stopped is not None:
                return stopped
        made = known or attempt.passed
        visitor = made.visitor if made else self.new_visitor()
        try:
            visit = await self.store.enter(record.room.name, visitor, claims=proofs.queue, purpose=purpose)
        except StoreUnavailable as error:
            self._away(error)
            return self._alone(record, visitor, proofs, purpose)
        self._back()
        if visit.answer is Answer.ADMITTED and visit.score_us and purpose is not Purpose.LOOK:
            self._note_wait(record.room, visit, proofs.queue)
        return visit

    def _note_wait(self, room: Room, visit: Visit, claims: QueueClaims | None) -> None:
        """Count how long somebody who enters has waited, and whether the range that they were told came true."""
        waited_ms = max(0, visit.now_ms - visit.score_us // 1000)
        self.metrics.wait_seconds(room.name, waited_ms / 1000)
        to_come_ms = min(waited_ms, max(0, room.claim_seconds * 1000 - visit.left_ms))
        shown = None if claims is None else claims.told
        outcome = outcome_of(shown, (waited_ms - to_come_ms) / 1000)
        self.metrics.estimate(room.name, outcome.kind, outcome.error_seconds, shown)

    def _alone(self, record: RoomRecord, visitor: str, proofs: Proofs, purpose: Purpose) -> Visit:
        room, now_ms = record.room, self.store.now_ms()
        score_us, session_end_ms = 0, 0
        if room.mode is Mode.CLOSED:
            answer = Answer.CLOSED
        elif (
            room.on_store_loss == "admit"
            and room.mode_at(now_ms) is Mode.ON
            and purpose in {Purpose.CLAIM, Purpose.DIRECT}
        ):
            answer = Answer.ADMITTED
            session_end_ms = now_ms + room.session_seconds * 1000
            self.metrics.provisional(room.name)
        elif proofs.queue is not None:
            answer, score_us = Answer.WAITING, proofs.queue.score_us
        elif purpose in {Purpose.DIRECT, Purpose.LOOK}:
            answer = Answer.REFUSED
        else:
            answer = Answer.WAITING
            score_us = self._last_provisional_us = max(self._last_provisional_us + 1, now_ms * 1000)
            self.metrics.provisional(room.name)
        return Visit(
            answer, visitor, now_ms, "", record.epoch, score_us, session_end_ms=session_end_ms, provisional=True
        )

    async def renew(self, claims: PassClaims, refresh_ms: int) -> PassClaims | None:
        """Return a fresh pass in place of a stale one, or None when the session is over.

        One call at a time for each visitor, and none while a pass renewed lately is fresh: browsers send many
        requests at once, all with the old cookie. Raises `StoreUnavailable`.
        """
        key = claims.room, claims.visitor
        lately = self._renewed.get(key)
        if lately is not None and lately.fresh(self.store.now_ms(), refresh_ms):
            return lately
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.ensure_future(self._renew(claims))
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    async def _renew(self, claims: PassClaims) -> PassClaims | None:
        try:
            renewal = await self.store.renew(claims.room, claims)
        except StoreUnavailable as error:
            self._away(error)
            raise
        self._back()
        if not renewal.active:
            return None
        return PassClaims(claims.room, claims.visitor, renewal.now_ms, renewal.session_end_ms, renewal.generation)

    def _landed(self, key: tuple[str, str], flight: asyncio.Task[PassClaims | None]) -> None:
        self._flights.pop(key, None)
        if flight.cancelled() or flight.exception() is not None:
            return
        renewed = flight.result()
        self._renewed.pop(key, None)
        if renewed is None:
            return
        if len(self._renewed) >= _REMEMBERED_RENEWALS:
            del self._renewed[next(iter(self._renewed))]
        self._renewed[key] = renewed

    def honours(self, claims: PassClaims) -> bool:
        """Whether a pass that cannot be renewed because the store is away still opens the door.

        Yes, unless its session was over long before the store went away.
        """
        since_ms = self._away_since_ms if self._away_since_ms is not None else self.store.now_ms()
        return claims.session_end_ms + PASS_GRACE_SECONDS * 1000 > since_ms

    async def leave(self, proofs: Proofs) -> bool:
        """Give up the place or the session; raises `StoreUnavailable`. True when there was one."""
        left = False
        if proofs.pass_ is not None:
            left = await self.release(proofs.pass_)
        for visitor in {claims.visitor for claims in (proofs.queue, proofs.pass_) if claims is not None}:
            left = await self.store.leave(proofs.room, visitor) or left
        return left

    async def release(self, claims: PassClaims) -> bool:
        """End a session; raises `StoreUnavailable`. True when it was active."""
        self._renewed.pop((claims.room, claims.visitor), None)
        return await self.store.release(claims.room, claims.visitor, generation=claims.generation)

    def _away(self, error: StoreUnavailable) -> None:
        if self._away_since_ms is None:
            self._away_since_ms = self.store.now_ms()
            self.log.warning("store_away", reason=error.reason)

    def _back(self) -> None:
        if self._away_since_ms is not None:
            away_ms, self._away_since_ms = self.store.now_ms() - self._away_since_ms, None
            self.log.info("store_back", away_seconds=round(away_ms / 1000, 3))

    # Answering.

    def place_of(self, visit: Visit, proofs: Proofs, page: Standing | None = None) -> QueueClaims | None:
        """Return the claims of the place that `visit` tells of; `page` is what a page says of it now, if one does."""
        if visit.provisional and proofs.queue is not None:
            return proofs.queue
        if visit.answer not in {Answer.WAITING, Answer.CALLED, Answer.MISSED} or not visit.score_us:
            return None
        told = self._told(visit, proofs)
        return QueueClaims(
            proofs.room,
            visit.visitor,
            visit.score_us,
            visit.epoch,
            visit.generation,
            visit.provisional,
            told,
            (page and page.lasting_position) or least_position(visit, proofs),
        )

    def _told(self, visit: Visit, proofs: Proofs) -> tuple[int, int | None] | None:
        """Return the range that a visitor was told at joining, which may be now; None once their turn was missed."""
        outlook = self.documents.outlook(proofs.room)
        missed = visit.answer is Answer.WAITING and outlook is not None and visit.score_us <= outlook.frontier_us
        if visit.answer is Answer.MISSED or missed:
            return None
        if proofs.queue is not None and proofs.queue.score_us == visit.score_us:
            return proofs.queue.told
        joins_now = visit.now_ms - visit.score_us // 1000 < JOINING_MS
        return wait_range(visit.position, outlook.waits) if outlook is not None and joins_now else None

    def place_headers(self, visit: Visit, proofs: Proofs, place: QueueClaims | None) -> list[Header]:
        """Return the cookies for somebody who is not let in: their place if it changed, and none that are worthless."""
        headers = []
        if place is not None:
            if place != proofs.queue or proofs.by_address:
                left_seconds = place.score_us // 1_000_000 + QUEUE_TOKEN_SECONDS - visit.now_ms // 1000
                headers.append(self._cookie(QUEUE, proofs, self.tokens.sign_queue(place), max(1, left_seconds)))
            if PASS in proofs.carried:
                headers.append(self._no_cookie(PASS, proofs))
            if proofs.by_header:
                headers.append((b"waitroom-token", self.tokens.sign_queue(place).encode("ascii")))
        else:
            headers += [self._no_cookie(kind, proofs) for kind in sorted(proofs.rejected & proofs.carried)]
        return headers

    def admission_headers(self, visit: Visit, proofs: Proofs) -> tuple[PassClaims, list[Header]]:
        """Return the pass of somebody who is let in, and the headers that bring it."""
        claims = PassClaims(
            proofs.room, visit.visitor, visit.now_ms, visit.session_end_ms, visit.generation, visit.provisional
        )
        headers = self.pass_headers(claims, proofs)
        if QUEUE in proofs.carried:
            headers.append(self._no_cookie(QUEUE, proofs))
        return claims, headers

    def pass_headers(self, claims: PassClaims, proofs: Proofs) -> list[Header]:
        """Return the headers that bring a pass."""
        text = self.tokens.sign_pass(claims)
        left_seconds = (claims.session_end_ms - claims.issued_ms) // 1000 + PASS_GRACE_SECONDS
        headers = [self._cookie(PASS, proofs, text, left_seconds)]
        if proofs.by_header:
            headers.append((b"waitroom-pass", text.encode("ascii")))
        return headers

    def farewell_headers(self, proofs: Proofs) -> list[Header]:
        """Return the cookies for somebody who is done: none left."""
        return [self._no_cookie(kind, proofs) for kind in (QUEUE, PASS)]

    def _cookie(self, kind: str, proofs: Proofs, text: str, max_age_seconds: int) -> Header:
        name = cookie_name(kind, proofs.room, secure=proofs.secure)
        return set_cookie(name, text, max_age_seconds=max_age_seconds, secure=proofs.secure)

    def _no_cookie(self, kind: str, proofs: Proofs) -> Header:
        return self._cookie(kind, proofs, "", 0)

    def standing(
        self, record: RoomRecord, visit: Visit | None, proofs: Proofs | None = None, *, active: bool = False
    ) -> Standing:
        """Return what a visitor may know. Without a visit: of somebody unknown, or of the holder of a pass (`active`).

        The position is never more than the least that their pages have shown.
        """
        room = record.room
        outlook = self.documents.outlook(room.name)
        state = state_of(room, visit, active=active)
        visitor, position = "", 0
        if visit is not None:
            visitor = "" if state == "new" else visit.visitor
            position = position_of(state, visit, 0 if proofs is None else least_position(visit, proofs))
        elif active and proofs is not None and proofs.pass_ is not None:
            visitor = proofs.pass_.visitor
        return standing_of(
            record,
            state,
            visit,
            self.store.last_census(room.name),
            now_ms=self.store.now_ms() if visit is None else visit.now_ms,
            visitor=visitor,
            cookies_off=proofs is not None and proofs.by_address,
            position=position,
            wait=None if outlook is None else wait_range(position, outlook.waits),
            admitted_per_minute=0 if outlook is None else outlook.admitted_per_minute,
            poll_after_seconds=_poll_after_seconds(state, position, outlook, 0 if visit is None else visit.left_ms),
        )


def least_position(visit: Visit, proofs: Proofs) -> int:
    """Return the least position that pages have shown to the visitor of this place; 0 when none has."""
    claims = proofs.queue
    return claims.least_position if claims is not None and claims.score_us == visit.score_us else 0


def _poll_after_seconds(state: str, position: int, outlook: Outlook | None, left_ms: int) -> int:
    """Return when a visitor should ask for their own standing again."""
    if state == "closed":
        return CLOSED_SECONDS
    if state == "challenged":
        return SOLVING_SECONDS
    if state == "blocked":
        return max(UNKNOWN_SECONDS, ceil(left_ms / 1000))
    if outlook is None or state not in {"waiting", "called"}:
        return UNKNOWN_SECONDS
    return ceil(poll_seconds(position, outlook.polls) if state == "waiting" else SHORTEST_SECONDS)
