"""A real nginx set up to do what Waitroom's proxy does: one listener and one backend for each case of the corpus."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MEASURED_WITH = "1.22"
"""The version whose ways the corpus tells; others have other ones."""

_MAIN = """
daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 1000;
  large_client_header_buffers 8 8k;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  {servers}
}}
"""
_SERVER = """
  upstream b{n} {{ server unix:{folder}/b{n}; keepalive 4; }}
  server {{
    listen unix:{folder}/c{n};
    location / {{
      proxy_pass http://b{n};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_request_buffering off; proxy_buffering off;
      proxy_read_timeout 1s; proxy_send_timeout 1s;
    }}
  }}
"""
"""As nginx's own documentation sets it up for keep-alive, streaming and WebSockets; all else is its default."""


def _program() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("nginx, which the wire corpus is compared with, is missing: on Debian, 'apt-get install nginx'")
    return found


def version() -> str:
    """The version of the nginx that is here."""
    told = subprocess.run([_program(), "-v"], capture_output=True, text=True, check=True).stderr
    return told.strip().rpartition("nginx/")[2]


@contextlib.contextmanager
def nginx(folder: Path, cases: Sequence[object]) -> Iterator[None]:
    """Run nginx with the sockets `c0`, `c1` … of `folder` leading to `b0`, `b1` … there."""
    servers = "".join(_SERVER.format(n=n, folder=folder) for n in range(len(cases)))
    with running_nginx(folder, servers, listening=folder / f"c{len(cases) - 1}"):
        yield


@contextlib.contextmanager
def running_nginx(folder: Path, servers: str, *, listening: Path) -> Iterator[None]:
    """Run nginx with these `server` blocks; `listening` is there once it does: its last socket, or `nginx.pid`."""
    program = _program()
    config = folder / "nginx.conf"
    config.write_text(_MAIN.format(folder=folder, servers=servers), "ascii")
    process = subprocess.Popen(
        [program, "-p", folder, "-c", config, "-e", folder / "error.log"], stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 90
        while not listening.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"nginx did not start: {process.communicate()[1]}")
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.communicate()


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client's connection to one of the listeners, which may still be starting."""
    return await asyncio.open_unix_connection(str(path), limit=2**20)
