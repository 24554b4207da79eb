"""Every setting, one row each: type, default, sentence.

`waitroom.configuration` reads them from flags, the environment and the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    model_validator,
)

from .domain.room import Room
from .store.url import read as read_store_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

KEY_CHARACTERS = 32
"""Shortest signing key."""
_HEADER_SECRET = re.compile(r"[!-~]{16,200}")
_NETLOC = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts on the way to which nobody can read."""


def check_backend(url: str) -> str:
    """Return `url` when it names a site that can be proxied to, or is empty (not set)."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character <= " " for character in url):
        raise ValueError("the backend is 'http://host:port' or 'https://host:port'")
    if "@" in parts.netloc:
        raise ValueError("the backend's URL holds a user name or password; these are not sent, take them out")
    if parts.query or parts.fragment:
        raise ValueError("the backend's URL has no query and no fragment")
    return url


def check_store_url(url: str) -> str:
    """Return `url` when it names a store that Waitroom can use. The message never repeats a password."""
    if url != "embedded":
        read_store_url(url)
    return url


def check_key(key: SecretStr) -> SecretStr:
    """Return `key` when it is long enough to sign with. The message never repeats it."""
    length = len(key.get_secret_value())
    if length < KEY_CHARACTERS:
        raise ValueError(f"a signing key has at least {KEY_CHARACTERS} characters, this one has {length}")
    return key


def check_backend_secret(secret: SecretStr) -> SecretStr:
    """Return `secret` when it can be sent in a header and is too long to guess. The message never repeats it."""
    if not _HEADER_SECRET.fullmatch(secret.get_secret_value()):
        raise ValueError("a secret for the backend has 16 to 200 letters, digits and signs of ASCII, and no spaces")
    return secret


def check_service_url(url: str) -> str:
    """Return `url` when a service may be asked there with a secret, or is empty (not set)."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        usable = bool(_NETLOC.fullmatch(parts.netloc)) and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        usable = False
    if not usable or parts.fragment or " " in url:
        raise ValueError("a service's URL is 'https://host/path', without user, password and fragment")
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
        raise ValueError("a service's URL begins with 'https://'; 'http://' only on 127.0.0.1, [::1] or localhost")
    return url


def _unlimited(value: Any) -> Any:
    return None if value == "none" else value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]
Size = Annotated[ByteSize | None, BeforeValidator(_unlimited)]
HeaderName = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9-]{0,63})?$")]
ServiceURL = Annotated[str, AfterValidator(check_service_url)]
SigningKey = Annotated[SecretStr, AfterValidator(check_key)]
BackendSecret = Annotated[SecretStr, AfterValidator(check_backend_secret)]


class GatewaySettings(_Section):
    """`[gateway]`: where visitors come in, and the site behind."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=8080, description="Port to listen on; 0 takes any free one.")
    workers: int = Field(default=1, ge=1, le=256, description="Gateway processes.")
    backend: Annotated[str, AfterValidator(check_backend)] = Field(
        default="", description="The site behind: `http://host:port` or `https://host:port`."
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="Networks whose `X-Forwarded-*` and `Forwarded` headers are believed."
    )
    network_bits_ipv4: int = Field(
        default=32,
        ge=8,
        le=32,
        description="Bits of an IPv4 address that name the network newcomers are counted by.",
    )
    network_bits_ipv6: int = Field(default=64, ge=16, le=128, description="The same of an IPv6 address.")
    connections_per_network: Annotated[int | None, BeforeValidator(_unlimited)] = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Connections that a worker holds open for one client network; `none` for no limit.",
    )
    prefix: str = Field(
        default="/.waitroom",
        pattern=r"^(/[A-Za-z0-9._~-]+)+$",
        description="Path under which Waitroom's own pages live.",
    )
    body_limit: Size = Field(
        default=ByteSize(1_073_741_824), description="Largest request body; larger ones get 413. `none` for no limit."
    )
    host_header: str = Field(
        default="keep",
        description="`Host` sent to the backend: `keep` the visitor's, `backend` for its own, or a literal name.",
    )
    cookie_secure: Literal["auto", "always"] = Field(
        default="auto", description="Whether cookies are `Secure` and `__Host-`: on HTTPS (`auto`) or `always`."
    )
    backend_ca_file: Path | None = Field(default=None, description="Certificates to verify an `https` backend with.")
    backend_secret: BackendSecret | None = Field(
        default=None,
        description="Sent to the backend with each request as `Waitroom-Secret`, so that it can refuse all others.",
    )
    pool_size: int = Field(
        default=256,
        ge=1,
        le=65_535,
        description="Connections to the backend per worker; up to as many more for visitors who read slowly.",
    )
    pool_wait_seconds: Seconds = Field(default=5.0, description="How long a request waits for a free connection.")
    connect_timeout_seconds: Seconds = Field(default=5.0, description="Time to connect to the backend.")
    read_timeout_seconds: Seconds = Field(default=60.0, description="Longest silence of the backend.")
    idle_timeout_seconds: Seconds = Field(default=55.0, description="How long an idle backend connection is reused.")
    keep_alive_seconds: Seconds = Field(default=75.0, description="How long an idle visitor's connection is kept.")
    header_seconds: Seconds = Field(
        default=10.0, description="Time for a request's first byte, and for its whole header."
    )
    body_rate_bytes_per_second: int = Field(default=500, ge=0, description="Slowest request body that is borne.")
    body_grace_seconds: Seconds = Field(default=5.0, description="Time before the body's rate is judged.")
    drain_seconds: Seconds = Field(default=30.0, description="On stopping: time for requests in flight to finish.")


class StoreSettings(_Section):
    """`[store]`: the queue's memory."""

    url: Annotated[str, AfterValidator(check_store_url)] = Field(
        default="embedded",
        description="`embedded` (a Valkey of our own in the data directory), or where the store is; see below.",
    )
    deadline_ms: int = Field(default=250, ge=10, le=10_000, description="Longest wait for an answer of the store.")
    replicas_acknowledge: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Replicas that must have a change before it is answered; by default 1 with sentinels or a cluster.",
    )


