"""Server: where one Redis or Valkey is and how it is greeted, read from its URL."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from waitroom.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMES = ("redis://", "rediss://", "unix://")
PORT = 6379
OPTIONS = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"})
_NO = frozenset({"0", "no", "false", "off"})


@dataclass(frozen=True, slots=True)
class Server:
    """One server: on `path` (a unix socket) or at `host` and `port`, behind TLS when there is a context for it."""

    host: str = "localhost"
    port: int = PORT
    path: str = ""
    tls: ssl.SSLContext | None = None
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"the store at {self.path or f'{self.host}:{self.port}'}"

    @property
    def greeting(self) -> tuple[tuple[str | int, ...], ...]:
        """The commands that open a connection; each must be answered without an error before any other is sent."""
        commands: list[tuple[str | int, ...]] = []
        if self.username:
            commands.append(("AUTH", self.username, self.password))
        elif self.password:
            commands.append(("AUTH", self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        return (*commands, ("CLIENT", "SETNAME", "waitroom"))

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Open a connection and hand it to a new `protocol`; raises OSError."""
        loop = asyncio.get_running_loop()
        if self.path:
            await loop.create_unix_connection(protocol, self.path)
        else:
            await loop.create_connection(protocol, self.host, self.port, ssl=self.tls)


def parse(url: str) -> Server:
    """Return the server that `url` names.

    `redis://[user][:password]@host[:port][/db]`, `rediss://` the same behind TLS, `unix://[user][:password]@/path`.
    Options: `?db=`, and for TLS `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (paths), `ssl_cert_reqs=none`,
    `ssl_check_hostname=false`. Raises `StartError`, which never shows the URL: it may hold a password.
    """
    if not url.startswith(SCHEMES):
        raise StartError(f"the store's url must begin with {', '.join(SCHEMES)}, or be 'embedded'")
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        path = unquote(parts.path) if parts.scheme == "unix" else ""
        db = int(options.get("db") or ("" if path else parts.path.strip("/")) or 0)
        host, port = parts.hostname or "localhost", parts.port or PORT
    except ValueError:  # its words may repeat a piece of a password
        raise StartError("the store's url cannot be read: redis://user:password@host:6379/0, percent-encoded") from None
    if not set(options) <= OPTIONS:
        raise StartError(f"the store's url has an option that is none of {', '.join(sorted(OPTIONS))}")
    tls = _tls(options) if parts.scheme == "rediss" else None
    return Server(host, port, path, tls, db, unquote(parts.username or ""), unquote(parts.password or ""))


def _tls(options: dict[str, str]) -> ssl.SSLContext:
    files = [f"{name}={options[name]}" for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if name in options]
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if certificate := options.get("ssl_certfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"))
    except OSError as error:  # an SSLError is one
        raise StartError(f"the store's url: {', '.join(files)} cannot be used: {error}") from None
    require = options.get("ssl_cert_reqs", "required")
    if require not in {"required", "none"}:
        raise StartError("the store's url: ssl_cert_reqs is 'required' or 'none'")
    if require == "none" or options.get("ssl_check_hostname", "").lower() in _NO:
        context.check_hostname = False
    if require == "none":
        context.verify_mode = ssl.CERT_NONE
    return context
