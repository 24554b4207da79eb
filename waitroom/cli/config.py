"""`waitroom config`: the configuration as it is resolved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import config_argument, json_option, listener_options
from .outcome import CommandError, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from ..settings import Resolved


@click.group("config")
def config_command() -> None:
    """Look at the configuration."""


@config_command.command("show")
@config_argument
@listener_options
@json_option
def show(config: Path | None, data: Path | None, admin_url: str | None, token: str | None, *, as_json: bool) -> None:
    """Show every setting, and where it came from; secrets are hidden.

    When Waitroom runs, what operators changed live is shown too: it wins over the file. The flags that a running
    `serve` was given are not known here.

    \b
    --json: {"config", "running", "settings": {name: {"value", "source"}}}; a value that was changed live
            has {"value", "source": "live", "configured", "configured_source"}
    """  # noqa: D301  # click reads \b as: keep these lines
    from ..configuration import load

    given = click.get_current_context().get_parameter_source("data") is ParameterSource.COMMANDLINE
    resolved = load(config, {"data": data if given else None}, os.environ, needs_backend=False)
    live: dict[str, dict[str, Any]] = {}
    trouble = ""
    try:
        live = _live(resolved.settings.data, admin_url, token)
    except CommandError as error:
        trouble = error.message
    values = values_by_name(resolved)
    if as_json:
        _print_document(resolved, values, live, running=not trouble)
    else:
        _print_table(resolved, values, live)
        if trouble:
            click.echo(f"\nWhat operators changed live is not shown: {trouble}", err=True)


def _live(data: Path, admin_url: str | None, token: str | None) -> dict[str, dict[str, Any]]:
    """Return, by dotted name, what operators changed."""
    from .verbs import connect

    return {
        f"rooms.{state['name']}.{key}": state["room"].get(key)
        for state in connect(data, admin_url, token).rooms()
        for key in state.get("live") or ()
    }


def values_by_name(resolved: Resolved) -> dict[str, Any]:
    """Return every setting by its dotted name, rooms as `rooms.shop.rate`; passwords are hidden."""
    from ..settings import ROWS
    from .values import without_password

    values: dict[str, Any] = {}
    for name, row in ROWS.items():
        value: Any = resolved.settings
        for part in row.path:
            value = getattr(value, part)
        values[name] = without_password(value) if name == "store.url" else value
    for room in resolved.settings.rooms:
        values |= {f"rooms.{room.name}.{key}": getattr(room, key) for key in type(room).model_fields}
    return values


def _print_document(resolved: Resolved, values: dict[str, Any], live: dict[str, Any], *, running: bool) -> None:
    from .values import as_json

    settings: dict[str, Any] = {}
    for name, value in values.items():
        configured, source = as_json(value), resolved.sources[name]
        if name in live:
            settings[name] = {
                "value": as_json(live[name]),
                "source": "live",
                "configured": configured,
                "configured_source": source,
            }
        else:
            settings[name] = {"value": configured, "source": source}
    path = None if resolved.path is None else str(resolved.path)
    print_json({"config": path, "running": running, "settings": settings})


def _print_table(resolved: Resolved, values: dict[str, Any], live: dict[str, Any]) -> None:
    from .output import console, table
    from .values import as_text

    grid = table("setting", "value", "from")
    for name, value in values.items():
        source = resolved.sources[name]
        if name in live:
            grid.add_row(name, as_text(live[name]), f"live, set by an operator ({source}: {as_text(value)})")
        else:
            grid.add_row(name, as_text(value), source)
    console().print(grid)
