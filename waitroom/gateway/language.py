"""The language in which a request is answered, and the address by which a visitor chooses another, script or none.

`{prefix}/language?to=he&next=/sale%3Fcolour%3Dred` keeps the choice in a cookie and leads back to where the visitor
was, whose address stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from waitroom.words.choice import COOKIE, COOKIE_SECONDS, PARAMETER, Chosen, choose, cookie_value, nearest, read_cookie

from .address import local_address
from .problems import plain_problem
from .visitor import set_cookie
from .whole import answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from .desk import Desk
    from .visitor import Asked

_START: Final = COOKIE.encode("ascii") + b"="


def reader_language(asked: Asked, query: bytes, default: str) -> str:
    """Return the tag of the language that a page is written in for whoever asked.

    `query`: of the address asked for. `default`: the room's language.
    """
    accepted = b",".join(value for name, value in asked.headers if name == b"accept-language")
    return choose(_said(query), _chosen(asked.own_cookies), accepted.decode("latin-1"), default)


def _said(query: bytes) -> str:
    """Return the language that an address says, as it is written there."""
    text = query.decode("latin-1")
    return parse_qs(text).get(PARAMETER, [""])[0] if PARAMETER + "=" in text else ""


def _chosen(own_cookies: Iterable[bytes]) -> Chosen:
    for pair in own_cookies:
        if pair.startswith(_START):
            return read_cookie(pair[len(_START) :].decode("latin-1"))
    return Chosen()


class LanguageChoice:
    """The endpoint where a visitor chooses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def choose(self, request: Request) -> Response:
        """Keep the choice and lead back; a language that the page does not speak is refused."""
        tag = nearest(request.query_params.get("to", ""))
        if not tag:
            return answer(400, *plain_problem(400, "No such language", "The page does not speak this language."))
        _, scheme = self._desk.read(request.scope)
        address = local_address(request.query_params.get("next", "/"))
        value = cookie_value(tag, _said(address.partition("?")[2].encode("ascii")))
        secure = self._desk.always_secure or scheme == "https"
        return answer(
            303,
            b"",
            [
                (b"location", address.encode("ascii")),
                (b"cache-control", b"no-store"),
                set_cookie(COOKIE, value, max_age_seconds=COOKIE_SECONDS, secure=secure),
            ],
        )
