"""The waiting page for one visitor: what many are shown alike is rendered and compressed once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape

from waitroom.logo import read_logo
from waitroom.static_files import static_path
from waitroom.words import languages
from waitroom.words.texts import Words

from ..standing import SHARED_FACTS
from .pieces import (
    CODE,
    DATA,
    GO,
    HERE,
    NONCE,
    NUMBER,
    POSITION,
    RESTART,
    SCRIPT,
    STOP,
    STYLE,
    TOKEN_URL,
    Pieces,
    Shared,
)
from .shown import position_in_words, rough, shown, words_of
from .style import style_sheet
from .template import FIXED, TemplateBroken, default_template, in_words, own_template, script_elements
from .views import MILESTONES, VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Template

    from waitroom.domain.room import Room
    from waitroom.words.texts import Language

    from ..challenge import Challenge
    from ..standing import Standing
    from ..visitor import Header
    from .shown import Addresses, Shown

_REMEMBERED_PAGES: Final = 512
_REMEMBERED_POSITIONS: Final = 4_096
_UNSPOKEN: Final = frozenset({
    "place", "progress", "claim", "keep", "turn", "messages_earlier", "code", "go_home", "go_info", "go_tab", "sound",
    "awake", "language", "opens_at", "noscript_on", "noscript_off", "noscript_stop", "noscript_start", "preview",
})  # fmt: skip
"""Texts that only the template says."""
_OF_CHECKING: Final = ("checking_title", "checking_heading", "checking_lead", "checking_again", "checking_failed")
_UNSAID: Final = _UNSPOKEN.union(_OF_CHECKING)
_SPACE: Final = re.compile(r'("(?:[^"\\]|\\.)*")|\s*([=+\-*/<>!?:;,(){}\[\]&|])\s*')
_json: Final = partial(htmlsafe_json_dumps, dumps=partial(json.dumps, ensure_ascii=False, separators=(",", ":")))


class Shop(NamedTuple):
    """What a room's page says of the shop."""

    name: str
    logo: str
    """A `data:` URL, or ""."""
    home_url: str
    info_url: str

    @classmethod
    def of(cls, room: Room, logo: str) -> Shop:
        return cls(room.shop_name, logo, room.home_url, room.info_url)


@dataclass(frozen=True, eq=False, slots=True)
class _Edition:
    """The page of one room in one language."""

    room: Room
    look: tuple[Any, ...]
    language: Language
    shop: Shop
    shared: dict[str, Shared]


