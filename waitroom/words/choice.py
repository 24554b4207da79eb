"""Which language a visitor reads: what the address says, what they chose on the page, what their browser prefers.

An address may say `lang=…`, which is the shop's own word and stays in the address untouched. What a visitor chose on
the page is in a cookie, together with what the address said at that time: the choice overrules that address, but not
another one, by which the language was changed since. Nothing here reads or writes anything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from .languages import LANGUAGES

COOKIE: Final = "waitroom-lang"
COOKIE_SECONDS: Final = 30 * 86_400
PARAMETER: Final = "lang"
"""Of the address that was asked for."""

_BY_LOWER_CASE: Final = {tag.lower(): tag for tag in LANGUAGES}
_NEAREST: Final = {
    "in": "id",
    "iw": "he",
    "mo": "ro",
    "nn": "nb",
    "no": "nb",
    "prs": "fa",
    "pt": "pt-BR",
    "zh": "zh-Hans",
    "zh-hk": "zh-Hant",
    "zh-mo": "zh-Hant",
    "zh-tw": "zh-Hant",
    "yue": "zh-Hant",
}
"""Old names of languages, and the nearest that is there."""
_LONGEST_HEADER: Final = 1_000
_LONGEST_TAG: Final = 35
"""RFC 5646 asks software to take tags of that length."""


class Chosen(NamedTuple):
    """What the cookie holds."""

    tag: str = ""
    """What was chosen on the page; "" when nothing was."""
    overruled: str = ""
    """What the address said then."""


def choose(address: str, chosen: Chosen, accept_language: str, default: str) -> str:
    """Return the tag of one of LANGUAGES.

    `address`: what the address asked for says, or "". `default`: the room's language.
    """
    if (said := nearest(address)) and said != chosen.overruled:
        return said
    return chosen.tag or preferred(accept_language) or nearest(default) or "en"


def nearest(tag: str) -> str:
    """Return the tag of ours that `tag` means: itself, or with its end cut off (RFC 4647, 3.4); "" when none.

    Underscores pass for hyphens, since many shops write `pt_BR`.
    """
    return _nearest(tag[: _LONGEST_TAG + 1])


@lru_cache(1_024)
def _nearest(tag: str) -> str:
    parts = tag.strip().lower().replace("_", "-").split("-")
    if len("-".join(parts)) > _LONGEST_TAG:
        return ""
    if parts[0] == "zh" and len(parts) > 2 and parts[1] in {"hans", "hant"}:
        parts = parts[:2]
    while parts:
        name = "-".join(parts)
        if known := _BY_LOWER_CASE.get(name) or _NEAREST.get(name):
            return known
        parts.pop()
    return ""


def preferred(accept_language: str) -> str:
    """Return the language of ours that an Accept-Language header likes best, or "" when it names none."""
    return _preferred(accept_language[:_LONGEST_HEADER])


@lru_cache(1_024)
def _preferred(accept_language: str) -> str:
    ranges = []
    for place, text in enumerate(accept_language.split(",")):
        tag, _, parameter = text.partition(";")
        quality = _quality(parameter)
        if quality > 0:
            ranges.append((-quality, place, tag.strip()))
    return next((known for _, _, tag in sorted(ranges) if (known := nearest(tag))), "")


def _quality(parameter: str) -> float:
    """Return the `q` of a range: 1 when it says none, 0 when it makes no sense."""
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        quality = float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


def read_cookie(value: str) -> Chosen:
    """Return what a cookie's value says; what is not of ours says nothing."""
    tag, _, overruled = value.partition(".")
    if tag not in LANGUAGES or (overruled and overruled not in LANGUAGES):
        return Chosen()
    return Chosen(tag, overruled)


def cookie_value(tag: str, address: str) -> str:
    """Return the cookie's value when `tag` is chosen on a page whose address says `address`, or ""."""
    said = nearest(address)
    return f"{tag}.{said}" if said and said != tag else tag
