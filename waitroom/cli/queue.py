"""`waitroom forecast`, `admit` and `reset`: the queue as a whole."""

from __future__ import annotations

import click

from waitroom.admin.report.lines import visitors
from waitroom.admin.report.moments import wait_words

from .options import Connect, admin_options, json_option, reason_option, yes_option
from .outcome import asked, print_json


@click.command("admit")
@click.argument("room")
@click.argument("count", type=click.IntRange(1, 1_000))
@yes_option
@reason_option
@admin_options
@json_option
def admit_command(room: str, count: int, reason: str | None, connect: Connect, *, yes: bool, as_json: bool) -> None:
    """Call the next COUNT in the queue at once: beyond the rate, never beyond the capacity.

    \b
    --json: {"asked", "called"}
    """  # noqa: D301  # click reads \b as: keep these lines
    api = connect()
    asked(f"Call {count} of {room} now, beyond its rate?", yes=yes)
    answer = api.perform("admit", room=room, reason=reason, count=count)
    if as_json:
        print_json(answer)
        return
    click.echo(f"{room}: called {answer['called']} of {count} asked for")


@click.command("reset")
@click.argument("room")
@yes_option
@reason_option
@admin_options
@json_option
def reset_command(room: str, reason: str | None, connect: Connect, *, yes: bool, as_json: bool) -> None:
    """Empty the queue: everybody in it loses the place. Who is inside stays inside.

    \b
    --json: {"people"}
    """  # noqa: D301  # click reads \b as: keep these lines
    api = connect()
    state = api.room(room)
    census = state.get("census") or {}
    people = sum(census.get(place) or 0 for place in ("waiting", "called", "missed"))
    asked(f"{visitors(people)} would lose their place in {room}. Empty the queue?", yes=yes)
    answer = api.perform("reset", room=room, reason=reason, version=state.get("version"))
    if as_json:
        print_json(answer)
        return
    click.echo(f"{room}: {answer['people']} lost their place")


@click.command("forecast")
@click.argument("room")
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE…")
@admin_options
@json_option
def forecast_command(room: str, changes: tuple[str, ...], connect: Connect, *, as_json: bool) -> None:
    """Say what `waitroom set` would do to the wait, and change nothing.

    \b
    waitroom forecast shop rate=300
    --json: {"verb", "people", "wait_now": [low, high], "wait_then": [low, high]}
    """  # noqa: D301  # click reads \b as: keep these lines
    from .set import read_changes

    arguments = {"changes": read_changes(changes)}
    answer = connect().perform("forecast", room=room, verb="change", arguments=arguments)
    if as_json:
        print_json(answer)
        return
    now, then = wait_words(answer["wait_now"]), wait_words(answer["wait_then"])
    click.echo(f"{room}: touches {visitors(answer['people'])}")
    click.echo(f"wait of the last in the queue: {now} → {then}")
