"""The code that visitors quote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.domain.short_code import ALPHABET, mark_of, mark_of_code, read_short_code, short_code

VISITORS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", min_size=22, max_size=22)


def test_a_code_never_changes() -> None:
    """Printed on pages and in letters: these three stay for ever."""
    assert short_code("AAAAAAAAAAAAAAAAAAAAAA") == "H9DX-PK61"
    assert short_code("AAAAAAAAAAAAAAAAAAAAAB") == "19RW-ZCHJ"
    assert short_code("visitor_of_today-_1234") == "9V9K-B402"


@given(VISITORS)
def test_a_code_has_no_characters_that_look_alike(visitor: str) -> None:
    code = short_code(visitor)
    assert len(code) == 9
    assert set(code) <= {*ALPHABET, "-"}
    assert not set(code) & set("ILOU")


@given(VISITORS)
def test_a_code_is_read_however_it_is_written(visitor: str) -> None:
    code = short_code(visitor)
    spoken = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert read_short_code(spoken) == read_short_code(f" {code}") == code


@pytest.mark.parametrize("text", ["", "7F3K", "7F3K-92QDX", "7F3K-92QU", "7F3K_92QD", "7F3K-92Q\u0661"])
def test_what_is_no_code_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="7F3K-92QD"):
        read_short_code(text)


@given(VISITORS)
def test_a_code_stands_for_the_bits_that_are_searched_for(visitor: str) -> None:
    assert mark_of_code(short_code(visitor)) == mark_of(visitor.encode())


def test_codes_tell_visitors_apart() -> None:
    assert len({short_code(f"visitor-{number:06}-abcdef") for number in range(20_000)}) == 20_000
