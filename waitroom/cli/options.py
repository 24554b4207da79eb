"""Options that several commands share, and options that take their help from the settings."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from .verbs import AdminAPI


Connect: TypeAlias = "Callable[[], AdminAPI]"
"""How a command that talks to operators' verbs gets at them."""


class SettingOption(click.Option):
    """An option that stands for a setting: sentence, environment name and default are those of the setting.

    They are looked up only when help is asked for, so that no other command pays for the models. The value is
    passed on as text: whoever loads the configuration judges it with all others, and tells all mistakes at once.
    """

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from ..domain.room import Room
        from ..settings import FLAGS, LIMIT_FLAGS, ROWS
        from .values import default_text, plain

        assert self.name is not None
        if variable := LIMIT_FLAGS.get(self.name):
            field = Room.model_fields[self.name]
            sentence = f"Of the only room: {field.description}"
        else:
            row = ROWS[FLAGS[self.name]]
            field, variable, sentence = row.field, row.environment, row.field.description or ""
        names = ", ".join(self.opts)
        return f"{names} {self.metavar}", f"{plain(sentence)}  [env: {variable}; default: {default_text(field)}]"


def setting_option(flag: str, metavar: str) -> Callable[[Any], Any]:
    """Return a decorator that adds the option of a setting."""
    return click.option(flag, cls=SettingOption, metavar=metavar, default=None)


def config_argument(command: Any) -> Any:
    """Add the optional CONFIG argument."""
    return click.argument(
        "config", required=False, envvar="WAITROOM_CONFIG", type=click.Path(path_type=Path), metavar="[CONFIG]"
    )(command)


def admin_options(command: Any) -> Any:
    """Add the options that say whom to ask; the command gets `connect`, which returns an `AdminAPI`."""

    @wraps(command)
    def connected(
        *args: Any, data: Path | None, admin_url: str | None, token: str | None, store: bool, **kwargs: Any
    ) -> Any:
        def connect() -> AdminAPI:
            from .verbs import connect as found

            return found(data, admin_url, token, store=store)

        return command(*args, connect=connect, **kwargs)

    return listener_options(store_option(connected))


def listener_options(command: Any) -> Any:
    """Add the options that find the admin listener."""
    for option in (
        click.option(
            "--token",
            envvar="WAITROOM_ADMIN__TOKEN",
            metavar="TEXT",
            help="Its bearer token.  [env: WAITROOM_ADMIN__TOKEN, or a file named by WAITROOM_ADMIN__TOKEN_FILE; "
            "default: the one kept in the data directory]",
        ),
        click.option(
            "--admin-url",
            envvar="WAITROOM_ADMIN_URL",
            metavar="URL",
            help="Where the admin listener is.  [env: WAITROOM_ADMIN_URL; default: what runs on the data directory]",
        ),
        data_option,
    ):
        command = option(command)
    return command


store_option = click.option(
    "--store",
    is_flag=True,
    help="Go straight to the store, without the admin listener: the store of the Waitroom that runs on the data "
    "directory, or else the one of ./waitroom.toml.",
)
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="WAITROOM_DATA",
    metavar="DIR",
    help="Data directory of the running Waitroom.  [env: WAITROOM_DATA; default: `data` of ./waitroom.toml, or "
    "waitroom-data]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
reason_option = click.option("--reason", metavar="TEXT", help="Why, for whoever reads the log later.")
