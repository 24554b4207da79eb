"""`waitroom healthcheck`: is the gateway ready? For Docker and other supervisors."""

from __future__ import annotations

import http.client
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from .options import data_option
from .outcome import CommandError, Exit
from .running import Running, is_url, reachable

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_LIMIT_BYTES = 65_536


@click.command("healthcheck")
@click.option("--url", metavar="URL", help="The gateway, or its readyz.  [default: what runs on the data directory]")
@click.option(
    "--timeout", type=click.FloatRange(0, 60, min_open=True), default=3.0, show_default=True, metavar="SECONDS"
)
@data_option
def healthcheck_command(url: str | None, timeout: float, data: Path | None) -> None:
    """Ask whether the gateway is ready.

    Ends with 0 when it is, and with 1 and the reasons when not.
    """
    running = Running(data, os.environ)
    host = running.value("gateway.host", "127.0.0.1")
    configured = f"http://{f'[{host}]' if ':' in host else host}:{running.value('gateway.port', '8080')}"
    base = url or running.listener("gateway") or reachable(configured)
    if not is_url(base):
        raise CommandError(f"--url {base!r} is no URL such as http://127.0.0.1:8080", Exit.USAGE)
    parts = urlsplit(base)
    path = parts.path.rstrip("/") or running.value("gateway.prefix", "/.waitroom") + "/readyz"
    status, body = _ask(parts.scheme, parts.hostname or "", parts.port, path, timeout)
    if status != 200:
        raise CommandError(f"not ready: {base} answers {status}{_reasons(body)}", Exit.FAILED)
    click.echo("ready")


def _ask(scheme: str, host: str, port: int | None, path: str, timeout: float) -> tuple[int, bytes]:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_LIMIT_BYTES)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CommandError(f"not ready: {host}:{port or scheme} cannot be reached: {why}", Exit.FAILED) from None
    finally:
        connection.close()


def _reasons(body: bytes) -> str:
    """What readyz says is not ready, when it says so."""
    try:
        document: Any = json.loads(body)
        reasons = document.get("reasons") or document.get("detail")
    except (ValueError, AttributeError):
        return ""
    words = "; ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons or "")
    return f": {words}" if words else ""
