"""What a suite meets: nothing at all, a real nginx, or a real `waitroom serve`, each before the same backend."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.journeys.stage import serving, write_config

from .fetch import debian
from .results import DIRECT, GATEWAY, NGINX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_SECONDS: Final = 15
_NGINX: Final = """
daemon off; worker_processes 1; {user}
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 0;
  client_header_timeout 10s; client_body_timeout 10s; send_timeout 10s;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_request_buffering off; proxy_buffering off;
    }}
  }}
}}
"""
"""As nginx's own documentation sets it up for keep-alive, streaming and WebSockets, with Waitroom's time limits."""

_HOUR: Final[dict[str, Any]] = {"session_seconds": 3_600, "refresh_seconds": 3_600}
"""No pass is renewed while a suite runs."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_open(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on 127.0.0.1:{port}")


@contextmanager
def running(
    command: Sequence[str | Path], *, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a process group of its own, and end the whole group afterwards."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | (environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@contextmanager
def _nginx(backend: int) -> Iterator[int]:
    program = debian("nginx")
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        folder, port = Path(name), free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, backend=backend, port=port, user=user), "utf-8")
        command: list[str | Path] = [program, "-p", folder, "-c", config, "-e", folder / "error.log"]
        with running(command) as process:
            wait_until_open(port, process)
            yield port


@contextmanager
def _gateway(backend: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        folder = Path(name)
        config = write_config(folder, backend=f"http://127.0.0.1:{backend}", **_HOUR)
        with serving(config, folder) as serve:
            yield serve.port


@contextmanager
def before(backend: int, front: str) -> Iterator[int]:
    """Put a front before a backend's port; the port of the front. Waitroom has one room without limits."""
    if front == DIRECT:
        yield backend
    elif front == NGINX:
        with _nginx(backend) as port:
            yield port
    else:
        assert front == GATEWAY, front
        with _gateway(backend) as port:
            yield port


def cookie_of_visitor(front: str, port: int) -> str:
    """Return the Cookie field of a visitor who is in: only the answer that lets a visitor in is Waitroom's to change."""
    if front != GATEWAY:
        return "visitor=1"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        cookies = [value.split(";")[0] for value in answer.msg.get_all("set-cookie", [])]
    finally:
        connection.close()
    return next(cookie for cookie in cookies if cookie.startswith("waitroom-pass-sale="))
