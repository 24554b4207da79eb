"""What the page says: all languages have all texts, and values stand in them as they should."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from waitroom.static_files import static_path
from waitroom.words.languages import LANGUAGES
from waitroom.words.overrides import placeholders
from waitroom.words.texts import Language, Text, Words, completed, load

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGLISH = json.loads(static_path("waiting/words/en.json").read_text(encoding="utf-8"))
MOST = 10_000_000
SCRIPTS = {
    "ar": "ARABIC", "bg": "CYRILLIC", "el": "GREEK", "fa": "ARABIC", "he": "HEBREW", "hi": "DEVANAGARI",
    "ja": "CJK HIRAGANA KATAKANA", "ko": "HANGUL", "ru": "CYRILLIC", "uk": "CYRILLIC", "ur": "ARABIC",
    "zh-Hans": "CJK", "zh-Hant": "CJK",
}  # fmt: skip
"""What letters are called by Unicode; Latin unless said otherwise."""


def raw(tag: str) -> dict[str, Text]:
    texts: dict[str, Text] = json.loads(static_path(f"waiting/words/{tag}.json").read_text(encoding="utf-8"))
    return texts


def singles(texts: dict[str, Text]) -> Iterator[tuple[str, str, str]]:
    """Key, plural form or "", text."""
    for key, text in texts.items():
        if isinstance(text, str):
            yield key, "", text
        else:
            yield from ((key, form, single) for form, single in text.items())


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_language_has_exactly_the_texts_of_english_in_its_order(tag: str) -> None:
    assert list(raw(tag)) == list(ENGLISH)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_text_that_counts_has_exactly_the_plural_forms_of_its_language(tag: str) -> None:
    for key, text in raw(tag).items():
        assert isinstance(text, dict) == isinstance(ENGLISH[key], dict), key
        if isinstance(text, dict):
            assert tuple(text) == LANGUAGES[tag].forms, key


@pytest.mark.parametrize("tag", LANGUAGES)
def test_the_placeholders_are_those_of_english(tag: str) -> None:
    """`{n}` may be missing where a form belongs to a single number, which is then a word: "two minutes" is one in Hebrew."""
    row = LANGUAGES[tag]
    numbers = Counter(row.form(n) for n in range(1, 300))
    for key, form, text in singles(raw(tag)):
        wanted = placeholders(ENGLISH[key])
        found = placeholders(text)
        if form and (numbers[form] <= 1):
            assert found | {"n"} == wanted | {"n"}, (key, form)
        else:
            assert found == wanted, (key, form)
        assert text.count("{") == text.count("}") == len(found), (key, form)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_text_is_clean(tag: str) -> None:
    """No markup, no stray blanks, no marks of direction: values are isolated when they are filled in."""
    for key, form, text in singles(raw(tag)):
        assert text == text.strip(), (key, form)
        assert "  " not in text, (key, form)
        assert not set(text) & set('<>|"'), (key, form)
        assert text == unicodedata.normalize("NFC", text), (key, form)
        # The zero-width non-joiner belongs to Persian spelling.
        invisible = {letter for letter in text if unicodedata.category(letter) == "Cf"} - {"\u200c"}
        assert not invisible, (key, form)
        assert len(text) <= 250, (key, form)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_text_is_in_the_script_of_its_language(tag: str) -> None:
    """No half-translated text, and no letter that only looks like one of the language."""
    scripts = tuple(SCRIPTS.get(tag, "LATIN").split())
    for key, form, text in singles(raw(tag)):
        plain = text
        for name in ("Cookie", "cookies", "cookie", "JavaScript"):
            plain = plain.replace(name, "")
        for name in placeholders(text):
            plain = plain.replace("{" + name + "}", "")
        letters = [letter for letter in plain if unicodedata.category(letter).startswith("L")]
        foreign = [letter for letter in letters if not unicodedata.name(letter).startswith((*scripts, "MODIFIER"))]
        assert not [letter for letter in foreign if letter not in "ー々"], (key, form)


@pytest.mark.parametrize("tag", [tag for tag in LANGUAGES if tag != "en"])
def test_a_text_is_translated(tag: str) -> None:
    """A text that is the same as in English is rare: "Cookies" and the like."""
    same = [key for key, text in raw(tag).items() if text == ENGLISH[key]]
    assert same == []


def test_a_value_is_isolated_from_the_text_around_it() -> None:
    words = Words()
    hebrew = words.language("he", "shop", {})
    assert hebrew.say("wait_range", 12, low=8) == "בין \u20688\u2069 ל־\u206812\u2069 דקות"
    assert hebrew.say("missed_at", time="14:05") == "תורך היה בשעה \u206814:05\u2069."


@pytest.mark.parametrize(
    ("tag", "n", "said"),
    [
        ("en", 1, "Updated 1 minute ago"),
        ("en", 2, "Updated 2 minutes ago"),
        ("he", 1, "עודכן לפני דקה"),
        ("he", 2, "עודכן לפני שתי דקות"),
        ("he", 20, "עודכן לפני 20 דקות"),
        ("ar", 2, "تم التحديث قبل دقيقتين"),
        ("ar", 7, "تم التحديث قبل 7 دقائق"),
        ("ar", 11, "تم التحديث قبل 11 دقيقة"),
        ("ar", 102, "تم التحديث قبل 102 دقيقة"),
        ("ru", 21, "Обновлено 21 минуту назад"),
        ("ru", 22, "Обновлено 22 минуты назад"),
        ("ru", 25, "Обновлено 25 минут назад"),
        ("pl", 22, "Zaktualizowano 22 minuty temu"),
        ("pl", 25, "Zaktualizowano 25 minut temu"),
        ("fa", 25, "۲۵ دقیقه پیش به‌روز شد"),
        ("ro", 25, "Actualizat acum 25 de minute"),
        ("ja", 1, "1 分前に更新"),
    ],
)
def test_a_text_that_counts_is_said_in_the_form_of_its_number(tag: str, n: int, said: str) -> None:
    text = Words().language(tag, "shop", {}).say("updated_minutes", n)
    assert text.replace("\u2068", "").replace("\u2069", "") == said


def test_millions_take_a_preposition_in_romance_languages() -> None:
    french = Words().language("fr", "shop", {}).say("behind", 2_000_000)
    assert french == "\u20682\u202f000\u202f000\u2069 de personnes sont arrivées après vous."


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_text_can_be_said_with_every_number(tag: str) -> None:
    language = Words().language(tag, "shop", {})
    for key in ENGLISH:
        for n in (0, 1, 2, 3, 11, 21, 22, 25, 100, 1_234, MOST):
            said = language.say(key, n, low=1, time="14:05", wait="…")
            assert said
            assert "{" not in said


def test_times_are_told_in_utc_with_the_digits_of_the_language() -> None:
    assert Language("en", {}).date_time(1_795_826_700_000) == "2026-11-28 00:45 UTC"
    assert Language("fa", {}).date_time(0) == "۱۹۷۰-۰۱-۰۱ ۰۰:۰۰ UTC"
    assert Language("da", {}).time(0) == "00.00 UTC"


def test_what_a_language_lacks_is_said_in_english() -> None:
    english: dict[str, Text] = {"place": "Your place", "days": {"one": "{n} day", "other": "{n} days"}}
    assert completed({"place": "המקום שלך"}, english, ("one", "two", "other")) == {
        "place": "המקום שלך",
        "days": {"one": "{n} days", "two": "{n} days", "other": "{n} days"},
    }


def test_a_language_is_loaded_once_and_a_rooms_own_words_stay_in_the_room() -> None:
    words = Words()
    own = {"he": {"waiting_heading": "שלום", "behind": "הגיעו עוד {n}"}}
    hebrew = words.language("he", "shop", own)
    assert words.language("he", "shop", own) is hebrew
    assert hebrew.texts["waiting_heading"] == "שלום"
    assert hebrew.say("behind", 1) == hebrew.say("behind", 5).replace("5", "1")
    other = words.language("he", "other", {})
    assert other.texts["waiting_heading"] == load("he")["waiting_heading"]
    assert words.language("en", "shop", own).texts == ENGLISH
