"""`waitroom status`: what is true in every room, once or every second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .options import Connect, admin_options, json_option
from .outcome import CommandError, Exit, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

EVERY_SECONDS = 1.0


@click.command("status")
@click.argument("room", required=False)
@click.option("--watch", is_flag=True, help="Refresh every second until Ctrl-C.")
@admin_options
@json_option
def status_command(room: str | None, connect: Connect, *, watch: bool, as_json: bool) -> int | None:
    """Show mode, limits, and who waits and shops, room by room.

    \b
    --json: {"rooms": [{"name", "version", "mode", "room", "live", "rate_now", "census", "limiting",
            "store_available", "gateways"}]}
    --watch --json: such a document a second, each on a line of its own
    """  # noqa: D301  # click reads \b as: keep these lines
    api = connect()

    def read() -> list[dict[str, Any]]:
        return [api.room(room)] if room else api.rooms()

    if not watch:
        states = read()
        if as_json:
            print_json({"rooms": states})
        else:
            from .output import console

            console().print(overview(states))
        return None
    pictures = readings(read, time.sleep)
    try:
        if as_json:
            _write_lines(pictures)
        else:
            _draw(pictures)
    except KeyboardInterrupt:
        pass  # the way to end a watch
    return Exit.FINE


def readings(
    read: Callable[[], list[dict[str, Any]]], sleep: Callable[[float], None]
) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Yield (states, trouble) every second; while there is trouble, the states are the last that were had."""
    states = read()
    yield states, ""
    while True:
        sleep(EVERY_SECONDS)
        try:
            states, trouble = read(), ""
        except CommandError as error:
            if error.exit_code == Exit.REFUSED:
                raise
            trouble = error.message
        yield states, trouble


def _write_lines(pictures: Iterator[tuple[list[dict[str, Any]], str]]) -> None:
    import json

    for states, trouble in pictures:
        if trouble:
            click.echo(f"waitroom: {trouble}", err=True)
        else:
            click.echo(json.dumps({"rooms": states}, ensure_ascii=False))


def _draw(pictures: Iterator[tuple[list[dict[str, Any]], str]]) -> None:
    from rich.live import Live

    from .output import console

    with Live(console=console(), auto_refresh=False) as live:
        for states, trouble in pictures:
            live.update(overview(states, trouble), refresh=True)


def overview(states: list[dict[str, Any]], trouble: str = "") -> RenderableType:
    """Return the table of all rooms, or what to do when there is nothing to show."""
    from rich.console import Group
    from rich.text import Text

    from .output import table

    notes: list[RenderableType] = []
    if trouble:
        notes.append(Text(f"\nThese numbers are old. {trouble}", style="bold red"))
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
