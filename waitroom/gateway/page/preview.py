"""The page as those who wait will see it, in any view and language: nobody gets a place or a pass by it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, StrictUndefined

from waitroom.static_files import static_path
from waitroom.words.languages import LANGUAGES

from .examples import example
from .shown import Addresses
from .views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Template

    from waitroom.domain.room import Room

    from ..visitor import Header
    from .waiting import WaitingPage

_SCHEMES: Final = {"light": b"not all", "dark": b"all"}
"""Which devices the rules of the dark page are for."""
_NOWHERE: Final = Addresses("", "", "", refresh=False)


class Preview:
    """Pages of examples, and the page around them on which one is chosen."""

    def __init__(self, page: WaitingPage, new_nonce: Callable[[], str]) -> None:
        self._page = page
        self._new_nonce = new_nonce

    def view(
        self, room: Room, view: str, tag: str, now_ms: int, *, scheme: str = "", banner: bool = False
    ) -> tuple[bytes, list[Header]] | None:
        """Return the page in one view and language, and its headers; None when there is no such view or language.

        `scheme`: `light` or `dark` whatever the device prefers; a frame cannot be made to prefer one.
        """
        if view not in VIEWS or tag not in LANGUAGES:
            return None
        standing = example(view, room, now_ms)
        page, headers = self._page.render(room, standing, tag, _NOWHERE, reload=False, preview=view, banner=banner)
        if scheme in _SCHEMES:
            page = page.replace(b"(prefers-color-scheme:dark)", _SCHEMES[scheme])
            page = page.replace(b"color-scheme:light dark", b"color-scheme:" + scheme.encode())
        return page, headers

    def controls(self, room: Room, *, token: str = "", view: str = "", tag: str = "") -> tuple[bytes, list[Header]]:
        """Return the page on which view, language and device are chosen, and its headers."""
        nonce = self._new_nonce()
        html = _controls().render(
            nonce=nonce,
            room=room.name,
            shop=room.shop_name or room.name,
            token=token,
            views=list(VIEWS),
            view=view if view in VIEWS else "waiting",
            languages={name: row.name for name, row in LANGUAGES.items()},
            tag=tag if tag in LANGUAGES else room.language,
        )
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; frame-src 'self'; "
        return html.encode(), [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", f"{policy}base-uri 'none'; frame-ancestors 'none'".encode("ascii")),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
        ]


@cache
def _controls() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(static_path("waiting/preview.html").read_text(encoding="utf-8"))
