"""`waitroom room`: rooms made and removed while Waitroom runs."""

from __future__ import annotations

import json
from typing import Any

import click

from waitroom.admin.report.lines import visitors

from .options import Connect, admin_options, json_option, reason_option, yes_option
from .outcome import CommandError, Exit, asked, print_json


@click.group("room")
def room_command() -> None:
    """Make and remove rooms while Waitroom runs."""


@room_command.command("create")
@click.argument("name")
@click.argument("settings", nargs=-1, metavar="KEY=VALUE…")
@reason_option
@admin_options
@json_option
def create(name: str, settings: tuple[str, ...], reason: str | None, connect: Connect, *, as_json: bool) -> None:
    """Make a room; every gateway serves it within a second, before the rooms of the file.

    A value is JSON, or else text as it stands.

    \b
    waitroom room create flash 'match=["/flash*"]' rate=600
    --json: the room, as of `waitroom rooms`
    """  # noqa: D301  # click reads \b as: keep these lines
    state = connect().perform("create", reason=reason, name=name, settings=dict(map(_pair, settings)))
    if as_json:
        print_json(state)
        return
    click.echo(f"{name}: made; the gateways serve it within a second")


@room_command.command("remove")
@click.argument("name")
@yes_option
@reason_option
@admin_options
@json_option
def remove(name: str, reason: str | None, connect: Connect, *, yes: bool, as_json: bool) -> None:
    """Remove a room that was made so, with its queue."""
    api = connect()
    state = api.room(name)
    waiting = (state.get("census") or {}).get("waiting")
    asked(f"{visitors(waiting or 0)} in the queue of {name}. Remove the room?", yes=yes)
    answer = api.perform("remove", room=name, reason=reason, version=state.get("version"))
    if as_json:
        print_json(answer)
        return
    click.echo(f"{name}: removed; {answer['people']} lost their place")


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"{text!r} is not key=value, such as rate=600", Exit.USAGE)
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
