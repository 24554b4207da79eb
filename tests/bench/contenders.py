"""Who is measured: how each server is started, with the configuration that makes it one process or thread on one core.

Access logs are off everywhere, connections are kept alive on both sides, and bodies are streamed, not spooled, where
that can be chosen.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.journeys.stage import AS_SHIPPED_MS, serving, write_config

from .machine import BenchError, Cores, Programs, free_port, pin

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.journeys.stage import Serving

    from .tools import Tool

WAITROOM: Final = "waitroom"
ROOM: Final = "sale"

NGINX: Final = """
{user}daemon off; worker_processes 1; pid {directory}/{name}.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_max_body_size 0;
  client_body_temp_path {directory}/{name}-body; proxy_temp_path {directory}/{name}-proxy;
  fastcgi_temp_path {directory}/{name}-f; uwsgi_temp_path {directory}/{name}-u; scgi_temp_path {directory}/{name}-s;
  {http}
}}
"""
NGINX_PROXY: Final = """
  upstream site {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 1000000000; }}
  map $http_upgrade $hop {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://site; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $hop;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_request_buffering off; proxy_max_temp_file_size 0;
    }}
  }}
"""
NGINX_SITE: Final = """
  sendfile on; tcp_nopush on; open_file_cache max=10 inactive=1h; default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port} backlog=2048; root {directory}/site;
    location = /100 {{ return 200 "{body}"; }}
    location = / {{ return 200 "{body}"; }}
  }}
"""
NGINX_CACHE: Final = """
  sendfile on; tcp_nopush on; open_file_cache max=10 inactive=1h;
  proxy_cache_path {directory}/{name}-cache keys_zone=shared:1m;
  upstream gateway {{ server 127.0.0.1:{backend}; keepalive 16; }}
  map $http_accept_encoding $coding {{ default ''; ~gzip gzip; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection '';
      proxy_set_header Host $http_host; proxy_set_header Cookie ''; proxy_set_header Accept-Encoding $coding;
      proxy_cache shared; proxy_cache_key $host$uri$coding; proxy_ignore_headers Vary;
      proxy_cache_lock on; proxy_cache_use_stale updating; proxy_cache_background_update on;
    }}
  }}
"""
NGINX_STATIC: Final = """
  sendfile on; tcp_nopush on; open_file_cache max=10 inactive=1h; default_type application/json;
  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ root {root}; }} }}
"""
HAPROXY: Final = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 300s
  http-reuse always
frontend visitors
  bind 127.0.0.1:{port} backlog 2048
  option forwardfor
  default_backend site
backend site
  server site 127.0.0.1:{backend}
"""
CADDY: Final = """
{{
  admin off
  auto_https off
  persist_config off
  log {{
    level ERROR
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{backend} {{
    transport http {{
      keepalive_idle_conns_per_host 256
    }}
  }}
}}
"""
TRAEFIK: Final[dict[str, Any]] = {
    "http": {
        "routers": {"site": {"rule": "PathPrefix(`/`)", "entryPoints": ["visitors"], "service": "site"}},
        "services": {"site": {"loadBalancer": {"servers": [{"url": ""}], "passHostHeader": True}}},
        "serversTransports": {"default": {"maxIdleConnsPerHost": 256}},
    }
}


