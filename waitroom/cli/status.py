"""`waitroom status`: what is true in every room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import Connect, admin_options, json_option
from .outcome import print_json

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("status")
@click.argument("room", required=False)
@admin_options
@json_option
def status_command(room: str | None, connect: Connect, *, as_json: bool) -> None:
    """Show mode, limits, and who waits and shops, room by room.

    \b
    --json: {"rooms": [{"name", "version", "mode", "room", "live", "rate_now", "census", "limiting",
            "store_available", "gateways"}]}
    """  # noqa: D301  # click reads \b as: keep these lines
    api = connect()

    states = [api.room(room)] if room else api.rooms()
    if as_json:
        print_json({"rooms": states})
    else:
        from .output import console

        console().print(overview(states))


def overview(states: list[dict[str, Any]]) -> RenderableType:
    """Return the table of all rooms, or what to do when there is nothing to show."""
    from rich.console import Group
    from rich.text import Text

    from .output import table

    notes: list[RenderableType] = []
    if not states:
        return Group(Text("There are no rooms. Add [[rooms]] to the configuration and send SIGHUP."), *notes)
    columns = ("room", "mode", "rate/min", "entered/min", "active", "waiting", "called", "missed", "limited by")
    grid = table(*columns, numbers=frozenset(columns[2:8]))
    for state in states:
        grid.add_row(*_row(state))
    if away := [str(state.get("name")) for state in states if not state.get("store_available", True)]:
        words = f"\nThe store cannot be reached, so nobody new is admitted: {', '.join(away)}. Places are safe."
        notes.append(Text(words, style="bold red"))
    if changed := [f"{state['name']} ({', '.join(state['live'])})" for state in states if state.get("live")]:
        notes.append(Text(f"\nChanged live, by an operator: {'; '.join(changed)}."))
    return Group(grid, *notes)


def _row(state: dict[str, Any]) -> list[str]:

    room, census = state.get("room") or {}, state.get("census")
    limits = [
        str(state.get("name")),
        str(state.get("mode")),
        _rate(room.get("rate"), state.get("rate_now", room.get("rate"))),
    ]
    if not isinstance(census, dict):
        return [*limits, "?", "?", "?", "?", "?", str(state.get("limiting") or "store away")]
    capacity = room.get("capacity")
    active = f"{census.get('active')} of {capacity}" if capacity is not None else str(census.get("active"))
    counts = (str(census.get(key)) for key in ("waiting", "called", "missed"))
    return [*limits, str(census.get("entries")), active, *counts, str(state.get("limiting"))]


def _rate(rate: int | None, now: int | None) -> str:
    """Write the rate in force and, during a ramp, where it leads."""
    from .values import as_text

    return as_text(rate) if rate == now else f"{as_text(now)} → {as_text(rate)}"
