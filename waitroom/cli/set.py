"""`waitroom set`: change a room while it runs."""

from __future__ import annotations

from typing import Any

import click

from .options import Connect, admin_options, json_option, reason_option
from .outcome import CommandError, Exit, print_json


@click.command("set")
@click.argument("room")
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE…")
@reason_option
@admin_options
@json_option
def set_command(
    room: str,
    changes: tuple[str, ...],
    reason: str | None,
    connect: Connect,
    *,
    as_json: bool,
) -> None:
    """Change a room while it runs.

    The change is in force on the next beat and outlives restarts. `none` takes a limit away, `file` goes back to
    what the configuration file says.

    \b
    waitroom set shop rate=900 capacity=none --reason "shop is fine"
    waitroom set shop rate=file
    --json: {"name", "version", "changes": {key: {"from", "to"}}}
    """  # noqa: D301  # click reads \b as: keep these lines
    from .values import as_text

    wanted = read_changes(changes)
    api = connect()
    before = api.room(room)
    after = api.change(room, wanted, version=before.get("version") or 0, reason=reason)
    steps = {
        key: {"from": (before.get("room") or {}).get(key), "to": (after.get("room") or {}).get(key)} for key in wanted
    }
    if as_json:
        print_json({"name": room, "version": after.get("version"), "changes": steps})
        return
    for key, step in steps.items():
        back = " (as in the file)" if wanted[key] == "file" else ""
        click.echo(f"{room}: {key} {as_text(step['from'])} → {as_text(step['to'])}{back}")


def read_changes(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Read `key=value` pairs; raises `CommandError` with every mistake."""
    from ..domain.room import LIVE_FIELDS, Room
    from ..mistakes import did_you_mean

    wanted: dict[str, Any] = {}
    mistakes: list[str] = []
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            mistakes.append(f"{pair!r} is not key=value, such as rate=600")
        elif key in wanted:
            mistakes.append(f"{key} is given twice")
        elif key in LIVE_FIELDS:
            wanted[key] = _read(key, text, mistakes)
        elif key in Room.model_fields:
            mistakes.append(f"{key} cannot change while the room runs; change it in the configuration file")
        else:
            hint = did_you_mean(key, LIVE_FIELDS) or "known: " + ", ".join(LIVE_FIELDS)
            mistakes.append(f"{key!r} is no setting of a room ({hint})")
    if mistakes:
        raise CommandError("\n  ".join(["nothing was changed:", *mistakes]), Exit.USAGE)
    return wanted


def _read(key: str, text: str, mistakes: list[str]) -> Any:
    """Return what the API takes for `text`: a number, a word, None for no limit, or "file"."""
    from pydantic import ValidationError

    from ..domain.room import Room
    from ..mistakes import details, in_words, is_number

    if text == "file":
        return text
    field = Room.model_fields[key]
    value: Any = int(text) if is_number(field) and text.lstrip("-").isdecimal() else text
    try:
        room = Room.model_validate({"name": "any", key: value})
    except ValidationError as error:
        # What two fields say together, the listener judges: it knows both.
        own = [in_words(detail, field) for detail in details(error) if detail["loc"] == (key,)]
        mistakes += [f"{key}: {what}" + (f" ({allow})" if allow else "") for what, allow in own]
        return value
    return None if getattr(room, key) is None else value
