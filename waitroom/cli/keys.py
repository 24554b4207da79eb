"""`waitroom keys`: keys that sign queue tokens and passes."""

from __future__ import annotations

import secrets

import click


@click.group("keys")
def keys_command() -> None:
    """Make keys that sign tokens."""


@keys_command.command("new")
def new() -> None:
    """Print a fresh signing key of 256 bits.

    To rotate, put it first in `signing` and leave the old key behind it for as long as its tokens live.
    """
    click.echo(secrets.token_urlsafe(32))
    click.echo(
        "Put it first in [keys] signing, or in WAITROOM_KEYS__SIGNING; keep it out of version control.", err=True
    )
