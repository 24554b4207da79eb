"""Server: where one Redis or Valkey is, how a connection to it is opened and greeted, and what is trusted."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from waitroom.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .url import StoreURL

_NO = frozenset({"0", "no", "false", "off"})
Greeting = tuple[tuple[str | int, ...], ...]


class Destination(Protocol):
    """What a wire leads to: one server, or whichever server has a role just now. Its text is for errors."""

    @property
    def address(self) -> str:
        """The server that the connection now open leads to."""
        ...

    @property
    def greeting(self) -> Greeting:
        """The commands that open a connection; each must be answered without an error before any other is sent."""
        ...

    def objection(self, answers: Sequence[Any]) -> str:
        """Return why a server that answered the greeting so is the wrong one; empty when it is right."""
        ...

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Open a connection and hand it to a new `protocol`; raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """One server: on `path` (a unix socket) or at `host` and `port`, behind TLS when there is a context for it."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""
    tls: ssl.SSLContext | None = None
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"the store at {self.address}"

    @property
    def address(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    @property
    def greeting(self) -> Greeting:
        commands: list[tuple[str | int, ...]] = []
        if self.username:
            commands.append(("AUTH", self.username, self.password))
        elif self.password:
            commands.append(("AUTH", self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        return (*commands, ("CLIENT", "SETNAME", "waitroom"))

    def objection(self, answers: Sequence[Any]) -> str:
        return ""

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        if self.path:
            await loop.create_unix_connection(protocol, self.path)
        else:
            await loop.create_connection(protocol, self.host, self.port, ssl=self.tls)


def servers_of(url: StoreURL) -> tuple[Server, ...]:
    """Return the servers that `url` names, with its user and password; raises `StartError` where TLS cannot be used."""
    tls = _tls(url.options) if url.tls else None
    if url.path:
        return (Server(path=url.path, db=url.db, username=url.username, password=url.password),)
    return tuple(
        Server(host, port, tls=tls, db=url.db, username=url.username, password=url.password) for host, port in url.hosts
    )


def _tls(options: Mapping[str, str]) -> ssl.SSLContext:
    files = [f"{name}={options[name]}" for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if name in options]
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if certificate := options.get("ssl_certfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"))
    except OSError as error:  # an SSLError is one
        raise StartError(f"the store's URL: {', '.join(files)} cannot be used: {error}") from None
    trusts_anybody = options.get("ssl_cert_reqs") == "none"
    if trusts_anybody or options.get("ssl_check_hostname", "").lower() in _NO:
        context.check_hostname = False
    if trusts_anybody:
        context.verify_mode = ssl.CERT_NONE
    return context
