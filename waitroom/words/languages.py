"""The languages of the page, a row each: name, direction, digits, grouping, clock, and the plural form of a number.

The values are those of the Unicode CLDR, kept here because the page needs only these few: a library with the data of
all languages costs 33 MB on disk, 45 ms at start and a megabyte per language and process. A test in a real browser
compares every row with `Intl`, by which the page's script goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_WESTERN: Final = "0123456789"
_PERSIAN: Final = "۰۱۲۳۴۵۶۷۸۹"
_MILLION: Final = 1_000_000
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_THIN: Final = "\N{NARROW NO-BREAK SPACE}"


# -- plural rules of whole numbers ---------------------------------------------------------------------------


def _always_other(n: int) -> str:
    return "other"


def _one(n: int) -> str:
    return "one" if n == 1 else "other"


def _none_or_one(n: int) -> str:
    return "one" if n in {0, 1} else "other"


def _one_or_millions(n: int) -> str:
    return "many" if n and n % _MILLION == 0 else _one(n)


def _none_or_one_or_millions(n: int) -> str:
    return "many" if n and n % _MILLION == 0 else _none_or_one(n)


def _hebrew(n: int) -> str:
    return {1: "one", 2: "two"}.get(n, "other")


def _arabic(n: int) -> str:
    if n in {0, 1, 2}:
        return ("zero", "one", "two")[n]
    rest = n % 100
    return "few" if 3 <= rest <= 10 else "many" if rest >= 11 else "other"


def _czech(n: int) -> str:
    return "one" if n == 1 else "few" if n in {2, 3, 4} else "other"


def _polish(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if n % 10 in {2, 3, 4} and n % 100 not in {12, 13, 14} else "many"


def _russian(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 in {2, 3, 4} and n % 100 not in {12, 13, 14} else "many"


def _romanian(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if n == 0 or 1 <= n % 100 <= 19 else "other"


_SAMPLES: Final = (*range(200), _MILLION)
"""Every form that whole numbers have is met among these."""


# -- the rows ------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What is known of one language."""

    name: str
    """As its readers call it."""
    form: Callable[[int], str]
    """Whole number from 0 → plural category of the CLDR."""
    group: str = ","
    """Between groups of digits."""
    ungrouped_digits: int = 3
    """So many digits at most stand without a group."""
    direction: str = "ltr"
    digits: str = _WESTERN
    clock: str = ":"
    """Between hours and minutes."""
    indian: bool = False
    """Groups above the thousands have two digits."""

    @property
    def forms(self) -> tuple[str, ...]:
        """The plural categories that whole numbers have, in the order of the CLDR."""
        met = {self.form(n) for n in _SAMPLES}
        return tuple(form for form in ("zero", "one", "two", "few", "many", "other") if form in met)

    @property
    def numbering(self) -> str:
        """The numbering system, as `Intl` names it."""
        return "arabext" if self.digits == _PERSIAN else "latn"

    def number(self, n: int) -> str:
        """Write a whole number."""
        text = str(n)
        if len(text) > self.ungrouped_digits:
            head, groups = text[:-3], [text[-3:]]
            size = 2 if self.indian else 3
            while head:
                groups.insert(0, head[-size:])
                head = head[:-size]
            text = self.group.join(groups)
        return self.in_digits(text)

    def in_digits(self, text: str) -> str:
        """Write the digits of `text` as the language does."""
        return text if self.digits == _WESTERN else text.translate(str.maketrans(_WESTERN, self.digits))


LANGUAGES: Final[dict[str, Row]] = {
    "ar": Row("العربية", _arabic, direction="rtl"),
    "bg": Row("български", _one, _NO_BREAK, 4),
    "cs": Row("čeština", _czech, _NO_BREAK),
    "da": Row("dansk", _one, ".", clock="."),
    "de": Row("Deutsch", _one, "."),
    "el": Row("Ελληνικά", _one, "."),
    "en": Row("English", _one),
    "es": Row("español", _one_or_millions, ".", 4),
    "fa": Row("فارسی", _none_or_one, "\N{ARABIC THOUSANDS SEPARATOR}", direction="rtl", digits=_PERSIAN),
    "fi": Row("suomi", _one, _NO_BREAK, clock="."),
    "fr": Row("français", _none_or_one_or_millions, _THIN),
    "he": Row("עברית", _hebrew, direction="rtl"),
    "hi": Row("हिन्दी", _none_or_one, indian=True),
    "hu": Row("magyar", _one, _NO_BREAK, 4),
    "id": Row("Bahasa Indonesia", _always_other, ".", clock="."),
    "it": Row("italiano", _one_or_millions, ".", 4),
    "ja": Row("日本語", _always_other),
    "ko": Row("한국어", _always_other),
    "nb": Row("norsk bokmål", _one, _NO_BREAK),
    "nl": Row("Nederlands", _one, "."),
    "pl": Row("polski", _polish, _NO_BREAK, 4),
    "pt-BR": Row("português (Brasil)", _none_or_one_or_millions, "."),
    "ro": Row("română", _romanian, "."),
    "ru": Row("русский", _russian, _NO_BREAK),
    "sk": Row("slovenčina", _czech, _NO_BREAK),
    "sv": Row("svenska", _one, _NO_BREAK),
    "tr": Row("Türkçe", _one, "."),
    "uk": Row("українська", _russian, _NO_BREAK),
    "ur": Row("اردو", _one, direction="rtl"),
    "vi": Row("Tiếng Việt", _always_other, "."),
    "zh-Hans": Row("简体中文", _always_other),
    "zh-Hant": Row("繁體中文", _always_other),
}
"""By language tag (BCP 47)."""
