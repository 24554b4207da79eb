"""`waitroom check`: every mistake in a configuration, or what it means."""

from __future__ import annotations

import asyncio
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
    from ..store.inspection import Inspection


@click.command("check")
@config_argument
@click.option("--online", is_flag=True, help="Ask the store too, whether it can hold a queue and keeps it.")
@json_option
def check_command(config: Path | None, *, online: bool, as_json: bool) -> int:
    """Tell every mistake in a configuration, or what it means.

    Reads CONFIG (by default ./waitroom.toml) and the environment, as `serve` would.

    \b
    --json: {"ok", "config", "mistakes": [{"where", "what", "allowed"}], "rooms": [...]}
            and with --online "store": {"servers": [...], "refusals": [...], "advice": [...]}
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
    store = _look_at_store(resolved.settings) if online else None
    fine = store is None or not store.refusals
    if as_json:
        rooms = [room.model_dump(mode="json") for room in resolved.settings.rooms]
        document = {"ok": fine, "config": str(path), "mistakes": [], "rooms": rooms}
        print_json(document if store is None else document | {"store": asdict(store)})
    else:
        _summary(resolved)
        if store is not None:
            _tell_store(store)
    return Exit.FINE if fine else Exit.FAILED


def _look_at_store(settings: Settings) -> Inspection:
    """Ask the store; one that does not answer is refused too."""
    from ..errors import StoreUnavailable
    from ..store.inspection import Inspection, inspect_store

    store = settings.store
    if store.url == "embedded":
        return Inspection(("the embedded one, which starts with Waitroom",), (), ())
    try:
        return asyncio.run(
            inspect_store(store.url, deadline_ms=max(2_000, store.deadline_ms), replicas=store.replicas_acknowledge)
        )
    except StoreUnavailable as error:
        return Inspection((), (f"it does not answer: {error.reason}",), ())


def _tell_store(found: Inspection) -> None:
    from .output import console

    output = console()
    output.print()
    for server in found.servers:
        output.print(f"The store is {server}.")
    for advice in found.advice:
        output.print(f"The store: {advice}.")
    for refusal in found.refusals:
        click.echo(f"waitroom: the store cannot be used: {refusal}", err=True)


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
