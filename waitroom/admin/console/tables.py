"""The table behind a chart: what a reader without eyes for lines is given of hundreds of points. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEWEST: Final = 20
OLDER: Final = 40


def rows(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return points newest first: the newest one by one, then at most `OLDER` of the others, in even steps."""
    older = points[:-NEWEST]
    step = max(1, -(-len(older) // OLDER))
    return [*reversed(points[-NEWEST:]), *older[::-step]]


def cell(value: float | None, scale: float = 1) -> str:
    """Return a figure of a point as a table tells it: one decimal, none where it is whole."""
    return "—" if value is None else f"{value * scale:,.1f}".removesuffix(".0")
