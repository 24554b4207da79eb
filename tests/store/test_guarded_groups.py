"""Sentinels and clusters behind TLS and passwords, which each have their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.conftest import system_redis
from tests.store.farm import ENCODED, PASSWORD, SLOTS, Farm, free_ports, until
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer
from waitroom.errors import StoreUnavailable
from waitroom.store.base import Purpose
from waitroom.store.connect import open_store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def admitted(url: str) -> bool:
    """Whether a visitor gets in with the store at `url`, which has no replica."""
    store = open_store(url, [Room(name="sale")], deadline_ms=5_000, replicas=0)
    try:
        await store.beat("sale")
        visit = await store.enter("sale", "v" * 16, claims=None, purpose=Purpose.CLAIM)
    finally:
        await store.aclose()
    return visit.answer is Answer.ADMITTED


async def test_sentinels_behind_tls_have_a_password_of_their_own(servers: Farm, certificate: tuple[Path, Path]) -> None:
    master_port, port = free_ports(2)
    master = servers.server("--requirepass", PASSWORD, port=master_port, program=system_redis(), tls=certificate)
    sentinel = servers.sentinel(
        master, "shop", port, "requirepass watch", f'sentinel auth-pass shop "{PASSWORD}"', quorum=1, tls=certificate
    )
    until(sentinel.answers, "the sentinel answers")
    where = f"127.0.0.1:{port}/shop?ssl_ca_certs={certificate[0]}"
    assert await admitted(f"rediss+sentinel://:{ENCODED}@{where}&sentinel_password=watch")
    with pytest.raises(StoreUnavailable, match="NOAUTH"):
        await admitted(f"rediss+sentinel://:{ENCODED}@{where}")
    with pytest.raises(StoreUnavailable, match="WRONGPASS") as told:
        await admitted(f"rediss+sentinel://:wrong@{where}&sentinel_password=watch")
    assert "wrong@" not in str(told.value)


async def test_a_cluster_behind_tls_takes_the_password_at_every_node(
    servers: Farm, certificate: tuple[Path, Path]
) -> None:
    node = servers.server("--cluster-enabled", "yes", program=system_redis(), tls=certificate)
    node.ask("CLUSTER", "ADDSLOTS", *range(SLOTS))
    until(lambda: b"cluster_state:ok" in node.ask("CLUSTER", "INFO"), "the cluster is whole")
    node.ask("CONFIG", "SET", "requirepass", PASSWORD)
    where = f"127.0.0.1:{node.port}?ssl_ca_certs={certificate[0]}"
    assert await admitted(f"rediss+cluster://:{ENCODED}@{where}")
    with pytest.raises(StoreUnavailable, match=r"no node gives the map.*NOAUTH"):
        await admitted(f"rediss+cluster://{where}")
