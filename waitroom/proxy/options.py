"""What the proxy is told about the backend: where it is, how long to wait, how much to send."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from waitroom.errors import ConfigurationError, Mistake

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """Everything a Proxy needs to know. Times are in seconds."""

    backend: str
    """http://host:port[/base] or https://…; base is put in front of every target."""
    host_header: str = "keep"
    """`keep`: as the visitor sent it. `backend`: the backend's own. Anything else is sent literally."""
    secret: str = field(default="", repr=False)
    """Sent with each request as `Waitroom-Secret`, so that the backend knows who asks; empty: none."""
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    """No byte from the backend for so long, or none taken by it: 504, or a broken answer once it has begun."""
    idle_timeout_seconds: float = 55.0
    """A connection unused for so long is closed. Keep it below the backend's own keep-alive time-out."""
    pool_size: int = 256
    pool_wait_seconds: float = 5.0
    body_limit_bytes: int | None = None
    ca_file: str | None = None
    """PEM file of the authorities that may sign an https backend; none: those of the system."""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Origin:
    """A backend URL taken apart."""

    scheme: str
    host: str
    port: int
    authority: str
    """As a Host header: without the port where it is the scheme's own."""
    base: str
    """Path put in front of every target, without a slash at its end; empty for none."""


def parse_origin(url: str) -> Origin:
    """The parts of a backend URL; raises ConfigurationError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_backend(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise _bad_backend(f"{url!r} does not name a backend")
    if parts.username is not None or parts.query or parts.fragment:
        raise _bad_backend("the backend URL holds a user, a query or a fragment")
    if not url.isascii() or any(char <= " " for char in url):
        raise _bad_backend(f"{url!r} holds spaces or letters that must be encoded")
    shown = f"[{host}]" if ":" in host else host
    default_port = _DEFAULT_PORTS[parts.scheme]
    port = port or default_port
    authority = shown if port == default_port else f"{shown}:{port}"
    return Origin(parts.scheme, host, port, authority, parts.path.rstrip("/"))


def _bad_backend(what: str) -> ConfigurationError:
    return ConfigurationError([Mistake("backend", what, "http://host:port[/base] or https://host[:port][/base]")])


def tls_context(options: ProxyOptions) -> ssl.SSLContext:
    """TLS towards the backend: verified unless the options say otherwise; raises ConfigurationError."""
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
    except (OSError, ssl.SSLError) as error:
        mistake = Mistake("ca_file", f"cannot read authorities from {options.ca_file!r}: {error}", "a PEM file")
        raise ConfigurationError([mistake]) from None
    context.set_alpn_protocols(["http/1.1"])
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
