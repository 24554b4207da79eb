"""docs/languages.md lists every language and every text, as they are."""

from __future__ import annotations

from pathlib import Path

from waitroom.words.languages import LANGUAGES
from waitroom.words.texts import load

LINES = (Path(__file__).parents[2] / "docs" / "languages.md").read_text(encoding="utf-8").splitlines()


def test_every_language_is_listed_with_its_plural_forms() -> None:
    for tag, row in LANGUAGES.items():
        direction = " (right to left)" if row.direction == "rtl" else ""
        assert f"| `{tag}` | {row.name}{direction} | {', '.join(row.forms)} |" in LINES


def test_every_text_is_listed_in_english() -> None:
    for key, text in load("en").items():
        assert f"| `{key}` | {text if isinstance(text, str) else ' / '.join(text.values())} |" in LINES
