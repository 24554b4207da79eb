"""The gate: a fresh pass goes through, a stale one is renewed, without one the store is asked: in, or the waiting page.

The way of a request is DESIGN's: room → pass → place → what those get who must wait. Everything under the prefix is
Waitroom's own and never reaches the site.
"""

from __future__ import annotations

from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.visit import Answer
from waitroom.errors import RoomUnknown, StoreUnavailable
from waitroom.store.base import Purpose

from .address import came_from
from .answer import edited_head, with_cookies, with_renewal, without_own
from .crawlers import RETRY_SECONDS, is_crawler
from .decision import AMBIGUOUS, BYPASS, FRESH, OFF, STALE, THROUGH, UNREADY, Decider
from .document import takes_gzip
from .language import reader_language
from .place import addresses_of
from .problems import plain_problem, problem
from .tunnel import EditedTunnel
from .visitor import read_manner
from .whole import send_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, MutableMapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from waitroom.domain.claims import PassClaims
    from waitroom.domain.routing import Router
    from waitroom.domain.visit import Visit
    from waitroom.store.base import RoomRecord

    from .decision import Decision
    from .desk import Desk, Proofs
    from .direct import Edit, SetOut
    from .exchange import Exchange
    from .farewells import Farewells
    from .page.waiting import WaitingPage
    from .visitor import Asked, Header

_SAFE: Final = frozenset({"GET", "HEAD"})
_DOCUMENT: Final = "/queue.json"
CRAWLER: Final = "crawler"
"""Outcome of a request that a crawler made and that would have had to wait."""


