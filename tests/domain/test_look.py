"""What a room's look may be, and that text on it can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.domain.look import check_link, contrast, text_on

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(COLOURS)
def test_text_on_any_colour_can_be_read(colour: str) -> None:
    assert contrast(text_on(colour), colour) >= 4.5


@pytest.mark.parametrize(("colour", "text"), [("#000000", "#ffffff"), ("#ffffff", "#000000"), ("#0b5fff", "#ffffff")])
def test_text_is_dark_on_bright_and_bright_on_dark(colour: str, text: str) -> None:
    assert text_on(colour) == text


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize(
    "url",
    ["/home", "//shop.example", "javascript:alert(1)", "data:text/html,x", "https://", "ftp://a/", "http://a b/",
     "https://shop.example/\n", "https://[shop"],
)  # fmt: skip
def test_what_is_no_web_link_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a link is"):
        check_link(url)


@pytest.mark.parametrize("url", ["", "https://shop.example/a?b=c#d", "http://127.0.0.1:9000"])
def test_web_links_are_taken_as_they_are(url: str) -> None:
    assert check_link(url) == url
