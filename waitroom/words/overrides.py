"""What is wrong with the words that a room has in place of ours, in words for whoever wrote them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .choice import nearest
from .languages import LANGUAGES
from .texts import PLACEHOLDER, Text, Texts, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_TEXT: Final = 500


class Wrong(NamedTuple):
    """One mistake."""

    spot: tuple[str, ...]
    """The way to it: language, key, plural form."""
    what: str
    allowed: str


def wrong_language(tag: str) -> str:
    """Return what to write instead when `tag` is none of LANGUAGES, else ""."""
    if tag in LANGUAGES:
        return ""
    near = nearest(tag)
    return f"did you mean `{near}`?" if near else "one of " + ", ".join(LANGUAGES)


def mistakes(words: Mapping[str, Any]) -> Iterator[Wrong]:
    """Return all that is wrong with a room's words: language → key → text, or plural form → text."""
    english = load("en")
    for tag, texts in words.items():
        if instead := wrong_language(tag):
            yield Wrong((tag,), "is no language of the page", instead)
        elif not isinstance(texts, dict):
            yield Wrong((tag,), "is not a table of texts", 'such as { waiting_heading = "…" }')
        else:
            for key, text in texts.items():
                if key in english:
                    yield from _of_text((tag, key), text, english[key])
                else:
                    yield Wrong((tag, key), "is no text of the page", _like(key, english))


def _like(key: str, english: Texts) -> str:
    near = difflib.get_close_matches(key, english, n=1)
    return f"did you mean `{near[0]}`?" if near else "the texts are listed in docs/languages.md"


def _of_text(spot: tuple[str, ...], text: Any, english: Text) -> Iterator[Wrong]:
    forms = LANGUAGES[spot[0]].forms
    needed = " and ".join(forms) if len(forms) < 3 else ", ".join(forms)
    if isinstance(text, str):
        yield from _of_string(spot, text, english)
    elif not isinstance(text, dict):
        yield Wrong(spot, "is no text", "text, in quotes")
    elif isinstance(english, str):
        yield Wrong(spot, "counts nothing, so it has no plural forms", "one text, in quotes")
    else:
        if missing := [form for form in forms if form not in text]:
            yield Wrong(spot, f"lacks the plural form {missing[0]}", f"{spot[0]} needs {needed}")
        for form, single in text.items():
            if form not in forms:
                yield Wrong((*spot, form), f"is no plural form of {spot[0]}", needed)
            elif isinstance(single, str):
                yield from _of_string((*spot, form), single, english)
            else:
                yield Wrong((*spot, form), "is no text", "text, in quotes")


def _of_string(spot: tuple[str, ...], text: str, english: Text) -> Iterator[Wrong]:
    known = placeholders(english)
    rest = text
    for name in known:
        rest = rest.replace("{" + name + "}", "")
    if not text.strip():
        yield Wrong(spot, "is empty", "at least one word")
    elif len(text) > LONGEST_TEXT:
        yield Wrong(spot, f"has {len(text)} characters", f"at most {LONGEST_TEXT}")
    elif "{" in rest or "}" in rest:
        names = ", ".join("{" + name + "}" for name in sorted(known))
        yield Wrong(spot, "has a brace that is no placeholder of this text", f"known here: {names or 'none'}")


def placeholders(text: Text) -> set[str]:
    """Return the names of the placeholders in a text, in any of its forms."""
    return {
        found[1] for one in ([text] if isinstance(text, str) else text.values()) for found in PLACEHOLDER.finditer(one)
    }