@dataclass(slots=True)
class Server:
    """A running contender."""

    name: str
    port: int
    pid: int
    """The root of its process tree."""
    worker: int | None = None
    """The one process on the server's core, where that is not the whole tree."""
    serving: Serving | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Stage:
    """Where a case starts its servers; everything started on it ends with it."""

    directory: Path
    cores: Cores
    tools: dict[str, Tool]
    programs: Programs
    exits: ExitStack

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def launch(
        self, name: str, command: list[str | Path], port: int, core: int, env: dict[str, str] | None = None
    ) -> Server:
        """Start a program and wait until it accepts."""
        process: subprocess.Popen[bytes] = self.programs.start(name, command, core, env=env)
        self.exits.callback(self.programs.stop, process)
        self.programs.wait_for_port(process, name, port)
        return Server(name, port, process.pid)

    def program(self, name: str) -> Path:
        """Return a tool's path; raises `BenchError` with the reason where it is missing."""
        tool = self.tools[name]
        if tool.path is None:
            raise BenchError(tool.missing)
        return tool.path

    # The site behind.

    def site(self) -> Server:
        """Start the site: nginx with pages of 100 bytes, 16 kB and 100 MB, on the load's core."""
        pages = self.directory / "site"
        if not pages.exists():
            pages.mkdir()
            (pages / "16k").write_bytes(b"x" * 16_384)
            (pages / "256k").write_bytes(b"x" * 262_144)
            with (pages / "100m").open("wb") as file:
                for _ in range(100):
                    file.write(bytes(1_000_000))
        port = free_port()
        http = NGINX_SITE.format(port=port, directory=self.directory, body="x" * 100)
        return self._nginx("site", http, port, self.cores.load)

    def uvicorn(
        self, name: str, app: str, port: int, core: int, *, python: Path | str = sys.executable, backend: int = 0
    ) -> Server:
        """Start a raw ASGI app on stock uvicorn with uvloop and httptools."""
        command: list[str | Path] = [
            python, "-m", "uvicorn", f"tests.bench.apps.{app}:app", "--host", "127.0.0.1", "--port", str(port),
            "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error", "--backlog", "2048",
        ]  # fmt: skip
        return self.launch(name, command, port, core, {"BENCH_BACKEND": f"http://127.0.0.1:{backend}"})

    def _nginx(self, name: str, http: str, port: int, core: int) -> Server:
        user = "user root; " if os.geteuid() == 0 else ""  # its worker must read our directory
        text = NGINX.format(directory=self.directory, name=name, http=http, user=user)
        path = self.write(f"{name}.conf", text)
        return self.launch(name, [self.program("nginx"), "-p", self.directory, "-c", path], port, core)

    # The contenders.

    def start(self, name: str, backend: int, **room: Any) -> Server:
        """Start a contender in front of the site on port `backend`; raises `BenchError` when it is not to be had."""
        if name == WAITROOM:
            return self.waitroom(backend, **room)
        return CONTENDERS[name](self, name, free_port(), backend)

    def waitroom(self, backend: int, name: str = WAITROOM, **room: Any) -> Server:
        """Start `waitroom serve` as a user does, and bind its one gateway worker to the server's core.

        The supervisor, the admin listener and the embedded store stay on the load's core, as this process is.
        """
        home = self.directory / name
        home.mkdir()
        config = write_config(home, backend=f"http://127.0.0.1:{backend}", deadline_ms=AS_SHIPPED_MS, **room)
        running = self.exits.enter_context(serving(config, home))
        (worker,) = running.worker_pids()
        pin(worker, self.cores.server)
        return Server(name, running.port, running.process.pid, worker, running)

    def nginx(self, name: str, port: int, backend: int) -> Server:
        return self._nginx(name, NGINX_PROXY.format(port=port, backend=backend), port, self.cores.server)

    def nginx_cache(self, name: str, backend: int) -> Server:
        """Start nginx as a cache in front of a gateway."""
        port = free_port()
        http = NGINX_CACHE.format(port=port, backend=backend, directory=self.directory, name=name)
        return self._nginx(name, http, port, self.cores.server)

    def nginx_static(self, name: str, root: Path) -> Server:
        """Start nginx with the files below `root`."""
        port = free_port()
        return self._nginx(name, NGINX_STATIC.format(port=port, root=root), port, self.cores.server)

    def haproxy(self, name: str, port: int, backend: int) -> Server:
        path = self.write("haproxy.cfg", HAPROXY.format(port=port, backend=backend))
        return self.launch(name, [self.program(name), "-db", "-f", path], port, self.cores.server)

    def caddy(self, name: str, port: int, backend: int) -> Server:
        path = self.write("Caddyfile", CADDY.format(port=port, backend=backend))
        command: list[str | Path] = [self.program(name), "run", "--config", path, "--adapter", "caddyfile"]
        home = {"XDG_DATA_HOME": str(self.directory / "caddy"), "XDG_CONFIG_HOME": str(self.directory / "caddy")}
        return self.launch(name, command, port, self.cores.server, home)

    def traefik(self, name: str, port: int, backend: int) -> Server:
        dynamic = json.loads(json.dumps(TRAEFIK))
        dynamic["http"]["services"]["site"]["loadBalancer"]["servers"][0]["url"] = f"http://127.0.0.1:{backend}"
        dynamic["http"]["services"]["site"]["loadBalancer"]["serversTransport"] = "default"
        path = self.write("traefik-routes.yaml", json.dumps(dynamic))
        main = {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "ERROR"},
            "entryPoints": {"visitors": {"address": f"127.0.0.1:{port}"}},
            "providers": {"file": {"filename": str(path)}},
        }
        config = self.write("traefik.yaml", json.dumps(main))  # JSON is YAML
        command: list[str | Path] = [self.program(name), f"--configFile={config}"]
        return self.launch(name, command, port, self.cores.server)

    def configurable_http_proxy(self, name: str, port: int, backend: int) -> Server:
        command: list[str | Path] = [
            self.program(name), "--ip", "127.0.0.1", "--port", str(port),
            "--api-ip", "127.0.0.1", "--api-port", str(free_port()),
            "--default-target", f"http://127.0.0.1:{backend}", "--log-level", "error",
        ]  # fmt: skip
        token = {"CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16)}
        return self.launch(name, command, port, self.cores.server, token)

    def empty(self, name: str, port: int, backend: int) -> Server:
        return self.uvicorn(name, "empty", port, self.cores.server)

    def aiohttp(self, name: str, port: int, backend: int) -> Server:
        return self._packaged("aiohttp", "aiohttp_proxy", name, port, backend)

    def asgi_proxy_lib(self, name: str, port: int, backend: int) -> Server:
        return self._packaged("asgi-proxy-lib", "asgi_proxy_lib", name, port, backend)

    def fastapi_proxy_lib(self, name: str, port: int, backend: int) -> Server:
        return self._packaged("fastapi-proxy-lib", "fastapi_proxy_lib", name, port, backend)

    def _packaged(self, tool: str, app: str, name: str, port: int, backend: int) -> Server:
        python = self.program(tool)
        return self.uvicorn(name, app, port, self.cores.server, python=python, backend=backend)


EMPTY: Final = "uvicorn, empty app"
NGINX_NAME: Final = "nginx"
AIOHTTP: Final = "aiohttp proxy"
CHP: Final = "configurable-http-proxy"
CONTENDERS: Final[dict[str, Callable[[Stage, str, int, int], Server]]] = {
    EMPTY: Stage.empty,
    NGINX_NAME: Stage.nginx,
    "haproxy": Stage.haproxy,
    "caddy": Stage.caddy,
    "traefik": Stage.traefik,
    CHP: Stage.configurable_http_proxy,
    AIOHTTP: Stage.aiohttp,
    "asgi-proxy-lib": Stage.asgi_proxy_lib,
    "fastapi-proxy-lib": Stage.fastapi_proxy_lib,
}
PROXIES: Final = (WAITROOM, *(name for name in CONTENDERS if name != EMPTY))


@contextmanager
def staged(directory: Path, cores: Cores, tools: dict[str, Tool]) -> Iterator[Stage]:
    """Lay a stage; at the end everything on it is ended, whatever happened."""
    directory.mkdir(parents=True)
    programs = Programs(directory)
    try:
        with ExitStack() as exits:
            yield Stage(directory, cores, tools, programs, exits)
    finally:
        programs.stop_all()
