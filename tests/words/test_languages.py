"""Numbers and plural forms, as the languages write them."""

from __future__ import annotations

import pytest

from waitroom.words.languages import LANGUAGES


def test_there_are_32_languages_and_four_of_them_run_from_right_to_left() -> None:
    assert len(LANGUAGES) == 32
    assert [tag for tag, row in LANGUAGES.items() if row.direction == "rtl"] == ["ar", "fa", "he", "ur"]


@pytest.mark.parametrize(
    ("tag", "n", "written"),
    [
        ("en", 0, "0"),
        ("en", 999, "999"),
        ("en", 1_234, "1,234"),
        ("en", 1_234_567, "1,234,567"),
        ("es", 1_234, "1234"),
        ("es", 12_340, "12.340"),
        ("fr", 1_234, "1\u202f234"),
        ("ru", 1_234, "1\u00a0234"),
        ("fa", 1_234, "۱٬۲۳۴"),
        ("hi", 1_234_567, "12,34,567"),
        ("hi", 12_345, "12,345"),
    ],
)
def test_a_number_is_written_with_the_digits_and_groups_of_its_language(tag: str, n: int, written: str) -> None:
    assert LANGUAGES[tag].number(n) == written


@pytest.mark.parametrize(
    ("tag", "forms"),
    [
        ("ar", ("zero", "one", "two", "few", "many", "other")),
        ("cs", ("one", "few", "other")),
        ("en", ("one", "other")),
        ("fr", ("one", "many", "other")),
        ("he", ("one", "two", "other")),
        ("ja", ("other",)),
        ("pl", ("one", "few", "many")),
        ("ro", ("one", "few", "other")),
    ],
)
def test_a_language_has_the_plural_forms_that_whole_numbers_take(tag: str, forms: tuple[str, ...]) -> None:
    assert LANGUAGES[tag].forms == forms