class AdminSettings(_Section):
    """`[admin]`: the operators' listener."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; keep it private.")
    port: Port = Field(default=8081, description="Port to listen on; 0 takes any free one.")
    token: SecretStr | None = Field(
        default=None, description="Bearer token of the verbs; made once and kept in the data directory when not set."
    )
    session_idle_minutes: int = Field(
        default=60, ge=1, le=1_440, description="A log-in ends when nothing was asked with it for so long."
    )
    session_hours: int = Field(default=12, ge=1, le=168, description="A log-in ends after that in any case.")
    cookie_secure: Literal["auto", "always"] = Field(
        default="auto",
        description="Whether the log-in's cookie is `Secure` and `__Host-`: on HTTPS (`auto`) or `always`, behind a "
        "proxy that speaks it.",
    )
    sso_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="Networks of the authenticating proxies that are believed."
    )
    sso_header: HeaderName = Field(
        default="", description="Header in which such a proxy names who asks, such as `X-Forwarded-User`."
    )
    sso_role_header: HeaderName = Field(
        default="", description="Header in which it gives the role: `viewer`, `operator` or `admin`."
    )
    sso_role: Literal["viewer", "operator", "admin"] = Field(
        default="viewer", description="The role of who comes that way when the proxy gives none."
    )

    @model_validator(mode="after")
    def _sign_on_is_whole(self) -> Self:
        if bool(self.sso_proxies) != bool(self.sso_header):
            raise ValueError("single sign-on needs both sso_proxies and sso_header")
        if any(network.prefixlen == 0 for network in self.sso_proxies):
            raise ValueError("sso_proxies: a network of every address lets anybody in under any name")
        return self


class KeysSettings(_Section):
    """`[keys]`: what signs tokens."""

    signing: tuple[SigningKey, ...] = Field(
        default=(),
        description="Signing keys: the first signs, all verify; made once and kept in the data directory when not set.",
    )
    signing_file: Path | None = Field(default=None, description="File with one key a line, instead of `signing`.")


class CaptchaSettings(_Section):
    """`[captcha]`: the service elsewhere that tells people from programs, for rooms whose `captcha` asks for it."""

    provider: Literal["none", "turnstile", "hcaptcha"] = Field(
        default="none", description="Whose CAPTCHA it is, or as whose it works: Cloudflare Turnstile or hCaptcha."
    )
    site_key: str = Field(
        default="", pattern=r"^[A-Za-z0-9._-]{0,200}$", description="The public key that the service gave for the site."
    )
    secret: SecretStr | None = Field(
        default=None, description="The secret key that goes with it; no page, log or answer ever holds it."
    )
    hostnames: tuple[str, ...] = Field(
        default=(), description="Hosts on which the CAPTCHA may have been passed; by default the one asked for."
    )
    visitor_address: Literal["withheld", "sent"] = Field(
        default="withheld", description="Whether the service is told the visitor's address."
    )
    deadline_ms: int = Field(default=3_000, ge=100, le=30_000, description="Longest wait for an answer of the service.")
    on_loss: Literal["work", "hold"] = Field(
        default="work",
        description="What newcomers get while the service is away: work as `challenge` gives, or no place (`hold`).",
    )
    verify_url: ServiceURL = Field(
        default="", description="Where responses are verified by another service that works as the provider's does."
    )
    script_url: ServiceURL = Field(default="", description="The script that browsers load from that service.")

    @model_validator(mode="after")
    def _it_is_whole(self) -> Self:
        wrong = []
        if self.provider == "none":
            given = [name for name in ("site_key", "secret", "verify_url", "script_url") if getattr(self, name)]
            if given:
                wrong.append(f"{given[0]} is set and provider is not; it is one of turnstile, hcaptcha")
        elif missing := [name for name in ("site_key", "secret") if not _given(self, name)]:
            wrong.append(f"{self.provider} needs {' and '.join(missing)}")
        if bool(self.verify_url) != bool(self.script_url):
            wrong.append("another service needs both verify_url and script_url")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def _given(section: BaseModel, name: str) -> bool:
    value = getattr(section, name)
    return bool(value.get_secret_value().strip() if isinstance(value, SecretStr) else value)


class LogSettings(_Section):
    """`[log]`: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe event written."
    )
    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="One JSON object a line, or text; `auto` is text on a terminal."
    )


