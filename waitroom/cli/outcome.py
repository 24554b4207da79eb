"""How a command ends: its exit code, and what went wrong in words."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import Mistake


class Exit(IntEnum):
    """Exit codes; scripts rely on them."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    INTERRUPTED = 130


EXIT_CODES: dict[Exit, str] = {
    Exit.FINE: "done",
    Exit.FAILED: "failed at work: port taken, data directory in use, not ready, store away",
    Exit.USAGE: "wrong usage or configuration; every mistake is told",
    Exit.UNREACHABLE: "the admin listener cannot be reached",
    Exit.REFUSED: "refused: unknown room, wrong token, or somebody else changed it meanwhile",
    Exit.INTERRUPTED: "ended by Ctrl-C",
}


class CommandError(Exception):
    """A command that ends with `exit_code`, and `message` on standard error."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


def asked(question: str, *, yes: bool) -> None:
    """Go on when the operator says so, or said `yes` beforehand; otherwise nothing is changed."""
    if not yes and not click.confirm(question, err=True):
        raise CommandError("nothing was changed", Exit.REFUSED)


def tell_mistakes(mistakes: Sequence[Mistake]) -> None:
    """Write every mistake on standard error, a line each."""
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    click.echo(f"waitroom: {count} in the configuration:", err=True)
    for mistake in mistakes:
        click.echo(f"  {mistake}", err=True)


def not_valid(mistakes: Sequence[str]) -> str:
    """Say what is wrong with what an operator asked for: a single mistake in a line, several in one each."""
    return mistakes[0] if len(mistakes) == 1 else "\n  ".join(["not valid:", *mistakes])


def print_json(document: Any) -> None:
    """Write one JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
