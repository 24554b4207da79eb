"""What the page says in one language: loaded when the first visitor reads it, with the room's own words over ours.

A text is a string, or a table from plural form to string where it counts something; it may hold placeholders such as
`{n}`. The files are `static/waiting/words/<tag>.json`, flat; English says which texts there are.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Final

from waitroom.static_files import static_path

from .languages import LANGUAGES, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

Text = str | dict[str, str]
Texts = dict[str, Text]

PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_FIRST_STRONG_ISOLATE: Final = "\u2068"
_POP_ISOLATE: Final = "\u2069"


def isolated(text: str) -> str:
    """Set a value apart from the text around it, so that neither turns the other's order in right-to-left text."""
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"


class Language:
    """One language of one room, ready to be said."""

    def __init__(self, tag: str, texts: Texts) -> None:
        self.tag = tag
        """For `lang` and `Content-Language`."""
        self.row: Row = LANGUAGES[tag]
        self.direction = self.row.direction
        """ltr or rtl."""
        self.locale = f"{tag}-u-nu-{self.row.numbering}"
        """For `Intl`, which then writes the same digits in every browser."""
        self.texts = texts

    def number(self, n: int) -> str:
        """Write a whole number, such as "1,234"."""
        return self.row.number(n)

    def time(self, at_ms: int) -> str:
        """Write a time of day, such as "14:05 UTC": the server does not know the visitor's time zone."""
        return self.row.in_digits(_utc(at_ms).strftime(f"%H{self.row.clock}%M")) + " UTC"

    def date_time(self, at_ms: int) -> str:
        """Write a moment, such as "2026-11-27 14:05 UTC"."""
        return f"{self.row.in_digits(_utc(at_ms).strftime('%Y-%m-%d'))} {self.time(at_ms)}"

    def say(self, key: str, n: int | None = None, **values: int | str) -> str:
        """Return the text `key` with its placeholders filled, each value isolated.

        `n` fills `{n}` and chooses the plural form; whole numbers are written as the language does.
        """
        text = self.texts[key]
        if isinstance(text, dict):
            assert n is not None, f"{key} counts something"
            text = text[self.row.form(n)]
        if n is not None:
            values["n"] = n

        def value_of(found: re.Match[str]) -> str:
            value = values[found[1]]
            return isolated(self.number(value) if isinstance(value, int) else value)

        return PLACEHOLDER.sub(value_of, text)


class Words:
    """The languages of all rooms, each loaded when it is first asked for."""

    def __init__(self) -> None:
        self._ours: dict[str, Texts] = {}
        self._of_rooms: dict[tuple[str, str], Language] = {}

    def language(self, tag: str, room: str, overrides: Mapping[str, Mapping[str, Text]]) -> Language:
        """Return a language of LANGUAGES with the words that `room` has in place of ours.

        `overrides`: tag → key → text, as `overrides.mistakes` found them right. They must be the same at each call.
        """
        known = self._of_rooms.get((tag, room))
        if known is None:
            known = self._of_rooms[tag, room] = self._make(tag, overrides.get(tag, {}))
        return known

    def _make(self, tag: str, own: Mapping[str, Text]) -> Language:
        texts = self._ours.get(tag)
        if texts is None:
            texts = self._ours[tag] = load(tag)
        if own:
            forms = LANGUAGES[tag].forms
            texts = texts | {key: _in_forms(text, texts[key], forms) for key, text in own.items()}
        return Language(tag, texts)


def _in_forms(text: Text, ours: Text, forms: tuple[str, ...]) -> Text:
    """One text may stand for all plural forms."""
    return dict.fromkeys(forms, text) if isinstance(ours, dict) and isinstance(text, str) else text


def load(tag: str) -> Texts:
    """Return our texts in a language."""
    return _read("en") if tag == "en" else completed(_read(tag), _read("en"), LANGUAGES[tag].forms)


def completed(texts: Texts, english: Texts, forms: tuple[str, ...]) -> Texts:
    """Return `texts` with what they lack in English: in one form for every number of a language that has `forms`."""
    return {
        key: text if isinstance(text, str) else dict.fromkeys(forms, text["other"]) for key, text in english.items()
    } | texts


def _read(tag: str) -> Texts:
    texts: Texts = json.loads(static_path(f"waiting/words/{tag}.json").read_text(encoding="utf-8"))
    return texts


def _utc(at_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1000, tz=dt.UTC)
