"""Which language a visitor reads."""

from __future__ import annotations

import pytest

from waitroom.words.choice import COOKIE, Chosen, choose, cookie_value, nearest, preferred, read_cookie
from waitroom.words.languages import LANGUAGES


@pytest.mark.parametrize(
    ("tag", "ours"),
    [
        ("he", "he"),
        ("HE", "he"),
        ("he-IL", "he"),
        ("iw", "he"),
        ("iw-IL", "he"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("pt_BR", "pt-BR"),
        ("no", "nb"),
        ("nn-NO", "nb"),
        ("in", "id"),
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-TW", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"),
        ("zh-Hans-HK", "zh-Hans"),
        ("zh-hant", "zh-Hant"),
        ("en-GB-oxendict", "en"),
        ("sr-Latn-RS", ""),
        ("english", ""),
        ("e", ""),
        ("", ""),
        ("*", ""),
        ("-", ""),
        ("../en", ""),
        ("en" + "-x" * 40, ""),
    ],
)
def test_a_tag_means_the_language_that_is_left_when_its_end_is_cut_off(tag: str, ours: str) -> None:
    assert nearest(tag) == ours


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ("he", "he"),
        ("he-IL,he;q=0.9,en-US;q=0.8,en;q=0.7", "he"),
        ("en;q=0.5,he;q=0.6", "he"),
        ("en;q=0.5, he ; q = 0.6 ", "he"),
        ("xx,fr;q=0.1", "fr"),
        ("de,fr", "de"),
        ("*", ""),
        ("*,tr;q=0.1", "tr"),
        ("en;q=0", ""),
        ("en;q=0,ja;q=0.01", "ja"),
        ("en;q=2,ja;q=0.01", "ja"),
        ("en;q=nan,ja;q=0.01", "ja"),
        ("en;q=high,ja;q=0.01", "ja"),
        ("en;level=1,ja;q=0.01", "ja"),
        ("", ""),
        (",,;q=1,\x00", ""),
        ("xx," * 5_000 + "en", ""),
    ],
)
def test_a_browser_gets_what_it_likes_best_of_what_there_is(header: str, ours: str) -> None:
    assert preferred(header) == ours


def test_the_address_comes_before_the_cookie_the_cookie_before_the_browser_the_browser_before_the_room() -> None:
    chosen = Chosen("fr")
    assert choose("he", chosen, "de", "ja") == "he"
    assert choose("", chosen, "de", "ja") == "fr"
    assert choose("", Chosen(), "de", "ja") == "de"
    assert choose("", Chosen(), "", "ja") == "ja"
    assert choose("", Chosen(), "", "") == "en"


def test_an_address_that_says_no_language_of_ours_says_nothing() -> None:
    """Shops use the word for their own purposes."""
    assert choose("langley", Chosen(), "de", "en") == "de"


def test_a_choice_on_the_page_overrules_the_address_it_was_made_on_and_no_other() -> None:
    chosen = read_cookie(cookie_value("he", "fr-FR"))
    assert choose("fr", chosen, "de", "en") == "he"
    assert choose("ar", chosen, "de", "en") == "ar"
    assert choose("", chosen, "de", "en") == "he"


@pytest.mark.parametrize("value", ["", "xx", "he.xx", "he.", ".he", "he; Path=/", "he.fr.de", '"he"'])
def test_a_cookie_holds_languages_of_ours_or_nothing(value: str) -> None:
    assert read_cookie(value) in {Chosen(), Chosen("he")}
    assert read_cookie(value).tag in {"", *LANGUAGES}


@pytest.mark.parametrize("tag", LANGUAGES)
def test_what_is_chosen_is_read_again(tag: str) -> None:
    for address in ("", tag, "en", "ja-JP", "no language"):
        assert choose(address, read_cookie(cookie_value(tag, address)), "", "tr") == tag


def test_the_cookie_is_one_of_ours() -> None:
    assert COOKIE.startswith("waitroom-")
