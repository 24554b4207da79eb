"""`waitroom message`: what the page says to those who wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from .options import Connect, admin_options, json_option, reason_option
from .outcome import CommandError, Exit, print_json


@click.command("message")
@click.argument("room")
@click.argument("text", required=False)
@click.option("--language", metavar="TAG", help="Add the text for readers of this language, such as he or pt-BR.")
@click.option("--until", metavar="MOMENT", help="Take it away by itself, such as at 2026-11-27T12:00:00+01:00.")
@click.option("--minutes", type=click.FloatRange(0, 10_080, min_open=True), help="Take it away after so many.")
@click.option("--clear", is_flag=True, help="Take the message away, and those before it.")
@reason_option
@admin_options
@json_option
def message_command(
    room: str,
    text: str | None,
    language: str | None,
    until: str | None,
    minutes: float | None,
    reason: str | None,
    connect: Connect,
    *,
    clear: bool,
    as_json: bool,
) -> None:
    """Say something to everybody who waits in a room; it is on their pages within two seconds.

    TEXT replaces what was said before, which stays readable as an earlier message. With --language it is added to
    the message as a translation.

    \b
    waitroom message shop "Sizes 38 and 40 are sold out."
    waitroom message shop "Die Größen 38 und 40 sind ausverkauft." --language de
    waitroom message shop "Back in a moment." --minutes 15
    waitroom message shop --clear
    --json: {"name", "version", "message": {language: text}, "message_until"}
    """  # noqa: D301  # click reads \b as: keep these lines
    from ..domain.message import EVERYBODY
    from .values import as_text

    if clear == bool(text):
        raise click.UsageError("say the text, or --clear")
    if clear and (language or until or minutes):
        raise click.UsageError("--clear takes all of the message away: leave out --language, --until and --minutes")
    if until and minutes:
        raise click.UsageError("say --until or --minutes")
    api = connect()
    before = api.room(room)
    settings: dict[str, Any] = before.get("room") or {}
    changes: dict[str, Any] = {"message": {} if clear else {language or EVERYBODY: text}}
    if language:
        changes["message"] = (settings.get("message") or {}) | changes["message"]
        changes["message_until"] = settings.get("message_until")
    if until:
        changes["message_until"] = _moment(until)
    if minutes:
        end = datetime.now(UTC) + timedelta(minutes=minutes)
        changes["message_until"] = end.isoformat(timespec="seconds")
    after = api.change(room, changes, version=before.get("version") or 0, reason=reason)
    now: dict[str, Any] = after.get("room") or {}
    if as_json:
        facts = {key: now.get(key) for key in ("message", "message_until")}
        print_json({"name": room, "version": after.get("version"), **facts})
        return
    for tag, said in (now.get("message") or {}).items():
        click.echo(f"{room}: {'everybody' if tag == EVERYBODY else tag}: {said}")
    if clear:
        click.echo(f"{room}: no message")
    elif now.get("message_until"):
        click.echo(f"{room}: until {as_text(now['message_until'])}")


def _moment(text: str) -> str:
    from ..domain.room import read_moment

    try:
        moment = read_moment(text)
    except ValueError as error:
        raise CommandError(f"--until: {error}", Exit.USAGE) from None
    if moment is None:
        raise CommandError("--until names no moment; leave it out for a message that stays", Exit.USAGE)
    return str(moment.isoformat())
