"""`waitroom rooms`: the rooms as they are in force."""

from __future__ import annotations

import click

from .options import Connect, admin_options, json_option
from .outcome import print_json


@click.command("rooms")
@admin_options
@json_option
def rooms_command(connect: Connect, *, as_json: bool) -> None:
    """List the rooms and what is in force in each.

    \b
    --json: {"rooms": [{"name", "version", "mode", "room", "live", "rate_now", "census", "limiting",
            "store_available", "gateways"}]}
    """  # noqa: D301  # click reads \b as: keep these lines
    from .output import console, table
    from .values import as_text

    states = connect().rooms()
    if as_json:
        print_json({"rooms": states})
        return
    if not states:
        click.echo("There are no rooms. Add [[rooms]] to the configuration.")
        return
    grid = table("room", "mode", "matches", "rate/min", "capacity", "session", "version", "changed live")
    for state in states:
        room = state.get("room") or {}
        grid.add_row(
            state.get("name"),
            state.get("mode"),
            as_text(room.get("match")),
            as_text(room.get("rate")),
            as_text(room.get("capacity")),
            f"{room.get('session_seconds')} s",
            str(state.get("version")),
            as_text(list(state.get("live") or ())),
        )
    console().print(grid)
