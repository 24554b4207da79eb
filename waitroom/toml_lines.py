"""On which line of a TOML text each table, key and list entry stands; `tomllib` reads values and forgets lines."""

from __future__ import annotations

import re
from bisect import bisect_right

Spot = tuple[str | int, ...]
"""The way to a value: `("rooms", 1, "match", 0)` is the first pattern of the second room."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def line_numbers(text: str) -> dict[Spot, int]:
    """Return the line, counted from 1, of everything in `text`, which `tomllib` must have accepted before."""
    return _Scanner(text).document()


class _Scanner:
    """Walks over text that is known to be valid, so it looks for landmarks and not for errors."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Spot, int] = {}
        self.tables_in: dict[Spot, int] = {}
        self.line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def document(self) -> dict[Spot, int]:
        table: Spot = ()
        while self.next_character():
            start = self.at
            if self.take("[["):
                *parents, last = self.key()
                array = (*self.opened(parents), last)
                index = self.tables_in.get(array, 0)
                self.tables_in[array] = index + 1
                table = (*array, index)
                self.note(table, start)
                self.take("]]")
            elif self.take("["):
                table = self.opened(self.key())
                self.note(table, start)
                self.take("]")
            else:
                self.pair(table)
        return self.lines

    def opened(self, keys: list[str]) -> Spot:
        """A header that passes through an array of tables means the array's last entry."""
        spot: Spot = ()
        for key in keys:
            spot = (*spot, key)
            if spot in self.tables_in:
                spot = (*spot, self.tables_in[spot] - 1)
        return spot

    def pair(self, table: Spot) -> None:
        self.next_character()
        start = self.at
        spot = table
        for key in self.key():
            spot = (*spot, key)
            self.note(spot, start)
        self.take("=")
        self.value(spot)

    def key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self.next_character()
            if bare := _BARE_KEY.match(self.text, self.at):
                parts.append(bare.group())
                self.at = bare.end()
            else:
                parts.append(self.string()[1:-1])
            if not self.take("."):
                return parts

    def value(self, spot: Spot) -> None:
        if self.take("["):
            index = 0
            while not self.take("]"):
                self.note((*spot, index))
                self.value((*spot, index))
                self.take(",")
                index += 1
        elif self.take("{"):
            while not self.take("}"):
                self.pair(spot)
                self.take(",")
        elif self.next_character() in {'"', "'"}:
            self.string()
        elif scalar := _SCALAR.match(self.text, self.at):
            self.at = scalar.end()

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        assert found is not None, f"no string at character {self.at} of a text that tomllib accepted"
        self.at = found.end()
        return found.group()

    def take(self, landmark: str) -> bool:
        self.next_character()
        if not self.text.startswith(landmark, self.at):
            return False
        self.at += len(landmark)
        return True

    def next_character(self) -> str:
        """Skip blanks, line ends and comments; return what stands there, or "" at the end."""
        blank = _BLANK.match(self.text, self.at)
        assert blank is not None, "the pattern matches the empty text too"
        self.at = blank.end()
        return self.text[self.at : self.at + 1]

    def note(self, spot: Spot, start: int | None = None) -> None:
        """Note where `spot` stands: at `start`, or at what comes next. The first mention counts."""
        if start is None:
            self.next_character()
            start = self.at
        self.lines.setdefault(spot, bisect_right(self.line_starts, start))
