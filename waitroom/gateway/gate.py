"""The gate: a fresh pass goes through, a stale one is renewed, without one the store is asked: in, or the waiting page.

The way of a request is DESIGN's: room → pass → place → what those get who must wait. Everything under the prefix is
Waitroom's own and never reaches the site.
"""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.room import Mode
from waitroom.domain.visit import Answer
from waitroom.errors import RoomUnknown, StoreUnavailable
from waitroom.store.base import Purpose

from .answer import with_cookies, with_renewal, without_own
from .problems import plain_problem, problem
from .visitor import read_manner

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from waitroom.domain.claims import PassClaims
    from waitroom.domain.routing import Router
    from waitroom.domain.visit import Visit
    from waitroom.store.base import RoomRecord

    from .desk import Desk, Proofs
    from .page.waiting import WaitingPage
    from .visitor import Asked, Header

_SAFE: Final = frozenset({"GET", "HEAD"})
_DOCUMENT: Final = "/queue.json"


class Gate:
    """ASGI app around `site` (what is protected) and `own` (what lies under the prefix).

    The shared document is served before any routing: it is what all who wait ask for, again and again.
    """

    def __init__(self, desk: Desk, router: Router, page: WaitingPage, *, site: ASGIApp, own: ASGIApp) -> None:
        self._desk = desk
        self._router = router
        self._page = page
        self._site = site
        self._own = own
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
        if path.startswith(self._prefix) and (path.startswith(self._below_prefix) or path == self._prefix):
            if path.endswith(_DOCUMENT) and scope["method"] in _SAFE:
                answer = self._documents.answer(path[len(self._below_prefix) : -len(_DOCUMENT)])
                if answer is not None:
                    status, headers, body = answer.to(scope["headers"])
                    await _send(scope, send, status, headers, body)
                    return
            await self._own(scope, receive, send)
            return
        method = scope["method"]
        asked, scheme = self._desk.read(scope)
        extensions = scope.get("extensions")
        if extensions is not None and b"#" in extensions.get("waitroom.target", b""):
            await _refuse(scope, send, "A request's target has no fragment.")
            return
        route = self._router.route(method, asked.host, scope["raw_path"])
        inner = {**scope, "headers": asked.headers, "scheme": scheme}
        room = route.room
        if room is None:
            if route.ambiguous:
                self._metrics.requests("", "refused")
                await _refuse(scope, send, "The path can be read in more than one way. Please use its plain form.")
                return
            await self._pass_by("", "unmatched", inner, receive, send)
            return
        try:
            record = self._store.record(room)
        except RoomUnknown:
            # For a moment while a reload goes through; what is protected stays so.
            await _answer(scope, send, 503, *plain_problem(503, "Not ready", f"The room {room} is being set up."))
            return
        if record.room.mode is Mode.OFF:
            await self._pass_by(room, "off", inner, receive, send)
            return
        if route.bypass:
            await self._pass_by(room, "bypass", inner, receive, send)
            return
        proofs = self._desk.find_pass(asked, room, scheme)
        claims = proofs.pass_
        if claims is not None:
            refresh_ms = record.room.refresh_seconds * 1000
            if claims.fresh(self._store.now_ms(), refresh_ms):
                self._metrics.requests(room, "fresh")
                await self._serve(claims, proofs, inner, receive, send)
                return
            if await self._renewed(claims, refresh_ms, proofs, inner, receive, send):
                return
        await self._without_pass(record, asked, proofs, inner, receive, send)

    # In.

    async def _pass_by(self, room: str, outcome: str, inner: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the site that needs no pass."""
        self._metrics.requests(room, outcome)

        def watch(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = without_own(message["headers"])[0]
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
            self._desk.log.warning("release_failed", room=claims.room, reason=error.reason)
        message["headers"] = with_cookies(message["headers"], self._desk.farewell_headers(proofs))
        await send(message)

    async def _renewed(
        self, claims: PassClaims, refresh_ms: int, proofs: Proofs, inner: Scope, receive: Receive, send: Send
    ) -> bool:
        """Serve the holder of a stale pass, with a new one if the store gives it. False when the session is over."""
        try:
            renewed = await self._desk.renew(claims, refresh_ms)
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
            await self._pass_by(room, "bypass", inner, receive, send)
            return
        navigation = manner.navigation
        if manner.speculative:
            # Nobody is there to be let in: a turn would be spent on a guess.
            await self._wait(record, None, proofs, "refused", inner, send, navigation=False)
            return
        purpose = Purpose.CLAIM
        if proofs.queue is None and (not navigation or (manner.cross_site and method not in _SAFE)):
            # A form sent here by another site comes without the cookies that the visitor may well have: a new place
            # would overwrite theirs.
            purpose = Purpose.DIRECT
        visit = await self._desk.enter(record, proofs, purpose)
        answer = visit.answer
        if answer is Answer.OFF:
            await self._pass_by(room, "off", inner, receive, send)
        elif answer is Answer.ADMITTED:
            self._metrics.requests(room, "provisional" if visit.provisional else "admitted")
            claims, cookies = self._desk.admission_headers(visit, proofs)
            await self._serve(claims, proofs, inner, receive, send, cookies=cookies)
        else:
            outcome = answer.value
            if visit.provisional and answer is Answer.WAITING:
                outcome = "store_away" if proofs.queue is not None else "provisional"
            await self._wait(record, visit, proofs, outcome, inner, send, navigation=navigation)

    async def _wait(
        self,
        record: RoomRecord,
        visit: Visit | None,
        proofs: Proofs,
        outcome: str,
        inner: Scope,
        send: Send,
        *,
        navigation: bool,
    ) -> None:
        """Answer somebody who is not let in: a page for people, 429 for programs."""
        self._metrics.requests(record.room.name, outcome)
        standing = self._desk.standing(record, visit)
        status = 429
        if navigation:
            status = record.room.waiting_status
            me = f"{self._prefix}/{record.room.name}/me"
            body, headers = self._page.render(standing, me=me, reload=inner["method"] in _SAFE)
            if status in {429, 503}:
                headers.append((b"retry-after", str(standing.poll_after_seconds).encode("ascii")))
        else:
            body, headers = problem(standing, prefix=self._prefix)
        if visit is not None:
            headers += self._desk.place_headers(visit, proofs)
        await _answer(inner, send, status, body, headers)


class _Tunnel:
    """A client's connection that becomes a tunnel: its 101 gets the same edits as any other answer."""

    def __init__(self, inner: Any, cookies: Sequence[Header]) -> None:
        self._inner = inner
        self._cookies = cookies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def open(
        self,
        head: bytes,
        on_data: Callable[[bytes], None],
        on_eof: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> asyncio.Transport:
        transport: asyncio.Transport = await self._inner.open(
            edited_head(head, self._cookies), on_data, on_eof, on_lost
        )
        return transport


def edited_head(head: bytes, cookies: Sequence[Header]) -> bytes:
    """Return a response head less what only Waitroom may say, with `cookies`."""
    status_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = [
        (name.strip().lower(), value.strip(), line) for line in lines for name, _, value in [line.partition(b":")]
    ]
    kept = [line for name, value, line in fields if without_own([(name, value)])[0]]
    added = [name + b": " + value for name, value in cookies]
    return b"\r\n".join([status_line, *kept, *added, b"", b""])


@lru_cache(1_024)
def _introduction(room: str, visitor: str) -> tuple[Header, Header]:
    """Return what tells the backend whom it serves."""
    return (b"waitroom-room", room.encode("ascii")), (b"waitroom-visitor", visitor.encode("ascii"))


def _with_tunnel(inner: Scope, cookies: Sequence[Header]) -> Scope:
    extensions: MutableMapping[str, Any] | None = inner.get("extensions")
    if extensions is not None and "waitroom.tunnel" in extensions:
        inner["extensions"] = {**extensions, "waitroom.tunnel": _Tunnel(extensions["waitroom.tunnel"], cookies)}
    return inner


async def _refuse(scope: Scope, send: Send, detail: str) -> None:
    await _answer(scope, send, 400, *plain_problem(400, HTTPStatus.BAD_REQUEST.phrase, detail))


async def _answer(scope: Scope, send: Send, status: int, body: bytes, headers: list[Header]) -> None:
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    await _send(scope, send, status, headers, body)


async def _send(scope: Scope, send: Send, status: int, headers: list[Header], body: bytes) -> None:
    rest: Message = {"body": b"" if scope["method"] == "HEAD" else body, "more_body": False}
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    if "waitroom.body_in_start" in (scope.get("extensions") or ()):
        await send({**start, **rest})
    else:
        await send(start)
        await send({"type": "http.response.body", **rest})
