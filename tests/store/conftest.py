"""Every kind of store under one contract; each server is started once for the whole run."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.store.bench import Bench
from tests.store.farm import ENCODED, PASSWORD, ClusterOfSix, Farm, debian_redis, farm, make_certificate, other_makes
from tests.store.simulated import SimulatedServer
from waitroom.store.connect import open_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from waitroom.store.client import Client

OPERATING = Path(__file__).parent.parent.parent / "docs" / "operating.md"


@dataclass(frozen=True)
class Urls:
    """A store as gateways reach it, and as somebody who may do everything does."""

    gateway: str
    admin: str


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Where real servers are started."""
    with farm(tmp_path_factory.mktemp("farm")) as servers:
        yield servers


def least_privilege() -> str:
    """Return the rules of the user that docs/operating.md recommends, with the tests' password."""
    (rules,) = re.findall(r"^user waitroom (.*)$", OPERATING.read_text("utf-8"), re.MULTILINE)
    return str(rules).replace(">a-long-password", f">{PASSWORD}")


def system_redis() -> str:
    """Return the second make of server, which speaks TLS."""
    program = debian_redis()
    assert program is not None, "no redis-server: `make machine` installs it on Debian"
    return program


@pytest.fixture(scope="session")
def certificate(servers: Farm) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, and its key."""
    return make_certificate(servers.directory)


@pytest.fixture(scope="session")
def guarded(servers: Farm, certificate: tuple[Path, Path]) -> Urls:
    """The system's Redis, speaking nothing but TLS, and a user with no more rights than the documentation gives."""
    return alone(servers, system_redis(), certificate)


@cache
def alone(servers: Farm, program: str, tls: tuple[Path, Path] | None = None) -> Urls:
    """Start a server with that user, once."""
    node = servers.server(program=program, tls=tls)
    node.ask("ACL", "SETUSER", "waitroom", *least_privilege().split())
    where = f"127.0.0.1:{node.port}" + (f"?ssl_ca_certs={tls[0]}" if tls else "")
    scheme = "rediss" if tls else "redis"
    return Urls(f"{scheme}://waitroom:{ENCODED}@{where}", f"{scheme}://{where}")


@pytest.fixture(scope="session")
def cluster(servers: Farm) -> Urls:
    """Six Valkeys; an answer waits for a replica. None is taken for dead because the machine stood still."""
    six = ClusterOfSix(servers)
    for node in six.nodes:
        node.ask("CONFIG", "SET", "cluster-node-timeout", 10_000)
    return Urls(six.url, six.url)


@pytest.fixture(params=["fakeredis", "valkey", "guarded", "cluster", *other_makes()])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """An empty store, simulated and real."""
    client: Client
    admin: Client
    if request.param == "fakeredis":
        client = admin = SimulatedServer()
    else:
        urls = urls_of(request.param, request)
        client, admin = (open_client(url, deadline_ms=5_000) for url in (urls.gateway, urls.admin))
    async with aclosing(client), aclosing(admin):
        bench = Bench(client, admin)
        await bench.forget()
        yield bench


def urls_of(kind: str, request: pytest.FixtureRequest) -> Urls:
    """Return where a store of that kind is: a fixture's name, or the path of a server."""
    if kind == "valkey":
        url = request.getfixturevalue("valkey_url")
        return Urls(url, url)
    if kind.startswith("/"):
        return alone(request.getfixturevalue("servers"), kind)
    urls: Urls = request.getfixturevalue(kind)
    return urls