class WaitingPage:
    """The pages of all rooms.

    `template_failed(room, reason)` is told when a shop's own template cannot be rendered, or its logo not be read; the
    default page, or one without a logo, stands in.
    """

    def __init__(
        self, rooms: Iterable[Room], new_nonce: Callable[[], str], template_failed: Callable[[str, str], None]
    ) -> None:
        self._new_nonce = new_nonce
        self._template_failed = template_failed
        self._words = Words()
        self._logos: dict[str, str] = {}
        self._templates: dict[str, Template] = {}
        for room in rooms:
            if room.logo:
                try:
                    self._logos[room.name] = read_logo(room.logo)
                except (OSError, ValueError) as error:  # it was there when the configuration was read
                    template_failed(room.name, str(error))
            if room.template:
                try:
                    self._templates[room.name] = own_template(Path(room.template).read_text(encoding="utf-8"))
                except (OSError, UnicodeDecodeError, TemplateBroken) as error:
                    template_failed(room.name, str(error))
        self._editions: dict[tuple[str, str], _Edition] = {}
        self._pieces = lru_cache(_REMEMBERED_PAGES)(self._render)

    def render(
        self,
        room: Room,
        standing: Standing,
        tag: str,
        addresses: Addresses,
        *,
        reload: bool,
        gzip: bool = False,
        preview: str = "",
        banner: bool = False,
        challenge: Challenge | None = None,
    ) -> tuple[bytes, list[Header]]:
        """Return the page in the language `tag`, and its headers.

        `reload`: the page came by GET, so loading it again is safe. `gzip`: the visitor can unpack that. `preview`: the
        view to show whatever the standing; such a page asks for nothing and goes nowhere, and its `banner` says so.
        `challenge`: what has to be passed before the visitor may join.
        """
        edition = self._edition(room, tag)
        pieces = self._pieces(edition, shown(standing, addresses, view=preview, banner=banner, reload=reload))
        nonce = self._new_nonce()
        number, position = _told(edition.language, rough(standing.position))
        own = {
            NONCE: nonce.encode(),
            NUMBER: number,
            POSITION: position,
            DATA: _own_data(standing, addresses, challenge).encode(),
            CODE: standing.short_code.encode(),
            HERE: escape(addresses.here).encode(),
            GO: escape(addresses.go).encode(),
            TOKEN_URL: addresses.token_url.encode(),
            STOP: addresses.stop_url.encode(),
            RESTART: addresses.restart_url.encode(),
        }
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-language", edition.language.tag.encode("ascii")),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", content_security_policy(nonce, challenge)),
            # A service elsewhere checks for which site it works; it is told the site and no address on it.
            (b"referrer-policy", b"strict-origin" if challenge is not None and challenge.sources else b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if not gzip:
            return pieces.plain(own), headers
        return pieces.gzipped(own), [*headers, (b"content-encoding", b"gzip")]

    def _edition(self, room: Room, tag: str) -> _Edition:
        edition = self._editions.get((room.name, tag))
        if edition is not None and (edition.room is room or edition.look == _look(room)):
            return edition
        language = self._words.language(tag, room.name, room.words)
        shop = Shop.of(room, self._logos.get(room.name, ""))
        shared = {
            STYLE: Shared(f'">{style_sheet(room)}</style>'),
            SCRIPT: Shared(f'">{script(language)}</script>'),
        }
        edition = self._editions[room.name, tag] = _Edition(room, _look(room), language, shop, shared)
        return edition

    def _render(self, edition: _Edition, now: Shown) -> Pieces:
        variables = variables_of(now, edition.room, edition.language, edition.shop)
        own = self._templates.get(edition.room.name)
        if own is not None:
            try:
                return Pieces(own.render(variables), edition.shared)
            except Exception as error:  # noqa: BLE001  # a shop's template may do anything, and its visitors must wait in peace
                self._template_failed(edition.room.name, in_words(error))
        return Pieces(default_template().render(variables), edition.shared)


def variables_of(now: Shown, room: Room, language: Language, shop: Shop) -> dict[str, Any]:
    """Return all variables of a template; docs/page.md lists them."""
    return {
        **FIXED,
        **words_of(now, room, language),
        "languages": options(language),
        "script": script_elements(_data(now, shop, language)),
        "shop": shop,
        "sound": room.sound,
    }


def _data(now: Shown, shop: Shop, language: Language) -> str:
    """Return what the script is told, as JSON; a mark is where a visitor's own goes (`_own_data`)."""
    addresses, facts = now.addresses, now.facts
    shared: dict[str, Any] = {}
    if now.view == "checking":
        # Few pages are of this view, and none turns into it: its words would be a burden on all others.
        shared["texts"] = {key: language.texts[key] for key in _OF_CHECKING}
    shared |= {
        "me": addresses.me,
        "join": addresses.join,
        "queue": addresses.queue,
        "reload": now.reload,
        "claimed": facts.state == "called" and not now.preview,
        "preview": now.view if now.preview else "",
        "shop": shop.name,
        "now": dict(list(facts.as_json().items())[:SHARED_FACTS]),
    }
    return f'{{"token_url":"{addresses.token_url}",{_json(shared)[1:-2]},{DATA}}}'


def _own_data(now: Standing, addresses: Addresses, challenge: Challenge | None) -> str:
    """Return the rest of `now`, and what few are told, as JSON."""
    behind = "null" if now.behind is None else now.behind
    text = (
        f'"position":{now.position},"ahead":{now.ahead},"behind":{behind},'
        f'"admitted_per_minute":{now.admitted_per_minute},"called_ms":{now.called_ms},'
        f'"hold_seconds_left":{now.hold_seconds_left},"score_us":{now.score_us},'
        f'"short_code":"{now.short_code}","now_ms":{now.now_ms}}}'
    )
    few: dict[str, Any] = {}
    if addresses.go:
        few["go"] = addresses.go
    if addresses.place:
        few["place"] = addresses.place
    if challenge is not None:
        few |= challenge.data
        few |= {"solver": addresses.scripts + challenge.script, "plain": addresses.restart_url}
    return f"{text},{_json(few)[1:-1]}" if few else text


@lru_cache(_REMEMBERED_POSITIONS)
def _told(language: Language, position: int) -> tuple[bytes, bytes]:
    """Return a position as a number and in words, as HTML."""
    return language.number(position).encode(), escape(position_in_words(position, language)).encode()


def _look(room: Room) -> tuple[Any, ...]:
    return room.shop_name, room.colour, room.background, room.home_url, room.info_url, room.sound


def options(language: Language) -> Markup:
    """Return the languages to choose from, each by the name that its readers give it."""
    rows = languages.LANGUAGES.items()  # of which no name needs escaping
    return Markup(  # noqa: S704
        "".join(f"<option value={tag}{' selected' if tag == language.tag else ''}>{row.name}" for tag, row in rows)
    )


def script(language: Language) -> str:
    """Return the page's script, with what it says and the tables by which it goes."""
    tables = {
        "lang": language.tag,
        "locale": language.locale,
        "texts": {key: text for key, text in language.texts.items() if key not in _UNSAID},
        "views": VIEWS,
        "milestones": MILESTONES,
    }
    return f"const waitroom={_json(tables)};{_source()}"


@cache
def _source() -> str:
    """Return the script less comments that fill a line, and white space beside punctuation; strings stay as they are.

    It ends each statement with a semicolon, as this needs.
    """
    source = static_path("waiting/page.js").read_text(encoding="utf-8")
    code = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("//"))
    return _SPACE.sub(lambda found: found[1] or found[2], code).strip()


def content_security_policy(nonce: str, challenge: Challenge | None = None) -> bytes:
    """Return the policy of the page: its own inline style and script, requests to its own origin, nothing else.

    With a challenge also workers of its own and, if that comes from elsewhere, scripts, frames, styles and requests of
    just those origins. It may be framed wherever the shop's page may be: nothing on it can be done by a stolen click,
    and a visitor in a frame would see a browser's error instead of their place.
    """
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'"
    )
    if challenge is not None:
        policy += "; worker-src 'self'"
        for name, origins in challenge.sources.items():
            here = f"{name} "
            policy = policy.replace(here, f"{here}{origins} ") if here in policy else f"{policy}; {here}{origins}"
    return policy.encode("ascii")
