"""`waitroom visitor`: one visitor, by the short code that their page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import Connect, admin_options, json_option, reason_option
from .outcome import CommandError, Exit, print_json

if TYPE_CHECKING:
    from .verbs import AdminAPI

_STATES = {
    "waiting": "waits at position {position}",
    "called": "was called; {left} left to come",
    "missed": "missed the turn; the place is kept for {left}",
    "active": "is inside; {left} left of the session",
    "none": "is not here any more",
}


@click.command("visitor")
@click.argument("code")
@click.option("--room", metavar="ROOM", help="Look in this room only.")
@click.option("--release", "act", flag_value="release", help="End the session, so that the slot is free.")
@click.option("--revoke", "act", flag_value="revoke", help="Take session and place away.")
@click.option("--front", "act", flag_value="front", help="Put at the front of the queue; needs --reason.")
@reason_option
@admin_options
@json_option
def visitor_command(
    code: str, room: str | None, act: str | None, reason: str | None, connect: Connect, *, as_json: bool
) -> None:
    """Tell a visitor's story, and do something for them.

    \b
    waitroom visitor 7F3K-92QD
    waitroom visitor 7F3K-92QD --front --reason "cart lost in checkout"
    --json: {"room", "code", "now": {"state", "position", …}, "story": [{"at_ms", "kind", "words"}]}
    """  # noqa: D301  # click reads \b as: keep these lines
    from .output import moment

    api = connect()
    where, found = _find(api, code, room)
    if act:
        api.perform(act, room=where, reason=reason, code=found["code"])
        found = api.perform("visitor", room=where, code=found["code"])
    if as_json:
        print_json({"room": where, **found})
        return
    now = found["now"]
    left = f"{now['left_ms'] // 1000} s"
    click.echo(f"{found['code']} in {where}: {_STATES[now['state']].format(position=now['position'], left=left)}")
    for line in found["story"]:
        click.echo(f"  {moment(line['at_ms'])}  {line['words']}")


def _find(api: AdminAPI, code: str, room: str | None) -> tuple[str, dict[str, Any]]:
    for name in [room] if room else [str(state.get("name")) for state in api.rooms()]:
        cursor: str | None = None
        while True:
            answer = api.perform("visitor", room=name, code=code, cursor=cursor)
            if answer["found"]:
                return name, answer
            cursor = answer["next"]
            if cursor is None:
                break
    raise CommandError(f"nobody has the code {code}; the journal may not reach back so far", Exit.REFUSED)
