"""`waitroom check`: every mistake in a configuration, or what it means."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .options import config_argument, json_option
from .outcome import Exit, print_json, tell_mistakes

if TYPE_CHECKING:
    from pathlib import Path

    from ..domain.room import Room
    from ..settings import Resolved, Settings


@click.command("check")
@config_argument
@json_option
def check_command(config: Path | None, *, as_json: bool) -> int:
    """Tell every mistake in a configuration, or what it means.

    Reads CONFIG (by default ./waitroom.toml) and the environment, as `serve` would.

    \b
    --json: {"ok", "config", "mistakes": [{"where", "what", "allowed"}], "rooms": [...]}
    """  # noqa: D301  # click reads \b as: keep these lines
    from ..configuration import FILE_NAME, found, load
    from ..errors import ConfigurationError

    path = found(config)
    if path is None:
        raise click.UsageError(f"name a CONFIG to check; there is no {FILE_NAME} here")
    try:
        resolved = load(path, {}, os.environ)
        _check_templates(resolved.settings)
    except ConfigurationError as error:
        if as_json:
            mistakes = [asdict(mistake) for mistake in error.mistakes]
            print_json({"ok": False, "config": str(path), "mistakes": mistakes, "rooms": []})
        else:
            tell_mistakes(error.mistakes)
        return Exit.USAGE
    if as_json:
        rooms = [room.model_dump(mode="json") for room in resolved.settings.rooms]
        print_json({"ok": True, "config": str(path), "mistakes": [], "rooms": rooms})
    else:
        _summary(resolved)
    return Exit.FINE


def _check_templates(settings: Settings) -> None:
    """Render each view with each room's own template; raises `ConfigurationError`."""
    from ..errors import ConfigurationError, Mistake
    from ..gateway.page.check import template_mistakes

    mistakes = [Mistake(room.template, what) for room in settings.rooms for what in template_mistakes(room)]
    if mistakes:
        raise ConfigurationError(mistakes)


def _summary(resolved: Resolved) -> None:
    from .output import console, table

    output = console()
    facts = table("", "")
    facts.show_header = False
    for name, fact in _facts(resolved.settings).items():
        facts.add_row(name, fact)
    rooms = table("room", "mode", "matches", "rate/min", "capacity", "burst", "session")
    for room in resolved.settings.rooms:
        rooms.add_row(*_row(room))
    output.print(f"{resolved.path} is fine.\n")
    output.print(facts)
    output.print()
    output.print(rooms)
    if unlimited := [room.name for room in resolved.settings.rooms if room.rate is None and room.capacity is None]:
        output.print(f"\nNeither rate nor capacity, so nobody waits: {', '.join(unlimited)}.")


def _facts(settings: Settings) -> dict[str, str]:
    from .values import without_password

    gateway, admin = settings.gateway, settings.admin
    keys = len(settings.keys.signing)
    return {
        "visitors": f"{gateway.host}:{gateway.port}, {gateway.workers} worker{'s' if gateway.workers > 1 else ''}",
        "site": gateway.backend,
        "store": "embedded" if settings.store.url == "embedded" else without_password(settings.store.url),
        "operators": f"{admin.host}:{admin.port}",
        "keys": f"{keys} given, the first signs" if keys else "made once and kept in the data directory",
        "data": str(settings.data),
    }


def _row(room: Room) -> list[str]:
    from .values import as_text

    values: list[Any] = [room.name, room.mode, room.match, room.rate, room.capacity]
    burst = str(room.burst_visitors) if room.rate is not None else "none"
    return [*map(as_text, values), burst, f"{room.session_seconds} s, {room.renew}"]
