"""`waitroom audit`, `journal`, `history`, `export` and `report`: what was done, what happened."""

from __future__ import annotations

import click

from waitroom.admin.report.lines import what

from .options import Connect, admin_options, json_option
from .outcome import print_json

limit_option = click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Most lines.")
cursor_option = click.option("--cursor", metavar="TEXT", help="`next` of the page before.")


@click.command("audit")
@click.argument("room", required=False)
@limit_option
@cursor_option
@admin_options
@json_option
def audit_command(room: str | None, limit: int, cursor: str | None, connect: Connect, *, as_json: bool) -> None:
    """Show who changed what, when, from what to what and why; the newest first.

    \b
    --json: {"changes": [{"at_ms", "room", "action", "who", "source", "steps", "reason", …}], "next"}
    """  # noqa: D301  # click reads \b as: keep these lines
    from .output import console, moment, table

    answer = connect().perform("audit", room=room or "", limit=limit, cursor=cursor)
    if as_json:
        print_json(answer)
        return
    grid = table("when", "room", "who", "from", "what", "why")
    for line in answer["changes"]:
        grid.add_row(moment(line["at_ms"]), line["room"], line["who"], line["source"], what(line), line["reason"])
    console().print(grid)


@click.command("journal")
@click.argument("room")
@limit_option
@cursor_option
@admin_options
@json_option
def journal_command(room: str, limit: int, cursor: str | None, connect: Connect, *, as_json: bool) -> None:
    """Show what happened to visitors, by short code; the newest first.

    \b
    --json: {"lines": [{"at_ms", "kind", "words", "code"}], "next"}
    """  # noqa: D301  # click reads \b as: keep these lines
    from .output import moment

    answer = connect().perform("journal", room=room, limit=limit, cursor=cursor)
    if as_json:
        print_json(answer)
        return
    for line in answer["lines"]:
        click.echo(f"{moment(line['at_ms'])}  {line['code'] or 'all':<9}  {line['words']}")


@click.command("history")
@click.argument("room")
@click.option("--minutes", type=click.IntRange(1, 2_880), default=15, show_default=True, help="How far back.")
@admin_options
@json_option
def history_command(room: str, minutes: int, connect: Connect, *, as_json: bool) -> None:
    """Show arrivals, admitted, waiting, active and the shop's health over time.

    \b
    --json: {"step_seconds", "points": [{"at_ms", "waiting", …}]}
    """  # noqa: D301  # click reads \b as: keep these lines
    import time

    from .output import console, moment, table
    from .values import as_text

    since_ms = int(time.time() * 1000) - minutes * 60_000
    answer = connect().perform("history", room=room, since_ms=since_ms)
    if as_json:
        print_json(answer)
        return
    columns = ("arrivals_per_minute", "admitted_per_minute", "waiting", "active", "shop_p95_ms", "shop_error_share")
    grid = table("when", *(name.replace("_", " ") for name in columns))
    for point in answer["points"]:
        grid.add_row(moment(point["at_ms"]), *(as_text(point[name]) for name in columns))
    console().print(grid)


@click.command("export")
@click.argument("what", type=click.Choice(["audit", "journal", "history"]))
@click.argument("room", required=False)
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="Which.")
@admin_options
def export_command(what: str, room: str | None, form: str, connect: Connect) -> None:
    """Write a whole record to standard output, oldest first. A journal and a history are one room's.

    \b
    waitroom export audit > changes.csv
    waitroom export history shop --format jsonl
    """  # noqa: D301  # click reads \b as: keep these lines
    click.echo(connect().export(what=what, room=room, format=form), nl=False)


@click.command("report")
@click.argument("room")
@click.option("--hours", type=click.IntRange(1, 48), default=24, show_default=True, help="How far back.")
@admin_options
def report_command(room: str, hours: int, connect: Connect) -> None:
    """Write the report of a room to standard output: one HTML file with its charts inside.

    \b
    waitroom report shop --hours 6 > report.html
    """  # noqa: D301  # click reads \b as: keep these lines
    import time

    since_ms = int(time.time() * 1000) - hours * 3_600_000
    click.echo(connect().report(room, since_ms=since_ms), nl=False)
