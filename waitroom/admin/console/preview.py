"""The waiting page in frames of a phone: in any state and language, and with a message before it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from waitroom.admin.access import must
from waitroom.admin.pages.forms import form
from waitroom.admin.verbs.call import Mistaken, mistakes_of
from waitroom.domain.access import Role
from waitroom.domain.message import EVERYBODY
from waitroom.domain.room import Room
from waitroom.errors import Refused

from .deeds import deed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from waitroom.admin.pages.rendering import Pages
    from waitroom.admin.verbs import Verbs

_SANDBOX: Final = "; sandbox allow-scripts"
"""A shop's own template is no part of the console: it runs as a page of nowhere."""


class WaitingPages(Protocol):
    """Who makes waiting pages."""

    @property
    def views(self) -> Sequence[str]: ...

    @property
    def languages(self) -> Mapping[str, str]:
        """Tag → the language's own name."""
        ...

    def page(
        self, room: Room, view: str, tag: str, now_ms: int, *, scheme: str
    ) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
        """Return the page and its headers; None when there is no such view or language."""
        ...


class Preview:
    """The page with the frames, and what stands in each."""

    def __init__(self, pages: Pages, verbs: Verbs, waiting_pages: WaitingPages) -> None:
        self._pages = pages
        self._verbs = verbs
        self._waiting_pages = waiting_pages

    def routes(self) -> list[Route]:
        return [
            Route("/rooms/{room}/preview", self.show, methods=["GET", "POST"]),
            Route("/rooms/{room}/preview/page", self.page, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show a frame of the language asked for; of a message sent along, one of each of its languages."""
        caller = must(request, Role.VIEWER)
        room = self._verbs.store.record(request.path_params["room"]).room
        fields = await form(request) if request.method == "POST" else {}
        message: dict[str, str] = deed("message", fields)[1]["message"] or {}
        asked = request.query_params
        view, scheme = asked.get("state", "waiting"), asked.get("scheme", "")
        tags = [tag for tag in message if tag in self._waiting_pages.languages]
        if not tags or EVERYBODY in message:
            tags.insert(0, asked.get("lang", room.language))
        frames = []
        for tag in dict.fromkeys(tags):
            said = {f"text.{one}": message[one] for one in (EVERYBODY, tag) if one in message}
            query = urlencode({"state": view, "lang": tag, "scheme": scheme} | said)
            frames.append((self._waiting_pages.languages.get(tag, tag), f"/rooms/{room.name}/preview/page?{query}"))
        return self._pages.show(
            "preview.html", caller=caller, room=room.name, frames=frames, view=view, views=self._waiting_pages.views,
            tag=tags[0], languages=self._waiting_pages.languages, scheme=scheme, message=message,
        )  # fmt: skip

    async def page(self, request: Request) -> Response:
        """Answer with the waiting page itself."""
        must(request, Role.VIEWER)
        asked: Mapping[str, Any] = request.query_params
        room = self._verbs.store.record(request.path_params["room"]).room
        message = deed("message", asked)[1]["message"]
        if message:
            try:
                room = room.changed({"message": message, "message_until": None})
            except ValidationError as error:
                raise Mistaken(mistakes_of(error, Room)) from None
        made = self._waiting_pages.page(
            room, asked.get("state", ""), asked.get("lang", ""), self._verbs.store.now_ms(),
            scheme=asked.get("scheme", ""),
        )  # fmt: skip
        if made is None:
            raise Refused("there is no such state or language", status=404)
        body, headers = made
        answer = Response(body)
        answer.raw_headers = [
            (name, value + _SANDBOX.encode() if name == b"content-security-policy" else value)
            for name, value in headers
        ] + [(b"content-length", str(len(body)).encode())]
        return answer
