"""A store's URL, read into its pieces. Nothing is opened or looked up here; no message repeats what may be a password.

    redis://[user][:password]@host[:port][/db]            one server; rediss:// behind TLS
    unix://[user][:password]@/path/to/socket              one server on this machine
    redis+sentinel://…@host[:port],host[:port],…/name[/db]   the master `name`, asked of these sentinels; rediss+sentinel://
    redis+cluster://…@host[:port],host[:port],…           the cluster that these nodes belong to; rediss+cluster://

Options: `?db=`, and for TLS `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (paths), `ssl_cert_reqs=none`,
`ssl_check_hostname=false`. Sentinels are asked without a password unless `sentinel_password` (and `sentinel_username`)
is given. Everything is percent-encoded where it holds a character that the form needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["server", "sentinel", "cluster"]

SCHEMES: Final[dict[str, tuple[Kind, bool]]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("server", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
"""What each scheme means: the kind of store, and whether it is behind TLS."""
PORTS: Final[dict[Kind, int]] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
TLS_OPTIONS: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"})
OPTIONS: Final[dict[Kind, frozenset[str]]] = {
    "server": TLS_OPTIONS | {"db"},
    "sentinel": TLS_OPTIONS | {"db", "sentinel_username", "sentinel_password"},
    "cluster": TLS_OPTIONS,
}
EXAMPLES: Final[dict[Kind, str]] = {
    "server": "host:6379/0",
    "sentinel": "host:26379,host:26379,host:26379/name",
    "cluster": "host:6379,host:6379,host:6379",
}
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]*))(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class StoreURL:
    """Where a store is and who asks. `hosts` is empty for a socket, which is at `path`; `name` is of a master."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    name: str = ""
    db: int = 0
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


def read(url: str) -> StoreURL:
    """Return the pieces of `url`; raises ValueError that says what is wrong and how it is written."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in SCHEMES:
        known = ", ".join(f"'{name}://'" for name in SCHEMES)
        raise ValueError(f"a store is 'embedded' or begins with {known}, not with '{_harmless(scheme)}'")
    kind, tls = SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user, _, hosts = authority.rpartition("@")
    username, _, password = user.partition(":")
    options = _options(query, kind)
    on_socket = scheme == "unix"
    if on_socket and (hosts or not path):
        raise ValueError("a store on a socket is 'unix:///path/to/socket', with an absolute path")
    found = () if on_socket else _hosts(hosts, kind, scheme)
    name, database = _name_and_database("" if on_socket else path.strip("/"), kind, scheme)
    database = options.get("db", database)
    if database and not database.isdecimal():
        raise ValueError(f"after the store's host stands the number of its database: '{scheme}://{EXAMPLES[kind]}'")
    return StoreURL(
        kind=kind,
        hosts=found,
        path="/" + unquote(path) if on_socket else "",
        name=name,
        db=int(database or 0),
        tls=tls,
        username=unquote(username),
        password=unquote(password),
        options=options,
    )


def _options(query: str, kind: Kind) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, strict_parsing=bool(query), keep_blank_values=True))
    except ValueError:
        raise ValueError("the store's URL has a query that is no 'option=value'") from None
    if not set(options) <= OPTIONS[kind]:
        raise ValueError(f"the store's URL has an option that is none of {', '.join(sorted(OPTIONS[kind]))}")
    if options.get("ssl_cert_reqs", "required") not in {"required", "none"}:
        raise ValueError("the store's URL: ssl_cert_reqs is 'required' or 'none'")
    return options


def _name_and_database(path: str, kind: Kind, scheme: str) -> tuple[str, str]:
    """Return the name of the master and the number of the database, each as it is written."""
    form = f"'{scheme}://{EXAMPLES[kind]}'"
    if kind == "server":
        return "", path
    if kind == "cluster":
        if path.strip("0"):
            raise ValueError(f"a cluster has no numbered databases: {form}")
        return "", ""
    name, _, database = path.partition("/")
    if not name:
        raise ValueError(f"after the sentinels stands the name of the master they watch: {form}")
    return unquote(name), database


def _hosts(text: str, kind: Kind, scheme: str) -> tuple[tuple[str, int], ...]:
    form = f"'{scheme}://{EXAMPLES[kind]}'"
    parts = text.split(",")
    if kind == "server" and len(parts) > 1:
        raise ValueError(f"'{scheme}://' names one server; several are 'redis+sentinel://' or 'redis+cluster://'")
    found = []
    for part in parts:
        match = _HOST.fullmatch(part)
        if match is None:
            raise ValueError(
                "the store's URL cannot be read: its port is no number, a bracket is missing, or"
                " a password holds a character that must be percent-encoded"
            )
        host, port = match[1] or unquote(match[2]), int(match[3] or PORTS[kind])
        if not host or not 0 < port < 65_536:
            raise ValueError(f"the store's URL names no host and port: {form}")
        found.append((host, port))
    return tuple(found)


def _harmless(scheme: str) -> str:
    """Return what stands where a scheme should, as far as it cannot be a password."""
    return scheme if scheme.isalpha() and len(scheme) < 12 else scheme.partition(":")[0][:12] or "text"
