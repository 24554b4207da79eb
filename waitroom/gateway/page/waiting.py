"""The waiting page, rendered for one visitor. All words of the page are here."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from waitroom.static_files import static_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..standing import Standing
    from ..visitor import Header

ENGLISH: Final[dict[str, str]] = {
    "waiting_title": "You are in the queue",
    "waiting_lead": "Many people are here at once, so everybody enters in the order they came.",
    "waiting_next": "You are next",
    "called_title": "It is your turn",
    "called_lead": "We are taking you to the shop. If nothing happens, use the button.",
    "paused_title": "Entry is paused",
    "paused_lead": "Nobody enters at the moment, and nobody loses their place. It goes on by itself.",
    "closed_title": "Closed",
    "closed_lead": "The shop does not let anybody in any more.",
    "reconnecting_title": "Reconnecting",
    "reconnecting_lead": "We cannot reach the queue just now. Your place is safe: it counts from when you arrived.",
    "recovering_title": "Restoring the queue",
    "recovering_lead": "We are putting everybody back in their old order. Your place is safe.",
    "new_title": "Join the queue",
    "new_lead": "Go on to get your place.",
    "place": "Your place",
    "wait": "Estimated wait",
    "wait_unknown": "not known yet",
    "wait_0": "less than a minute",
    "wait_1": "1 to 2 minutes",
    "wait_2": "2 to 5 minutes",
    "wait_5": "5 to 10 minutes",
    "wait_10": "10 to 15 minutes",
    "wait_15": "15 to 30 minutes",
    "wait_30": "30 to 60 minutes",
    "wait_60": "more than an hour",
    "about": "about {n}",
    "rate_one": "About one person enters each minute.",
    "rate": "About {n} people enter each minute.",
    "claim": "Your turn is kept for you for {n} seconds.",
    "keep": "This page updates by itself. You can refresh or close it; your place is kept. Come back with the same "
    "browser.",
    "check": "Check my place",
    "again": "Check again",
    "enter": "Go to the shop",
    "go_on": "Go on",
    "stale": "We cannot reach the queue right now. Your place is safe, and we keep trying.",
    "no_cookies": "Your browser keeps no cookies for this site, so we cannot keep your place. Please allow them.",
}
VIEWS: Final = ("waiting", "called", "paused", "closed", "reconnecting", "recovering", "new")

_EXACT_BELOW: Final = 1_000
_REMEMBERED_PAGES: Final = 256
_NONCE: Final = "\0"
_DATA: Final = "\1"
"""Stand in a page that is rendered for many where each one's own goes: no text holds them."""


class Shown(NamedTuple):
    """What of a standing the page's markup depends on: the same for many visitors who come one after another."""

    view: str
    position: int
    """As it is shown: rough."""
    low_minutes: int | None
    admitted_last_minute: int
    poll_after_seconds: int
    claim_seconds_left: int


class WaitingPage:
    """Renders the page from its template, once for all who are shown the same."""

    def __init__(self, new_nonce: Callable[[], str], words: dict[str, str] = ENGLISH, language: str = "en") -> None:
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["said"] = said
        environment.filters["rough"] = rough
        self._template = environment.from_string(static_path("waiting/page.html").read_text(encoding="utf-8"))
        self._new_nonce = new_nonce
        self._words = words
        self._spoken = htmlsafe_json_dumps({"lang": language, "words": words})
        self._language = language
        self._direction = "rtl" if language.partition("-")[0] in {"ar", "fa", "he", "ur"} else "ltr"
        self._pieces = lru_cache(_REMEMBERED_PAGES)(self._render)

    def render(self, standing: Standing, *, me: str, reload: bool) -> tuple[bytes, list[Header]]:
        """Return the page and its headers. `reload`: the page came by GET, so loading it again is safe."""
        nonce = self._new_nonce()
        wait = standing.wait
        before, after = self._pieces(
            Shown(
                standing.view if standing.view in VIEWS else "new",
                rough(standing.position),
                None if wait is None else wait["low_minutes"],
                standing.admitted_last_minute,
                standing.poll_after_seconds,
                standing.claim_seconds_left,
            )
        )
        data = htmlsafe_json_dumps({"me": me, "reload": reload, "now": standing.as_json()})
        html = "".join((nonce.join(before), data, nonce.join(after)))
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", content_security_policy(nonce)),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        ]
        return html.encode(), headers

    def _render(self, shown: Shown) -> tuple[list[str], list[str]]:
        """Return the page before and after its data, each in the pieces between which the nonce goes."""
        before, after = self._template.render(
            nonce=_NONCE,
            lang=self._language,
            dir=self._direction,
            now=shown,
            view=shown.view,
            w=self._words,
            data=_DATA,
            spoken=self._spoken,
        ).split(_DATA)
        return before.split(_NONCE), after.split(_NONCE)


def content_security_policy(nonce: str) -> bytes:
    """Return the policy of the page: its own inline style and script, requests to its own origin, nothing else."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ).encode("ascii")


def said(number: int) -> str:
    """Return a number as English writes it."""
    return f"{number:,}"


def rough(number: int) -> int:
    """Return a number that people can take in: exact below 1,000, then two or three leading digits."""
    if number < _EXACT_BELOW:
        return number
    step: int = 10 ** (len(str(number)) - 3)
    return number - number % step
