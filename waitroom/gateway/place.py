"""The waiting page at an address of its own: `{prefix}/{room}/?next=/sale%3Fsize%3D38`, with `t=TOKEN` or `auto=0`.

Most visitors wait at the address that they asked for. Here wait those whose browser keeps no cookies: their place is in
the address (`t`), so it is not lost with each request; those without scripts who do not want the page to load itself
again (`auto=0`); and those whom an app sent here (`Waitroom-Location`). At their turn it leads to `next`, on this host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from waitroom.domain.room import Mode
from waitroom.domain.visit import Answer
from waitroom.store.base import Purpose

from .address import AUTO, NEXT, PLACE, PLAIN, PLAINLY, STILL, local_address, waiting_address
from .crawlers import is_crawler
from .document import takes_gzip
from .language import reader_language
from .page.shown import Addresses
from .visitor import QUEUE, read_manner
from .whole import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from waitroom.domain.claims import QueueClaims
    from waitroom.domain.routing import Router
    from waitroom.domain.visit import Visit
    from waitroom.store.base import RoomRecord

    from .desk import Desk, Proofs
    from .page.waiting import WaitingPage
    from .standing import Standing
    from .visitor import Asked

_THROUGH: Final = frozenset({"active", "off", "called"})
"""Views of those who are led to `next`."""


class PlacePage:
    """The page of every room."""

    def __init__(self, desk: Desk, router: Router, page: WaitingPage) -> None:
        self._desk = desk
        self._router = router
        self._page = page

    async def show(self, request: Request) -> Response:
        """Show where the visitor stands, or lead them to `next`."""
        record = self._desk.store.record(request.path_params["room"])
        to = local_address(request.query_params.get(NEXT, "/"))
        auto = request.query_params.get(AUTO) != "0"
        asked, scheme = self._desk.read(request.scope)
        found = self._desk.find_pass(asked, record.room.name, scheme)
        proofs = self._desk.find_place(asked, found, request.query_params.get(PLACE, ""))
        if record.room.mode is Mode.OFF:
            return _see(to)
        manner = read_manner("GET", asked.headers)
        unattended = manner.speculative or is_crawler(asked.headers)
        plain = request.query_params.get(PLAIN) == "1"
        if not proofs.by_address and auto and not plain and (unattended or self._waits_there(asked, to, record)):
            return _see(to)
        looks = proofs.by_address or unattended
        purpose = Purpose.LOOK if looks else Purpose.JOIN
        visit = await self._desk.enter(record, asked, proofs, purpose, plain=plain)
        standing = self._desk.standing(record, visit, proofs)
        if standing.view in _THROUGH or (proofs.by_address and standing.state == "new"):
            return _see(to)  # a place that is used up, or was forgotten, is no place to wait with
        return self._shown(record, standing, visit, asked, proofs, to, auto=auto)

    def _waits_there(self, asked: Asked, to: str, record: RoomRecord) -> bool:
        """Whether who asks for `to` is shown this page there."""
        route = self._router.route("GET", asked.host, to.partition("?")[0].encode("ascii"))
        return route.room == record.room.name and not route.bypass

    def _shown(
        self,
        record: RoomRecord,
        standing: Standing,
        visit: Visit,
        asked: Asked,
        proofs: Proofs,
        to: str,
        *,
        auto: bool,
    ) -> Response:
        room = record.room
        place = self._desk.place_of(visit, proofs, standing)
        addresses = addresses_of(self._desk, proofs, visit, place, to, at_place=True, auto=auto)
        body, headers = self._page.render(
            room,
            standing,
            reader_language(asked, to.partition("?")[2].encode("ascii"), room.language),
            addresses,
            reload=True,
            gzip=takes_gzip(asked.headers),
            challenge=self._desk.newcomers.challenge(room, visit),
        )
        # The address may hold the place, so no other site is told it.
        headers = [
            (name, b"no-referrer" if name == b"referrer-policy" and value == b"same-origin" else value)
            for name, value in headers
        ]
        status = 200
        if standing.state == "blocked":
            status = 429
            headers.append((b"retry-after", str(standing.poll_after_seconds).encode("ascii")))
        return answer(status, body, headers + self._desk.place_headers(visit, proofs, place))


def addresses_of(
    desk: Desk,
    proofs: Proofs,
    visit: Visit | None,
    place: QueueClaims | None,
    to: str,
    *,
    here: str = "",
    safe: bool = True,
    at_place: bool = False,
    auto: bool = True,
) -> Addresses:
    """Return the addresses on a waiting page that leads to `to`.

    `here` is the page's own address and `safe` whether it can be loaded again, unless it stands `at_place`; one that
    cannot is left for the waiting page's own. A place rides in addresses until the browser has shown that it brings
    the cookie.
    """
    prefix, room = desk.settings.prefix, proofs.room
    token = "" if place is None or QUEUE in proofs.carried else desk.tokens.sign_queue(place)
    base = f"{prefix}/{room}/"
    address = waiting_address(prefix, room, to, token=token)
    with_place = address if auto else address + STILL
    challenged = visit is not None and visit.answer is Answer.CHALLENGED
    return Addresses(
        me=f"{base}me",
        join=f"{base}join",
        queue=f"{base}queue.json",
        language=f"{prefix}/language",
        scripts=f"{prefix}/",
        refresh=auto,
        place=f"?{PLACE}={token}" if proofs.by_address else "",
        here=with_place if at_place or not safe else here,
        go="" if safe else to,
        token_url=with_place if token else "",
        stop_url=address + STILL if place is not None else "",
        restart_url=address + PLAINLY if challenged else address,
    )


def _see(to: str) -> Response:
    return answer(303, b"", [(b"location", to.encode("ascii")), (b"cache-control", b"no-store")])
