"""Tables on standard output: coloured on a terminal unless NO_COLOR is set, whole lines everywhere else."""

from __future__ import annotations

import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 200
"""Columns where no terminal says how wide it is."""


def console() -> Console:
    """Return a console that takes no markup from names and messages."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width)


def moment(at_ms: int) -> str:
    """Return date and time where this command runs."""
    return f"{datetime.fromtimestamp(at_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"


def table(*columns: str, numbers: frozenset[str] = frozenset()) -> Table:
    """Return an empty table; columns in `numbers` are set to the right."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        grid.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return grid
