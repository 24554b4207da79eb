"""`waitroom ramp`, `preset` and `undo`: changes of live settings that are more than a value."""

from __future__ import annotations

from typing import Any

import click

from .options import Connect, admin_options, json_option, reason_option
from .outcome import print_json


def _show(before: dict[str, Any], after: dict[str, Any], *, as_json: bool) -> None:
    """Say what is in force otherwise."""
    from .values import as_text

    if as_json:
        print_json(after)
        return
    old, new = before.get("room") or {}, after.get("room") or {}
    changed = [key for key in new if old.get(key) != new[key]]
    for key in changed:
        click.echo(f"{after.get('name')}: {key} {as_text(old.get(key))} → {as_text(new[key])}")
    if not changed:
        click.echo(f"{after.get('name')}: as it was")


@click.command("ramp")
@click.argument("room")
@click.argument("to", type=click.IntRange(0))
@click.option("--minutes", type=float, required=True, help="How long it takes.")
@click.option("--start", type=click.IntRange(0), help="The rate to begin from; by default the one in force.")
@reason_option
@admin_options
@json_option
def ramp_command(
    room: str, to: int, minutes: float, start: int | None, reason: str | None, connect: Connect, *, as_json: bool
) -> None:
    """Lead the rate of a room evenly to TO. It goes on by the store's time, whatever process ends.

    \b
    waitroom ramp shop 1200 --minutes 10 --reason "checkout has recovered"
    --json: the room, as of `waitroom rooms`
    """  # noqa: D301  # click reads \b as: keep these lines
    api = connect()
    before = api.room(room)
    after = api.perform(
        "ramp", room=room, reason=reason, version=before.get("version"), to=to, minutes=minutes, start=start
    )
    _show(before, after, as_json=as_json)


@click.command("undo")
@click.argument("room")
@click.option("--version", type=click.IntRange(1), help="Take back the change that made this version.")
@reason_option
@admin_options
@json_option
def undo_command(room: str, version: int | None, reason: str | None, connect: Connect, *, as_json: bool) -> None:
    """Take back the last change of a room.

    \b
    --json: the room, as of `waitroom rooms`
    """  # noqa: D301  # click reads \b as: keep these lines
    api = connect()
    before = api.room(room)
    body = {} if version is None else {"version": version}
    after = api.ask("POST", f"/rooms/{before['name']}/undo", body | ({"reason": reason} if reason else {}))
    _show(before, after, as_json=as_json)


@click.group("preset")
def preset_command() -> None:
    """Keep sets of live settings at hand, and put them in force."""


@preset_command.command("list")
@click.argument("room")
@admin_options
@json_option
def list_presets(room: str, connect: Connect, *, as_json: bool) -> None:
    """List a room's presets."""
    from .values import as_text

    presets = (connect().room(room).get("room") or {}).get("presets") or {}
    if as_json:
        print_json({"presets": presets})
        return
    for name, changes in presets.items():
        click.echo(f"{name}: {as_text(changes)}")
    if not presets:
        click.echo(f"{room} has no presets; keep one with `waitroom preset save {room} NAME KEY=VALUE…`.")


@preset_command.command("save")
@click.argument("room")
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE…")
@reason_option
@admin_options
@json_option
def save_preset(
    room: str, name: str, changes: tuple[str, ...], reason: str | None, connect: Connect, *, as_json: bool
) -> None:
    """Keep settings under NAME."""
    from .set import read_changes

    wanted = read_changes(changes)
    api = connect()
    before = api.room(room)
    after = api.perform("save-preset", room=room, reason=reason, preset=name, changes=wanted)
    _show(before, after, as_json=as_json)


@preset_command.command("use")
@click.argument("room")
@click.argument("name")
@reason_option
@admin_options
@json_option
def use_preset(room: str, name: str, reason: str | None, connect: Connect, *, as_json: bool) -> None:
    """Put what NAME says in force."""
    api = connect()
    before = api.room(room)
    _show(before, api.perform("use-preset", room=room, reason=reason, preset=name), as_json=as_json)


@preset_command.command("drop")
@click.argument("room")
@click.argument("name")
@reason_option
@admin_options
@json_option
def drop_preset(room: str, name: str, reason: str | None, connect: Connect, *, as_json: bool) -> None:
    """Forget NAME."""
    api = connect()
    before = api.room(room)
    _show(before, api.perform("drop-preset", room=room, reason=reason, preset=name), as_json=as_json)
