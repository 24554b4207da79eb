"""A room's own words: every mistake has its spot, what is wrong, and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from waitroom.words.overrides import LONGEST_TEXT, mistakes


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"he": {}},
        {"he": {"waiting_heading": "שלום"}},
        {"en": {"rate": "About {n} a minute."}},
        {"en": {"rate": "It moves."}},
        {"en": {"rate": {"one": "One a minute.", "other": "{n} a minute."}}},
        {"en": {"wait_range": {"one": "{low}–{n} minute", "other": "{n}, or as few as {low}"}}},
    ],
)
def test_right_words_have_no_mistakes(words: dict[str, Any]) -> None:
    assert list(mistakes(words)) == []


@pytest.mark.parametrize(
    ("words", "spot", "what", "allowed"),
    [
        ({"hebrew": {}}, ("hebrew",), "is no language of the page", "one of ar, bg"),
        ({"pt": {}}, ("pt",), "is no language of the page", "did you mean `pt-BR`?"),
        ({"he": "שלום"}, ("he",), "is not a table of texts", "such as"),
        ({"he": {"waiting_headin": "x"}}, ("he", "waiting_headin"), "is no text of the page", "`waiting_heading`"),
        ({"he": {"zzz": "x"}}, ("he", "zzz"), "is no text of the page", "docs/languages.md"),
        ({"he": {"place": ""}}, ("he", "place"), "is empty", "at least one word"),
        ({"he": {"place": 7}}, ("he", "place"), "is no text", "text, in quotes"),
        ({"he": {"place": "x" * 501}}, ("he", "place"), "has 501 characters", f"at most {LONGEST_TEXT}"),
        ({"he": {"place": {"one": "x"}}}, ("he", "place"), "counts nothing", "one text"),
        ({"he": {"about": "{m}"}}, ("he", "about"), "has a brace that is no placeholder", "known here: {n}"),
        ({"he": {"about": "{n"}}, ("he", "about"), "has a brace that is no placeholder", "known here: {n}"),
        ({"he": {"place": "{n}"}}, ("he", "place"), "has a brace that is no placeholder", "known here: none"),
        ({"he": {"rate": {"one": "x", "other": "y"}}}, ("he", "rate"), "lacks the plural form two", "one, two, other"),
        ({"en": {"rate": {"one": "x"}}}, ("en", "rate"), "lacks the plural form other", "en needs one and other"),
        (
            {"en": {"rate": {"one": "x", "few": "y", "other": "z"}}},
            ("en", "rate", "few"), "is no plural form of en", "one and other",
        ),
        ({"en": {"rate": {"one": "x", "other": 2}}}, ("en", "rate", "other"), "is no text", "in quotes"),
        ({"en": {"rate": {"one": "{n}", "other": "{x}"}}}, ("en", "rate", "other"), "has a brace", "known here: {n}"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_is(words: dict[str, Any], spot: tuple[str, ...], what: str, allowed: str) -> None:
    (found,) = mistakes(words)
    assert found.spot == spot
    assert what in found.what
    assert allowed in found.allowed


def test_all_mistakes_are_told_at_once() -> None:
    assert len(list(mistakes({"xx": {}, "he": {"place": "", "about": "{x}"}, "en": {"y": "z"}}))) == 4
