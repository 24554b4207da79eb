"""`waitroom pause`, `resume`, `close` and `open`: the mode of a room."""

from __future__ import annotations

import click

from .options import Connect, admin_options, json_option, reason_option
from .outcome import print_json

_SENTENCES = {
    "pause": "Admit nobody; all places are kept.",
    "resume": "Admit again after a pause.",
    "close": "Let nobody join any more: sold out, or over.",
    "open": "Admit again after closing.",
}


def _command(verb: str) -> click.Command:
    @click.command(verb, help=_SENTENCES[verb])
    @click.argument("room")
    @reason_option
    @admin_options
    @json_option
    def turn(room: str, reason: str | None, connect: Connect, *, as_json: bool) -> None:

        api = connect()
        before = api.room(room).get("mode")
        state = api.turn(room, verb, reason=reason)
        after = state.get("mode")
        if as_json:
            print_json(state)
        elif before == after:
            click.echo(f"{room}: {after} already")
        else:
            click.echo(f"{room}: {before} → {after}")

    return turn


pause_command = _command("pause")
resume_command = _command("resume")
close_command = _command("close")
open_command = _command("open")
