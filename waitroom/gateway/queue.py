"""Waitroom's own endpoints of a room: one's own status, join, leave, and the shared snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from waitroom.domain.room import Mode
from waitroom.errors import StoreUnavailable
from waitroom.store.base import Purpose

from .address import PLACE
from .newcomers import NO_ATTEMPT
from .problems import challenge_problem, json_body, plain_problem
from .whole import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from waitroom.store.base import RoomRecord

    from .challenge import Attempt
    from .desk import Desk, Proofs
    from .visitor import Asked, Header

STORE_RETRY_SECONDS = 2
LONGEST_ATTEMPT = 16_384
"""Bytes of a body with the solution of a puzzle or the response of a CAPTCHA."""


class QueueEndpoints:
    """`me`, `join`, `leave` and `queue.json` of every room; raises `RoomUnknown`, also for one removed meanwhile."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def me(self, request: Request) -> Response:
        """Say where the visitor stands, and change nothing: nobody is let in, placed or brought back."""
        record = self._record(request)
        asked, proofs = self._proofs(request, record)
        if proofs.queue is None:
            if proofs.pass_ is None:
                return self._unplaced(record)
            if proofs.pass_.fresh(self._desk.store.now_ms(), record.room.refresh_seconds * 1000):
                return self._active(record, proofs)
        return await self._ask(record, asked, proofs, Purpose.LOOK)

    async def join(self, request: Request) -> Response:
        """Give a place with its token, or say where the visitor stands already. A missed turn comes back."""
        record = self._record(request)
        asked, proofs = self._proofs(request, record)
        if not same_site(request, by_header=proofs.by_header):
            return cross_site()
        if record.room.mode is Mode.OFF:
            return self._unplaced(record)
        if proofs.pass_ is not None and proofs.pass_.fresh(
            self._desk.store.now_ms(), record.room.refresh_seconds * 1000
        ):
            return self._active(record, proofs)
        attempt = NO_ATTEMPT
        if (record.room.challenge, record.room.captcha) != ("off", "off") and not (proofs.queue or proofs.pass_):
            attempt = await self._desk.newcomers.attempt(record.room, asked, await _body_of(request))
        return await self._ask(record, asked, proofs, Purpose.JOIN, attempt)

    async def leave(self, request: Request) -> Response:
        """Give up the place or the session."""
        record = self._record(request)
        _, proofs = self._proofs(request, record)
        if not same_site(request, by_header=proofs.by_header):
            return cross_site()
        try:
            left = await self._desk.leave(proofs)
        except StoreUnavailable:
            body, headers = plain_problem(
                503, "The queue cannot be reached at the moment", "Nothing was changed; try again."
            )
            headers.append((b"retry-after", str(STORE_RETRY_SECONDS).encode("ascii")))
            return answer(503, body, headers)
        body, headers = json_body({"room": record.room.name, "left": left})
        return answer(200, body, headers + self._desk.farewell_headers(proofs))

    async def not_counted(self, request: Request) -> Response:
        """Answer for the shared document of a room that has none yet; what there is, the gate serves itself."""
        self._record(request)
        body, headers = plain_problem(503, "Not counted yet", "The room has not been counted yet; try again.")
        headers.append((b"retry-after", str(STORE_RETRY_SECONDS).encode("ascii")))
        return answer(503, body, headers)

    def _record(self, request: Request) -> RoomRecord:
        return self._desk.store.record(request.path_params["room"])

    def _proofs(self, request: Request, record: RoomRecord) -> tuple[Asked, Proofs]:
        asked, scheme = self._desk.read(request.scope)
        known = self._desk.find_pass(asked, record.room.name, scheme)
        return asked, self._desk.find_place(asked, known, request.query_params.get(PLACE, ""))

    def _unplaced(self, record: RoomRecord) -> Response:
        return answer(200, *json_body(self._desk.standing(record, None).as_json()))

    def _active(self, record: RoomRecord, proofs: Proofs) -> Response:
        return answer(200, *json_body(self._desk.standing(record, None, proofs, active=True).as_json()))

    async def _ask(
        self, record: RoomRecord, asked: Asked, proofs: Proofs, purpose: Purpose, attempt: Attempt = NO_ATTEMPT
    ) -> Response:
        visit = await self._desk.enter(record, asked, proofs, purpose, attempt=attempt)
        document: dict[str, Any] = self._desk.standing(record, visit, proofs).as_json()
        place = self._desk.place_of(visit, proofs)
        if purpose is Purpose.JOIN and place is not None:
            document["token"] = self._desk.tokens.sign_queue(place)
        challenge = self._desk.newcomers.challenge(record.room, visit)
        if challenge is not None:
            return answer(428, *challenge_problem(document, challenge.data, attempt.retry_seconds))
        if document["state"] == "blocked" and attempt.solution:
            document["solution"] = attempt.solution
        body, headers = json_body(document)
        if document["state"] == "blocked":
            return answer(429, body, [*headers, (b"retry-after", str(document["poll_after_seconds"]).encode("ascii"))])
        return answer(200, body, headers + self._desk.place_headers(visit, proofs, place))


async def _body_of(request: Request) -> bytes:
    """Return the body of a request; nothing of one that is too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_ATTEMPT:
            return b""
    return body


def same_site(request: Request, *, by_header: bool) -> bool:
    """Whether a request that changes something may have come from where it says.

    Who proves it by Authorization was not sent here by another site's page. Browsers say where a request began; where
    they do not, its `Origin` must be the host asked; programs that are no browsers say neither, and bring no cookies
    of somebody else.
    """
    if by_header:
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        said = urlsplit(origin)
    except ValueError:
        return False
    return said.scheme in {"http", "https"} and said.netloc.lower() == request.headers.get("host", "").lower()


def cross_site() -> Response:
    return answer(*_problem(403, "Refused", "Another site may not ask for this on a visitor's behalf."))


def _problem(status: int, title: str, detail: str) -> tuple[int, bytes, list[Header]]:
    return status, *plain_problem(status, title, detail)
