"""`waitroom serve`: run the gateway, the admin listener and, if asked, the store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from .options import config_argument, setting_option

if TYPE_CHECKING:
    from pathlib import Path

    from ..settings import Resolved


@click.command("serve")
@config_argument
@setting_option("--backend", "URL")
@setting_option("--rate", "N")
@setting_option("--capacity", "N")
@setting_option("--store", "URL")
@setting_option("--host", "ADDRESS")
@setting_option("--port", "PORT")
@setting_option("--workers", "N")
@setting_option("--admin-host", "ADDRESS")
@setting_option("--admin-port", "PORT")
@setting_option("--data", "DIR")
def serve_command(config: Path | None, **flags: Any) -> int:
    """Run the waiting room in front of a site.

    CONFIG is a TOML file  [env: WAITROOM_CONFIG; default: ./waitroom.toml, when there is one]. Flags win over the
    environment, the environment over the file, the file over the defaults. SIGHUP reads them again; SIGTERM drains
    and ends.

    \b
    waitroom serve --backend http://127.0.0.1:9000 --rate 600
    """  # noqa: D301  # click reads \b as: keep these lines
    from ..configuration import load
    from ..supervisor import run

    def resolve() -> Resolved:
        return load(config, flags, os.environ)

    return run(resolve)
