"""With replicas, a script is answered when they have what it wrote; whoever asks meanwhile leaves together."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.scripted import Scripted, echo, scripted, text
from waitroom.store.acknowledgement import CAUTION_SECONDS, Acknowledgement
from waitroom.store.client import OneServer
from waitroom.store.scripts import Script
from waitroom.store.server import Server
from waitroom.store.wire import ServerError, Unacknowledged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

SCRIPT = Script("look", "return 1", ("queue",), "d1ge57")
WAIT = [b"WAIT", b"1", b"3000"]


class Stage:
    """A scripted server, and a client that wants one replica."""

    def __init__(self, server: Scripted, client: OneServer) -> None:
        self.server = server
        self.client = client

    def run(self, word: str) -> asyncio.Future[Any]:
        """Run a script."""
        return self.client.call(SCRIPT, ["{sale}:queue"], [word])

    async def heard(self) -> list[bytes]:
        """What the server heard so far, the last word of each, when all that is under way has arrived."""
        for _ in range(20):
            await asyncio.sleep(0)
        return [command[0] if command[0] == b"WAIT" else command[-1] for command in self.server.heard[1:]]

    def say(self, answers: bytes) -> None:
        self.server.connections[-1].say(answers)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    path = tmp_path / "server.sock"
    opened = aclosing(OneServer(Server(path=str(path)), deadline_seconds=5, replicas=1))
    async with scripted(path) as (server, _), opened as client:
        server.role = b"*3\r\n" + text("master") + b":0\r\n*1\r\n*3\r\n" + text("b") + text("1") + text("0")
        server.answers = echo
        assert await client.command("ECHO", "hello") == b"hello"
        server.answers = None
        yield Stage(server, client)


async def test_an_answer_is_held_back_until_a_replica_has_it(stage: Stage) -> None:
    call = stage.run("a")
    await stage.server.until(lambda: len(stage.server.heard) == 3)
    assert stage.server.heard[-1] == WAIT
    stage.say(b":7\r\n")
    assert await stage.heard() == [b"a", b"WAIT"]
    assert not call.done()
    stage.say(b":1\r\n")
    assert await call == 7


async def test_what_is_asked_meanwhile_leaves_together_with_one_wait(stage: Stage) -> None:
    first = stage.run("a")
    await stage.server.until(lambda: len(stage.server.heard) == 3)
    later = [stage.run("b")]
    await asyncio.sleep(0)
    later.append(stage.run("c"))
    assert await stage.heard() == [b"a", b"WAIT"]
    stage.say(b":7\r\n:1\r\n")
    await stage.server.until(lambda: len(stage.server.heard) == 6)
    assert await stage.heard() == [b"a", b"WAIT", b"b", b"c", b"WAIT"]
    stage.say(b":8\r\n:9\r\n:2\r\n")
    assert await asyncio.gather(first, *later) == [7, 8, 9]


async def test_a_plain_command_waits_for_no_replica(stage: Stage) -> None:
    stage.server.answers = echo
    assert await stage.client.command("GET", "a") == b"a"
    assert await stage.heard() == [b"a"]


async def test_too_few_replicas_is_a_failure_and_the_next_call_looks_for_the_server_again(stage: Stage) -> None:
    calls = [stage.run("a"), stage.run("b")]
    await stage.server.until(lambda: len(stage.server.heard) == 4)
    later = stage.run("c")
    stage.say(b":7\r\n-OOM full\r\n:0\r\n")
    with pytest.raises(Unacknowledged, match="0 of 1 replicas acknowledged it in time"):
        await calls[0]
    with pytest.raises(ServerError, match="OOM"):
        await calls[1]
    with pytest.raises(ConnectionError, match="0 of 1 replicas"):
        await later
    stage.server.answers = lambda command: b":1\r\n"
    assert await stage.run("d") == 1
    assert len(stage.server.connections) == 2
    assert (await stage.heard()).count(b"c") == 0


async def test_a_server_that_becomes_a_replica_meanwhile_is_left(stage: Stage) -> None:
    call = stage.run("a")
    await stage.server.until(lambda: len(stage.server.heard) == 3)
    stage.say(b":7\r\n-UNBLOCKED force unblock from blocking operation, instance state changed\r\n")
    with pytest.raises(Unacknowledged, match="UNBLOCKED"):
        await call


async def test_a_script_sent_whole_waits_for_a_replica_too(stage: Stage) -> None:
    call = stage.run("a")
    await stage.server.until(lambda: len(stage.server.heard) == 3)
    stage.say(b"-NOSCRIPT No matching script\r\n:1\r\n")
    await stage.server.until(lambda: len(stage.server.heard) == 5)
    assert [command[0] for command in stage.server.heard[1:]] == [b"EVALSHA", b"WAIT", b"EVAL", b"WAIT"]
    stage.say(b":7\r\n")
    assert not call.done()
    stage.say(b":1\r\n")
    assert await call == 7


async def test_a_cancelled_call_is_still_acknowledged_for_the_others(stage: Stage) -> None:
    gone, stays = stage.run("a"), stage.run("b")
    await stage.server.until(lambda: len(stage.server.heard) == 4)
    gone.cancel()
    stage.say(b":7\r\n:8\r\n:1\r\n")
    assert await stays == 8


async def test_a_replica_that_is_silent_for_too_long_does_not_hold_a_call_beyond_its_deadline(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    hasty = aclosing(OneServer(Server(path=str(path)), deadline_seconds=0.05, replicas=1))
    async with scripted(path) as (server, _), hasty as client:
        server.answers = lambda command: b"" if command[0] == b"WAIT" else b":7\r\n"
        with pytest.raises(TimeoutError):
            await client.call(SCRIPT, ["{sale}:queue"], [])


@pytest.mark.parametrize(
    "words",
    [
        "READONLY You can't write against a read only replica. script: d1ge57, on @user_script:1.",
        "ERR Error running script (call to f_d1ge57): @user_script:23: @user_script: 23: -READONLY You can't write",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "LOADING Redis is loading the dataset in memory",
        "NOREPLICAS Not enough good replicas to write.",
    ],
)
async def test_a_server_that_is_not_in_charge_is_left(stage: Stage, words: str) -> None:
    stage.server.answers = lambda command: b"-%s\r\n" % words.encode()
    with pytest.raises(ServerError, match=words[:5]):
        await stage.run("a")
    stage.server.answers = lambda command: b":1\r\n"
    assert await stage.run("b") == 1
    assert len(stage.server.connections) == 2


async def test_any_other_error_keeps_the_connection(stage: Stage) -> None:
    stage.server.answers = lambda command: b":1\r\n" if command[0] == b"WAIT" else b"-OOM command not allowed\r\n"
    with pytest.raises(ServerError, match="OOM"):
        await stage.run("a")
    stage.server.answers = lambda command: b":1\r\n"
    assert await stage.run("b") == 1
    assert len(stage.server.connections) == 1


def test_every_replica_that_there_was_must_acknowledge() -> None:
    acknowledgement = Acknowledgement(1)
    acknowledgement.connected("a:1")
    assert acknowledgement.heard(1, 1, 0.0)
    acknowledgement.there_are(2)
    assert acknowledgement.required == 2
    assert acknowledgement.heard(1, 1, 0.1), "what was asked before is judged by what was known then"
    assert not acknowledgement.heard(1, 2, 10.0)


def test_when_a_replica_leaves_the_others_are_enough_after_a_while() -> None:
    acknowledgement = Acknowledgement(1)
    acknowledgement.there_are(2)
    assert not acknowledgement.heard(1, 2, 100.0)
    assert not acknowledgement.heard(1, 2, 100.0 + CAUTION_SECONDS - 0.1)
    assert acknowledgement.heard(1, 2, 100.0 + CAUTION_SECONDS)
    assert acknowledgement.required == 1


def test_a_replica_that_stays_and_is_silent_is_not_waited_for_again_until_it_speaks() -> None:
    acknowledgement = Acknowledgement(1)
    acknowledgement.there_are(2)
    acknowledgement.heard(1, 2, 0.0)
    assert acknowledgement.heard(1, 2, CAUTION_SECONDS)
    acknowledgement.there_are(2)
    assert acknowledgement.required == 1
    assert acknowledgement.heard(2, 1, 6.0)
    assert acknowledgement.required == 2


def test_a_replica_that_left_and_comes_back_must_acknowledge_again() -> None:
    acknowledgement = Acknowledgement(1)
    acknowledgement.there_are(2)
    acknowledgement.heard(1, 2, 0.0)
    acknowledgement.there_are(1)
    assert acknowledgement.heard(1, 2, CAUTION_SECONDS)
    acknowledgement.there_are(2)
    assert acknowledgement.required == 2


def test_never_fewer_than_asked_for_are_enough() -> None:
    acknowledgement = Acknowledgement(2)
    assert not acknowledgement.heard(1, 2, 0.0)
    assert not acknowledgement.heard(1, 2, 1_000.0)
    assert acknowledgement.heard(2, 2, 1_001.0)


def test_a_replica_that_comes_back_meanwhile_ends_the_caution() -> None:
    acknowledgement = Acknowledgement(1)
    acknowledgement.there_are(2)
    assert not acknowledgement.heard(1, 2, 0.0)
    assert acknowledgement.heard(2, 2, 1.0)
    assert not acknowledgement.heard(1, 2, 6.0)


def test_another_master_s_replicas_are_counted_anew_and_the_same_one_s_are_not() -> None:
    acknowledgement = Acknowledgement(1)
    acknowledgement.connected("a:1")
    acknowledgement.there_are(3)
    acknowledgement.connected("a:1")
    assert acknowledgement.required == 3
    acknowledgement.connected("b:1")
    assert acknowledgement.required == 1


def test_replicas_are_looked_for_once_a_second_and_at_once_on_another_master() -> None:
    acknowledgement = Acknowledgement(1)
    acknowledgement.connected("a:1")
    assert [acknowledgement.look(now) for now in (50.0, 50.9, 51.0)] == [True, False, True]
    acknowledgement.connected("b:1")
    assert acknowledgement.look(51.1)
