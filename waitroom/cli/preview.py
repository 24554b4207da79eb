"""`waitroom preview`: the waiting page of a room in every state, here or by a link for colleagues."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from .options import config_argument, data_option
from .outcome import CommandError, Exit

if TYPE_CHECKING:
    from pathlib import Path

    from ..domain.room import Room
    from ..settings import Settings

LONGEST_DAYS = 90


@click.command("preview")
@click.argument("room")
@config_argument
@click.option("--state", default="waiting", show_default=True, metavar="NAME", help="State to begin with.")
@click.option("--lang", default="", metavar="TAG", help="Language to begin with.  [default: the room's]")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65_535), help="0 takes any free one.")
@click.option("--link", is_flag=True, help="Print a link to the running Waitroom instead, for colleagues.")
@click.option(
    "--days", default=7, show_default=True, type=click.IntRange(1, LONGEST_DAYS), help="How long the link is good."
)
@click.option("--url", metavar="URL", help="Where visitors come in, for the link.  [default: what runs here]")
@data_option
def preview_command(
    room: str,
    config: Path | None,
    state: str,
    lang: str,
    port: int,
    *,
    link: bool,
    days: int,
    url: str | None,
    data: Path | None,
) -> int:
    """Show the waiting page of ROOM in every state and language.

    Serves it to this machine alone until Ctrl-C. With --link, prints an address at the running Waitroom that shows the
    same to whoever has it; it gives nobody a place or a pass, and ends by itself.
    """
    from ..configuration import load

    settings = load(config, {}, os.environ, needs_backend=False).settings
    chosen = _room(settings, room)
    tag = lang or chosen.language
    _check(state, tag)
    if link:
        click.echo(_link(settings, chosen, data, url, days=days, query=f"state={state}&lang={tag}"))
    else:
        _serve(chosen, port, f"state={state}&lang={tag}")
    return Exit.FINE


def _room(settings: Settings, name: str) -> Room:
    from ..mistakes import did_you_mean

    rooms = {room.name: room for room in settings.rooms}
    if name not in rooms:
        near = did_you_mean(name, rooms).capitalize()
        raise click.UsageError(f"There is no room {name!r} in the configuration. {near}".strip())
    return rooms[name]


def _check(state: str, tag: str) -> None:
    from ..gateway.page.views import VIEWS
    from ..words.languages import LANGUAGES

    if state not in VIEWS:
        raise click.UsageError(f"There is no state {state!r}; there are {', '.join(VIEWS)}.")
    if tag not in LANGUAGES:
        raise click.UsageError(f"There is no language {tag!r}; there are {', '.join(LANGUAGES)}.")


def _serve(room: Room, port: int, query: str) -> None:
    from ..preview import preview_server

    def template_failed(name: str, reason: str) -> None:
        click.echo(f"waitroom: the template of {name} fails, so the default page is shown: {reason}", err=True)

    try:
        server = preview_server(room, port, template_failed)
    except OSError as error:
        raise CommandError(f"port {port} cannot be listened on: {error.strerror}; try --port 0", Exit.FAILED) from None
    with server:
        click.echo(f"http://127.0.0.1:{server.server_port}/?{query}")
        click.echo("Press Ctrl-C to end.", err=True)
        server.serve_forever()


def _link(settings: Settings, room: Room, data: Path | None, url: str | None, *, days: int, query: str) -> str:
    from ..tokens import Tokens
    from .running import Running, is_url

    running = Running(data or settings.data, os.environ)
    if url is not None and not is_url(url):
        raise click.UsageError(f"--url {url!r} is no URL such as https://shop.example")
    base = url or running.listener("gateway")
    if base is None:
        raise CommandError("no Waitroom runs here: say where visitors come in with --url", Exit.UNREACHABLE)
    keys = [key.get_secret_value() for key in settings.keys.signing] or _kept_keys(running.paths.signing_keys)
    token = Tokens(keys).sign_preview(room.name, int(time.time()) + days * 86_400)
    return f"{base.rstrip('/')}{settings.gateway.prefix}/{room.name}/preview?{query}&token={token}"


def _kept_keys(path: Path) -> list[str]:
    try:
        keys = path.read_text("utf-8").split()
    except OSError:
        keys = []
    if not keys:
        raise CommandError(f"there are no signing keys: neither in the configuration nor in {path}", Exit.FAILED)
    return keys