class Settings(_Section):
    """The whole configuration, resolved."""

    data: Path = Field(default=Path("waitroom-data"), description="Directory for keys and the embedded store.")
    gateway: GatewaySettings = GatewaySettings()
    store: StoreSettings = StoreSettings()
    admin: AdminSettings = AdminSettings()
    keys: KeysSettings = KeysSettings()
    captcha: CaptchaSettings = CaptchaSettings()
    log: LogSettings = LogSettings()
    rooms: tuple[Room, ...] = Field(default=(), description="The rooms; without any, one room `default` over all.")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings in force, and where each came from.

    `sources` maps a dotted name (`gateway.port`, `rooms.default.rate`) to "flag --port",
    "environment WAITROOM_GATEWAY__PORT", "waitroom.toml:12" or "default". `path` is the file that was read.
    """

    settings: Settings
    sources: Mapping[str, str]
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: `name` is dotted, `flag` empty when it has none."""

    name: str
    field: FieldInfo
    environment: str
    flag: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))


SECRETS: frozenset[str] = frozenset({
    "gateway.backend_secret", "store.url", "admin.token", "keys.signing", "captcha.secret",
})  # fmt: skip
"""What is never shown, and may be read from a file named by `WAITROOM_…_FILE`."""

FLAGS: Mapping[str, str] = {
    "backend": "gateway.backend",
    "store": "store.url",
    "host": "gateway.host",
    "port": "gateway.port",
    "workers": "gateway.workers",
    "admin_host": "admin.host",
    "admin_port": "admin.port",
    "data": "data",
}
"""Flags of `waitroom serve`, as parameters, and what they set."""

LIMIT_FLAGS: Mapping[str, str] = {"rate": "WAITROOM_RATE", "capacity": "WAITROOM_CAPACITY"}
"""Flags that set a limit of the only room, and the variables that do the same."""


def flag_text(parameter: str) -> str:
    """How the flag is written: `admin_host` → `--admin-host`."""
    return "--" + parameter.replace("_", "-")


def environment_name(name: str) -> str:
    """`gateway.port` → `WAITROOM_GATEWAY__PORT`."""
    return "WAITROOM_" + name.replace(".", "__").upper()


SECTIONS: Mapping[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, _Section)
}
"""The tables of the file, by name."""


def _rows() -> dict[str, Row]:
    flags = {name: flag_text(parameter) for parameter, name in FLAGS.items()}
    fields: dict[str, FieldInfo] = {"data": Settings.model_fields["data"]}
    for name, section in SECTIONS.items():
        fields |= {f"{name}.{key}": field for key, field in section.model_fields.items()}
    return {name: Row(name, field, environment_name(name), flags.get(name, "")) for name, field in fields.items()}


ROWS: Mapping[str, Row] = _rows()
"""Every setting but the rooms', by its dotted name. What a room has is `Room.model_fields`."""
