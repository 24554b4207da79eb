"""Every table, key and entry of a TOML text is found on its line."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.toml_lines import Spot, line_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = '''\
top = "x" # [not] = a table
"quoted key" = 'a # b'

[ a . b ] # comment
c.d = 1
e = """
[not.a.table]
f = "1" \\""" \\
"""""
g = \'\'\'
[[nor.this]]
\'\'\'

[[rooms]]
match = [ # ["x"]
  "/a,]",
  [1, 2], 2020-01-01 01:02:03,
]
[[rooms]]
x = { y = 1, "z" = [ { w = 1 } ] }
[[rooms.inner]]
k = 1
[[rooms.inner]]
k = 2
[rooms.deep.er]
k = 3
'''


def spots(value: Any, spot: Spot = ()) -> Iterator[Spot]:
    if spot:
        yield spot
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from spots(inner, (*spot, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from spots(inner, (*spot, index))


@pytest.mark.parametrize(
    ("spot", "line"),
    [
        (("top",), 1),
        (("quoted key",), 2),
        (("a", "b"), 4),
        (("a", "b", "c"), 5),
        (("a", "b", "c", "d"), 5),
        (("a", "b", "e"), 6),
        (("a", "b", "g"), 10),
        (("rooms", 0), 14),
        (("rooms", 0, "match"), 15),
        (("rooms", 0, "match", 0), 16),
        (("rooms", 0, "match", 1, 1), 17),
        (("rooms", 0, "match", 2), 17),
        (("rooms", 1), 19),
        (("rooms", 1, "x", "z", 0, "w"), 20),
        (("rooms", 1, "inner", 0, "k"), 22),
        (("rooms", 1, "inner", 1), 23),
        (("rooms", 1, "inner", 1, "k"), 24),
        (("rooms", 1, "deep", "er", "k"), 26),
    ],
)
def test_what_is_written_is_found_on_its_line(spot: Spot, line: int) -> None:
    assert line_numbers(TEXT)[spot] == line


def test_line_ends_of_windows_count_once() -> None:
    assert line_numbers("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


keys = st.text("abc-_1", min_size=1, max_size=3)
scalars = st.sampled_from(["1", '"#]"', "'}'", '"""\n]"""', "true", "1.5e3", "2020-01-01"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: "[" + ", # c\n ".join(parts) + "\n]")
        | st.dictionaries(keys, inner, max_size=3).map(
            lambda table: "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }"
        )
    ),
    max_leaves=6,
)
tables = st.dictionaries(keys, values, max_size=4)


@given(tables, st.dictionaries(keys.map("t".__add__), tables, max_size=3), st.lists(tables, max_size=3))
def test_no_value_is_without_a_line(
    top: dict[str, str], named: dict[str, dict[str, str]], rooms: list[dict[str, str]]
) -> None:
    parts = ["".join(f"x{key} = {value}\n" for key, value in top.items())]
    for header, table in [
        *((f"[{name}]", table) for name, table in named.items()),
        *(("[[rooms]]", room) for room in rooms),
    ]:
        parts.append(header + "\n" + "".join(f"{key} = {value}\n" for key, value in table.items()))
    text = "\n".join(parts)
    lines = line_numbers(text)
    rows = text.split("\n")
    missing = [spot for spot in spots(tomllib.loads(text)) if spot not in lines and spot != ("rooms",)]
    assert missing == []
    for spot, line in lines.items():
        assert not isinstance(spot[-1], str) or spot[-1] in rows[line - 1]
