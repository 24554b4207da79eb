"""`waitroom watch`: the rooms as they are, anew each second."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import click

from .options import Connect, admin_options
from .outcome import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType

NARROW_COLUMNS: Final = 118
"""Terminals with fewer columns get a block a room instead of a row."""
SLOW_MS: Final = 2_000
FAULTY_SHARE: Final = 0.05

Picture = tuple[dict[str, Any], str, float]
"""What was read, what is wrong with it (empty: nothing), and its age in seconds."""


@click.command("watch")
@click.argument("room", required=False)
@click.option(
    "--interval", default=1.0, show_default=True, type=click.FloatRange(0.1, 3_600), help="Seconds between two."
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many.  [default: until Ctrl-C]")
@admin_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
def watch_command(room: str | None, connect: Connect, *, interval: float, count: int | None, as_json: bool) -> int:
    """Show who waits, for how long, and how the shop does, live.

    Without a terminal it prints a line a room each time.

    \b
    --json: {"now_ms", "rooms": [{"name", "mode", "waiting", "wait", "active", "capacity", "rate", "entries",
            "shop_p95_ms", "shop_error_share", "store", "pending", "point", …}]}
    """  # noqa: D301  # click reads \b as: keep these lines
    from .output import console

    api = connect()
    pictures = readings(lambda: _of(api.live(), room), interval, time.sleep, time.monotonic, count)
    screen = console()
    try:
        if as_json:
            _write_json(pictures)
        elif screen.is_terminal:
            _draw(pictures, screen)
        else:
            _write_lines(pictures)
    except KeyboardInterrupt:
        pass  # the way to end it
    return Exit.FINE


def _of(said: dict[str, Any], room: str | None) -> dict[str, Any]:
    if room is None:
        return said
    found = [one for one in said["rooms"] if one["name"] == room]
    if not found:
        raise CommandError(f"there is no room {room!r}", Exit.REFUSED)
    return said | {"rooms": found}


def readings(
    read: Callable[[], dict[str, Any]],
    interval_seconds: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
    count: int | None = None,
) -> Iterator[Picture]:
    """Yield a picture at each interval; while there is trouble it is the last that was had, and how old it is."""
    said, had = read(), clock()
    yield said, "", 0.0
    left = None if count is None else count - 1
    while left is None or left:
        sleep(interval_seconds)
        trouble = ""
        try:
            said, had = read(), clock()
        except CommandError as error:
            if error.exit_code == Exit.REFUSED:
                raise
            trouble = error.message
        yield said, trouble, clock() - had
        left = None if left is None else left - 1


def _write_json(pictures: Iterator[Picture]) -> None:
    for said, trouble, _ in pictures:
        if trouble:
            click.echo(f"waitroom: {trouble}", err=True)
        else:
            click.echo(json.dumps(said, ensure_ascii=False))


def _write_lines(pictures: Iterator[Picture]) -> None:
    for said, trouble, _ in pictures:
        if trouble:
            click.echo(f"waitroom: {trouble}", err=True)
            continue
        at = time.strftime("%H:%M:%S", time.gmtime(said["now_ms"] / 1000))
        for now in said["rooms"]:
            facts = ", ".join(f"{label} {value}" for label, value in cells(now)[1:] if value)
            click.echo(f"{at}Z {now['name']}: {facts}")


def _draw(pictures: Iterator[Picture], screen: Console) -> None:
    from rich.live import Live

    with Live(console=screen, auto_refresh=False) as drawn:
        for said, trouble, age_seconds in pictures:
            drawn.update(overview(said, trouble, age_seconds, screen.width), refresh=True)


def cells(now: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is said of a room, as label and text."""
    active, capacity = _number(now["active"]), now["capacity"]
    entered, rate = _number(now["entries"]), now["rate"]
    p95, errors, missed = now["shop_p95_ms"], now["shop_error_share"], now["missed_share"]
    return [
        ("room", str(now["name"])),
        ("state", now["queueing"].lower() + (f", {now['limiting']}" if now["limiting"] else "")),
        ("waiting", _number(now["waiting"])),
        ("called", _number(now["called"])),
        ("wait now", now["wait"]),
        ("active", active if capacity is None else f"{active} of {capacity:,}"),
        ("entered/min", entered if rate is None else f"{entered} of {rate:,}"),
        ("missed", "?" if missed is None else f"{missed:.0%}"),
        ("shop p95", "–" if p95 is None else f"{p95:,.0f} ms"),
        ("errors", "–" if errors is None else f"{errors:.1%}"),
        ("", "" if now["store"] else "store away"),
        ("", now["pending"]),
    ]


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def overview(said: dict[str, Any], trouble: str, age_seconds: float, columns: int) -> RenderableType:
    """Return what a terminal of so many columns shows."""
    from rich.console import Group
    from rich.text import Text

    from .output import table

    if not said["rooms"]:
        return Text("There are no rooms. Add [[rooms]] to the configuration and send SIGHUP.")
    parts: list[RenderableType] = []
    if columns >= NARROW_COLUMNS:
        labels = [label for label, _ in cells(said["rooms"][0]) if label]
        grid = table(*labels, numbers=frozenset(labels[2:]))
        for now in said["rooms"]:
            grid.add_row(*(Text(text, style=_style(now, label)) for label, text in cells(now) if label))
        parts.append(grid)
    else:
        for now in said["rooms"]:
            grid = table("", "")
            grid.show_header = False
            for label, text in cells(now):
                if label:
                    grid.add_row(Text(label, style="dim"), Text(text, style=_style(now, label)))
            parts += [grid, Text("")]
    for now in said["rooms"]:
        if wrong := [text for label, text in cells(now) if not label and text]:
            parts.append(Text(f"{now['name']}: {', '.join(wrong)}", style="bold red"))
    if trouble:
        parts.append(Text(f"\nThese numbers are {age_seconds:.0f} s old. {trouble}", style="bold red"))
    return Group(*parts)


def _style(now: dict[str, Any], label: str) -> str:
    if label == "room":
        return "bold"
    if label == "state":
        return {"on": "green", "paused": "yellow"}.get(now["mode"], "red")
    if label == "shop p95" and (now["shop_p95_ms"] or 0) > SLOW_MS:
        return "bold red"
    if label == "errors" and (now["shop_error_share"] or 0) > FAULTY_SHARE:
        return "bold red"
    return ""
