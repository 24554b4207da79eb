"""The command line. Each command is a module of its own, imported when it is called, so that starting is quick."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from .. import __version__
from ..errors import ConfigurationError, WaitroomError
from .outcome import EXIT_CODES, CommandError, Exit, tell_mistakes

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: dict[str, str] = {
    "serve": "serve",
    "demo": "demo",
    "check": "check",
    "config": "config",
    "status": "status",
    "watch": "watch",
    "rooms": "rooms",
    "set": "set",
    "ramp": "rates",
    "preset": "rates",
    "undo": "rates",
    "message": "message",
    "pause": "mode",
    "resume": "mode",
    "close": "mode",
    "open": "mode",
    "forecast": "queue",
    "admit": "queue",
    "reset": "queue",
    "visitor": "visitor",
    "room": "room",
    "audit": "records",
    "journal": "records",
    "history": "records",
    "export": "records",
    "report": "records",
    "account": "access",
    "token": "access",
    "preview": "preview",
    "keys": "keys",
    "healthcheck": "healthcheck",
}
"""Command → the module that holds it, under a function of the command's name."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"{__name__}.{COMMANDS[cmd_name]}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ..mistakes import did_you_mean

            near = did_you_mean(args[0], COMMANDS).capitalize()
            raise click.UsageError(f"There is no command {args[0]!r}. {near}".strip(), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {words}" for code, words in EXIT_CODES.items()),
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def waitroom() -> None:
    """A waiting room in front of a shop: exact limits, no lost place, true words on the page."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what went wrong is on standard error, in words."""
    try:
        result = waitroom.main(args=arguments, prog_name="waitroom", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CommandError as error:
        click.echo(f"waitroom: {error.message}", err=True)
        return error.exit_code
    except ConfigurationError as error:
        tell_mistakes(error.mistakes)
        return Exit.USAGE
    except WaitroomError as error:
        click.echo(f"waitroom: {error}", err=True)
        return Exit.FAILED
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.FINE