class Gate:
    """ASGI app around `site` (what is protected) and `own` (what lies under the prefix).

    The shared document is served before any routing: it is what all who wait ask for, again and again.
    `site_set_out` is the site's end of the direct way, if it has one.
    """

    def __init__(
        self,
        desk: Desk,
        router: Router,
        page: WaitingPage,
        farewells: Farewells,
        *,
        site: ASGIApp,
        own: ASGIApp,
        site_set_out: SetOut | None = None,
    ) -> None:
        self._desk = desk
        self._decide = Decider(desk, router).decide
        self._page = page
        self._farewells = farewells
        self._site = site
        self._own = own
        self._site_set_out = site_set_out
        self._prefix = desk.settings.prefix
        self._below_prefix = desk.settings.prefix + "/"
        self._store = desk.store
        self._documents = desk.documents
        self._metrics = desk.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._own(scope, receive, send)
            return
        path = scope["path"]
        if self._is_own(path):
            if path.endswith(_DOCUMENT) and scope["method"] in _SAFE:
                answer = self._documents.answer(path[len(self._below_prefix) : -len(_DOCUMENT)])
                if answer is not None:
                    status, headers, body = answer.to(scope["headers"])
                    await send_whole(scope, send, status, headers, body)
                    return
            await self._own(scope, receive, send)
            return
        extensions = scope.get("extensions") or {}
        if b"#" in extensions.get("waitroom.target", b""):
            await _refuse(scope, send, "A request's target has no fragment.")
            return
        decision: Decision = extensions.get("waitroom.decision") or self._decide(
            scope["method"], scope["raw_path"], scope["headers"], scope.get("client"), scope["scheme"]
        )
        verdict, room = decision.verdict, decision.room
        if verdict in THROUGH:
            self._metrics.requests(room, verdict)
            await self._through(decision, scope, receive, send)
            return
        if verdict is AMBIGUOUS:
            self._metrics.requests("", "refused")
            await _refuse(scope, send, "The path can be read in more than one way. Please use its plain form.")
            return
        if verdict is UNREADY:
            await _not_ready(scope, send, room)
            return
        asked, record, proofs = decision.asked, decision.record, decision.proofs
        assert record is not None
        assert proofs is not None
        inner = {**scope, "headers": asked.headers, "scheme": decision.scheme}
        try:
            if verdict is STALE and await self._renewed(record, proofs, inner, receive, send):
                return
            await self._without_pass(record, asked, proofs, inner, receive, send)
        except RoomUnknown:  # it was removed while the store was asked
            await _not_ready(scope, send, room)

    def _is_own(self, path: str) -> bool:
        return path.startswith(self._prefix) and (path.startswith(self._below_prefix) or path == self._prefix)

    # In.

    def set_out(self, exchange: Exchange) -> bool:
        """Send a request to the site by the direct way. False: it must go the ordinary way, with what was decided."""
        request, connection = exchange.request, exchange.connection
        if self._site_set_out is None or self._is_own(request.decoded_path()):
            return False
        method, client = request.method, connection.client
        decision = self._decide(method, request.path, request.headers, client, connection.scheme or "http")
        verdict, room = decision.verdict, decision.room
        headers = decision.asked.headers
        edit: Edit = _passed_by
        if verdict not in THROUGH:
            exchange.decision = decision
            return False
        if verdict is FRESH:
            proofs = decision.proofs
            assert proofs is not None
            assert proofs.pass_ is not None
            headers, edit = headers + _introduction(room, proofs.pass_.visitor), _served
        trip = self._site_set_out(
            exchange,
            method,
            request.target,
            headers,
            edit,
            client[0] if client else None,
            decision.scheme,
            request.version,
        )
        if trip is None:
            exchange.decision = decision
            return False
        exchange.set_out(trip, partial(self._through, decision))
        self._metrics.requests(room, verdict)
        return True

    async def _through(self, decision: Decision, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the site whose way is clear."""
        inner = {**scope, "headers": decision.asked.headers, "scheme": decision.scheme}
        if decision.verdict is FRESH:
            proofs = decision.proofs
            assert proofs is not None
            assert proofs.pass_ is not None
            await self._serve(proofs.pass_, proofs, inner, receive, send)
        else:
            await self._pass_by(inner, receive, send)

    async def _pass_by(self, inner: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the site that needs no pass."""

        def watch(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = _passed_by(message["headers"])
            return send(message)

        await self._site(_with_tunnel(inner, ()), receive, watch)

    def _serve(
        self,
        claims: PassClaims,
        proofs: Proofs,
        inner: Scope,
        receive: Receive,
        send: Send,
        *,
        cookies: Sequence[Header] = (),
        renewal: bool = False,
    ) -> Awaitable[None]:
        """Send the request of an admitted visitor to the site, and `cookies` back on its answer."""
        inner["headers"] += _introduction(claims.room, claims.visitor)

        def watch(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers, released = without_own(message["headers"])
                if released:
                    return self._release(claims, proofs, {**message, "headers": headers}, send)
                if cookies:
                    edit = (
                        with_renewal(inner["method"], headers, cookies) if renewal else with_cookies(headers, cookies)
                    )
                    message["headers"] = edit
                else:
                    message["headers"] = headers
            return send(message)

        return self._site(_with_tunnel(inner, cookies), receive, watch)

    async def _release(self, claims: PassClaims, proofs: Proofs, message: Message, send: Send) -> None:
        """End the session, as the site's answer asks, before the answer goes on."""
        try:
            if await self._desk.release(claims):
                self._metrics.released(claims.room)
        except StoreUnavailable as error:
            self._farewells.owe(claims, error.reason)
        except RoomUnknown:
            pass  # it was removed while the site worked on this: the session ended with it
        message["headers"] = with_cookies(message["headers"], self._desk.farewell_headers(proofs))
        await send(message)

    async def _renewed(self, record: RoomRecord, proofs: Proofs, inner: Scope, receive: Receive, send: Send) -> bool:
        """Serve the holder of a stale pass, with a new one if the store gives it. False when the session is over."""
        claims = proofs.pass_
        assert claims is not None
        try:
            renewed = await self._desk.renew(claims, record.room.refresh_seconds * 1000)
        except StoreUnavailable:
            if not self._desk.honours(claims):
                return False
            self._metrics.pass_without_store(claims.room)
            self._metrics.requests(claims.room, "store_away")
            await self._serve(claims, proofs, inner, receive, send)
            return True
        if renewed is None:
            return False
        self._metrics.requests(claims.room, "renewed")
        cookies = self._desk.pass_headers(renewed, proofs)
        await self._serve(renewed, proofs, inner, receive, send, cookies=cookies, renewal=True)
        return True

    # In, or waiting.

    async def _without_pass(
        self, record: RoomRecord, asked: Asked, proofs: Proofs, inner: Scope, receive: Receive, send: Send
    ) -> None:
        room, method = record.room.name, inner["method"]
        proofs = self._desk.find_place(asked, proofs)
        manner = read_manner(method, inner["headers"])
        if manner.preflight:
            # It never carries cookies, so it would take a new visitor's place each time.
            self._metrics.requests(room, BYPASS)
            await self._pass_by(inner, receive, send)
            return
        navigation = manner.navigation
        if manner.speculative:
            # Nobody is there to be let in: a turn would be spent on a guess.
            await self._wait(record, None, asked, proofs, "refused", inner, send, navigation=False)
            return
        crawler = proofs.queue is None and method in _SAFE and is_crawler(asked.headers)
        purpose = Purpose.CLAIM
        if proofs.queue is None and (crawler or not navigation or (manner.cross_site and method not in _SAFE)):
            # A form sent here by another site comes without the cookies that the visitor may well have: a new place
            # would overwrite theirs.
            purpose = Purpose.DIRECT
        visit = await self._desk.enter(record, asked, proofs, purpose)
        answer = visit.answer
        if answer is Answer.OFF:
            self._metrics.requests(room, OFF)
            await self._pass_by(inner, receive, send)
        elif answer is Answer.ADMITTED:
            self._metrics.requests(room, "provisional" if visit.provisional else "admitted")
            claims, cookies = self._desk.admission_headers(visit, proofs)
            await self._serve(claims, proofs, inner, receive, send, cookies=cookies)
        elif crawler:
            await self._wait(record, visit, asked, proofs, CRAWLER, inner, send, navigation=True)
        else:
            outcome = answer.value
            if visit.provisional and answer is Answer.WAITING:
                outcome = "store_away" if proofs.queue is not None else "provisional"
            await self._wait(record, visit, asked, proofs, outcome, inner, send, navigation=navigation)

    async def _wait(
        self,
        record: RoomRecord,
        visit: Visit | None,
        asked: Asked,
        proofs: Proofs,
        outcome: str,
        inner: Scope,
        send: Send,
        *,
        navigation: bool,
    ) -> None:
        """Answer somebody who is not let in: a page for people and crawlers, 429 for programs."""
        self._metrics.requests(record.room.name, outcome)
        standing = self._desk.standing(record, visit, proofs)
        place = None if visit is None else self._desk.place_of(visit, proofs, standing if navigation else None)
        status, retry_seconds = 429, standing.poll_after_seconds
        if navigation:
            status = record.room.waiting_status
            if standing.state == "blocked":
                status = 429
            if outcome == CRAWLER:
                status, retry_seconds = record.room.crawler_status, RETRY_SECONDS
            tag = reader_language(asked, inner["query_string"], record.room.language)
            here, safe = _target(inner), inner["method"] in _SAFE
            to = here if safe else came_from(asked.headers, asked.host) or here
            body, headers = self._page.render(
                record.room,
                standing,
                tag,
                addresses_of(self._desk, proofs, visit, place, to, here=here, safe=safe),
                reload=safe,
                gzip=takes_gzip(asked.headers),
                challenge=self._desk.newcomers.challenge(record.room, visit),
            )
            if status in {429, 503}:
                headers.append((b"retry-after", str(retry_seconds).encode("ascii")))
        else:
            body, headers = problem(standing, prefix=self._prefix, came_from=came_from(asked.headers, asked.host))
        if visit is not None:
            headers += self._desk.place_headers(visit, proofs, place)
        await _answer(inner, send, status, body, headers)


@lru_cache(1_024)
def _introduction(room: str, visitor: str) -> list[Header]:
    """Return what tells the backend whom it serves."""
    return [(b"waitroom-room", room.encode("ascii")), (b"waitroom-visitor", visitor.encode("ascii"))]


def _passed_by(headers: Sequence[Header]) -> Sequence[Header]:
    """Return the answer to somebody whom the site can not release."""
    return without_own(headers)[0]


def _served(headers: Sequence[Header]) -> Sequence[Header] | None:
    """Return the answer to an admitted visitor; None if it releases them."""
    kept, released = without_own(headers)
    return None if released else kept


def _with_tunnel(inner: Scope, cookies: Sequence[Header]) -> Scope:
    extensions: MutableMapping[str, Any] | None = inner.get("extensions")
    if extensions is not None and "waitroom.tunnel" in extensions:
        tunnel = EditedTunnel(extensions["waitroom.tunnel"], lambda head: edited_head(head, cookies))
        inner["extensions"] = {**extensions, "waitroom.tunnel": tunnel}
    return inner


def _target(scope: Scope) -> str:
    """Return the path and query asked for."""
    query = scope["query_string"]
    target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return target.decode("latin-1")


async def _not_ready(scope: Scope, send: Send, room: str) -> None:
    """Answer for a room that comes or goes this very moment; what is protected stays so."""
    await _answer(scope, send, 503, *plain_problem(503, "Not ready", f"The room {room} is being set up."))


async def _refuse(scope: Scope, send: Send, detail: str) -> None:
    await _answer(scope, send, 400, *plain_problem(400, HTTPStatus.BAD_REQUEST.phrase, detail))


async def _answer(scope: Scope, send: Send, status: int, body: bytes, headers: list[Header]) -> None:
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    await send_whole(scope, send, status, headers, body)
