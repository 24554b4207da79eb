"""Which server is believed to be the master, of what sentinels say; and on real ones."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from tests.store.scripted import scripted, text
from waitroom.store.client import OneServer
from waitroom.store.connect import open_client
from waitroom.store.sentinel import Master, chosen

pytestmark = pytest.mark.anyio

OLD, NEW = Master(1, "10.0.0.1", 6379), Master(2, "10.0.0.2", 6379)


@pytest.mark.parametrize(
    ("heard", "known_epoch", "expected"),
    [
        ([OLD, OLD, OLD], 0, OLD),
        ([OLD, OLD, NEW], 1, NEW),
        ([OLD, "b: away", "c: away"], 1, OLD),
        ([OLD, OLD, "c: away"], 2, OLD),
    ],
)
def test_the_newest_decision_counts(heard: list[Master | str], known_epoch: int, expected: Master) -> None:
    assert chosen(heard, known_epoch) == expected


def test_a_few_sentinels_cannot_take_a_decision_back() -> None:
    assert chosen([OLD, "b: away", "c: away"], 2) == (
        "the sentinels that answer know an older master only (epoch 1, 2 was heard)"
    )


def test_when_no_sentinel_answers_each_reason_is_told() -> None:
    assert chosen(["a: refused", "b: away"], 0) == "no sentinel names it: a: refused; b: away"


async def test_the_master_is_asked_for_anew_when_a_connection_is_opened() -> None:
    """Two servers; the sentinel names one, then the other, which first must say itself that it is a master."""
    async with scripted() as (first, first_port), scripted() as (second, second_port), scripted() as (sentinel, port):
        named = (first_port, "1")

        def says(command: list[bytes]) -> bytes:
            if command[1] == b"MASTER":
                return b"*2\r\n" + text("config-epoch") + text(named[1])
            return b"*2\r\n" + text("127.0.0.1") + text(str(named[0]))

        def master(command: list[bytes]) -> bytes:
            return b"*1\r\n" + text("master") if command == [b"ROLE"] else text("yes")

        sentinel.answers = says
        first.answers = master
        second.answers = lambda _: b"*1\r\n" + text("slave")
        url = f"redis+sentinel://:pw@127.0.0.1:{port},127.0.0.1:1/shop"
        async with aclosing(open_client(url, deadline_ms=5_000)) as client:
            assert isinstance(client, OneServer)
            assert await client.command("GET", "a") == b"yes"
            assert first.greeted[0] == [b"AUTH", b"pw"]
            assert [command[0] for command in sentinel.greeted] == [b"CLIENT"]

            named = (second_port, "2")
            first.connections[0].hang_up()
            while client._wire and client._wire.usable:
                await asyncio.sleep(0)
            with pytest.raises(ConnectionError, match=f"127.0.0.1:{second_port}.*it is no master but a slave"):
                await client.command("GET", "a")
            second.answers = master
            assert await client.command("GET", "a") == b"yes"


async def test_without_sentinels_each_is_named_and_no_password() -> None:
    url = "redis+sentinel://:secret@127.0.0.1:1,127.0.0.1:2/shop"
    async with aclosing(open_client(url, deadline_ms=2_000)) as client:
        assert isinstance(client, OneServer)
        with pytest.raises(ConnectionError, match=r"master 'shop' of 2 sentinels: .*127.0.0.1:1.*127.0.0.1:2") as told:
            await client.command("GET", "a")
    assert "secret" not in str(told.value)
