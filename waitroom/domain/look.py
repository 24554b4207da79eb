"""How a room's page looks, as far as settings say it: colours, links and language tags, and what makes them valid."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

_COLOUR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_BRIGHT: Final = 0.179
"""Above this luminance black is easier to read than white: there both have the same contrast (WCAG 2)."""


def check_colour(colour: str) -> str:
    """Return `colour` in lower case when it is `#rrggbb`, or empty (the page's own)."""
    if colour and not _COLOUR.fullmatch(colour):
        raise ValueError(f"{colour!r}: a colour is '#rrggbb', such as '#0b5fff'")
    return colour.lower()


def check_link(url: str) -> str:
    """Return `url` when a page may link to it: `http://` or `https://` and a host, or empty (no link)."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or any(character <= " " for character in url):
        raise ValueError(f"{url!r}: a link is 'https://host/path' or 'http://host/path'")
    return url


def check_language(tag: str) -> str:
    """Return `tag` when it can name a language, such as `he` or `pt-BR`."""
    if not _LANGUAGE.fullmatch(tag):
        raise ValueError(f"{tag!r}: a language is written as 'en', 'he' or 'pt-BR'")
    return tag


def check_words(words: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return `words` when each is a text or a table of plural category → text; raises ValueError."""
    for tag, texts in words.items():
        check_language(tag)
        for key, text in texts.items():
            forms = text if isinstance(text, dict) else {"": text}
            if not forms or not all(isinstance(form, str) for form in forms.values()):
                raise ValueError(f"{tag}.{key} must be a text, or a table of plural category → text")
    return words


def text_on(colour: str) -> str:
    """Return `#000000` or `#ffffff`, whichever is easier to read on `colour` (`#rrggbb`): at least 4.5 to 1."""
    return "#000000" if luminance(colour) > _BRIGHT else "#ffffff"


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` as WCAG 2 defines it, 0 to 1."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
