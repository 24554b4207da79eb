"""One connection for all calls: each gets its own answer or its own failure, whatever happens to the others."""

from __future__ import annotations

import asyncio
import contextlib
import math
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.scripted import Scripted, echo, scripted, text
from waitroom.store.client import OneServer
from waitroom.store.scripts import Script
from waitroom.store.server import Server
from waitroom.store.wire import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

pytestmark = pytest.mark.anyio

SCRIPT = Script("look", "return 1", ("queue",), "d1ge57")
ECHO_SCRIPT = Script("echo", "return {ARGV[1], #ARGV[2]}", ("queue",), "never-known")


class Stage:
    """A scripted server, and a client of it whose deadline is short enough to wait for."""

    def __init__(self, server: Scripted, path: Path) -> None:
        self.server = server
        self.path = path
        self.clients: list[OneServer] = []

    def client(self, deadline_seconds: float = 5.0, **server: Any) -> OneServer:
        client = OneServer(Server(path=str(self.path), **server), deadline_seconds=deadline_seconds)
        self.clients.append(client)
        return client


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    path = tmp_path / "server.sock"
    async with scripted(path) as (server, _):
        stage = Stage(server, path)
        yield stage
        for client in stage.clients:
            await client.aclose()


async def outcome(call: Awaitable[Any]) -> Any:
    """What a call came to: its answer, or the class of what it failed with."""
    try:
        return await call
    except (OSError, ServerError) as error:
        return type(error)


async def opened(stage: Stage, client: OneServer) -> None:
    """Let the client connect; the server has heard one command more."""
    stage.server.answers = echo
    assert await client.command("ECHO", "hello") == b"hello"
    stage.server.answers = None


async def test_what_is_asked_in_one_turn_leaves_in_one_write(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    stage.server.answers = echo
    answers = await asyncio.gather(*(client.command("ECHO", str(i)) for i in range(100)))
    assert answers == [str(i).encode() for i in range(100)]
    (connection,) = stage.server.connections
    assert connection.chunks == 2


async def test_calls_before_the_connection_stands_wait_for_it_on_one_connection(stage: Stage) -> None:
    client = stage.client()
    stage.server.answers = echo
    assert await asyncio.gather(*(client.command("ECHO", str(i)) for i in range(3))) == [b"0", b"1", b"2"]
    assert len(stage.server.connections) == 1


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, 7, 11])
async def test_an_answer_in_pieces_is_the_same_answer(stage: Stage, piece_bytes: int) -> None:
    client = stage.client()
    await opened(stage, client)
    first, second = client.command("GET", "a"), client.command("GET", "b")
    await stage.server.until(lambda: len(stage.server.heard) == 3)
    answer = b"*3\r\n" + text("one") + b":2\r\n$-1\r\n" + text("three")
    for at in range(0, len(answer), piece_bytes):
        stage.server.connections[0].say(answer[at : at + piece_bytes])
        await asyncio.sleep(0)
    assert (await first, await second) == ([b"one", 2, None], b"three")


async def test_a_cancelled_call_leaves_its_answer_to_nobody(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    tasks = [asyncio.create_task(outcome(client.command("ECHO", str(i)))) for i in range(3)]
    await stage.server.until(lambda: len(stage.server.heard) == 4)
    tasks[1].cancel()
    stage.server.connections[0].say(text("0") + text("1") + text("2"))
    first, cancelled, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, third) == (b"0", b"2")
    assert isinstance(cancelled, asyncio.CancelledError)


async def test_a_call_cancelled_before_it_left_is_never_sent(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    stage.server.answers = echo
    never = client.command("ECHO", "never")
    never.cancel()
    assert await client.command("ECHO", "sent") == b"sent"
    assert [command[-1] for command in stage.server.heard] == [b"hello", b"sent"]


async def test_a_silent_server_is_given_up_at_the_deadline(stage: Stage) -> None:
    client = stage.client(deadline_seconds=0.05)
    await opened(stage, client)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        await client.command("GET", "a")
    assert loop.time() - began >= 0.05


async def test_after_a_stall_calls_go_over_another_connection_and_a_late_answer_to_nobody(stage: Stage) -> None:
    client = stage.client(deadline_seconds=0.05)
    await opened(stage, client)
    assert await outcome(client.command("ECHO", "late")) is TimeoutError
    stage.server.answers = echo
    after = client.command("ECHO", "after")
    stage.server.connections[0].say(text("late"))
    assert await after == b"after"
    assert [len(connection.heard) for connection in stage.server.connections] == [2, 1]


async def test_who_asked_later_on_a_stalled_connection_has_the_whole_deadline(stage: Stage) -> None:
    client = stage.client(deadline_seconds=0.05)
    await opened(stage, client)
    first = asyncio.create_task(outcome(client.command("ECHO", "first")))
    await stage.server.until(lambda: len(stage.server.heard) == 2)
    assert client._wire is not None
    # So much later that the deadline of the first, put off while this machine was busy, does not reach it.
    second = client._wire.send(("ECHO", "second"), due=asyncio.get_running_loop().time() + 60)
    assert await first is TimeoutError
    stage.server.connections[0].say(text("first") + text("second"))
    assert await second == b"second"


async def test_a_stalled_connection_is_closed_when_nobody_waits_for_it(stage: Stage) -> None:
    client = stage.client(deadline_seconds=0.05)
    await opened(stage, client)
    assert await asyncio.gather(*(outcome(client.command("ECHO", str(i))) for i in range(5))) == [TimeoutError] * 5
    async with asyncio.timeout(30):
        await stage.server.connections[0].closed


async def test_a_cancelled_call_that_is_never_answered_is_no_stall(stage: Stage) -> None:
    client = stage.client(deadline_seconds=0.05)
    await opened(stage, client)
    cancelled = client.command("ECHO", "cancelled")
    await stage.server.until(lambda: len(stage.server.heard) == 2)
    cancelled.cancel()
    async with asyncio.timeout(30):  # until the deadline has passed
        while client._wire and client._wire._alarm.when < math.inf:
            await asyncio.sleep(0)
    second = client.command("ECHO", "second")
    await stage.server.until(lambda: len(stage.server.heard) == 3)
    stage.server.connections[0].say(text("cancelled") + text("second"))
    assert await second == b"second"


async def test_a_lost_connection_fails_every_call_under_way_and_repeats_none(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    calls = [asyncio.create_task(outcome(client.command("INCR", str(i)))) for i in range(3)]
    await stage.server.until(lambda: len(stage.server.heard) == 4)
    stage.server.connections[0].say(b":1\r\n:")  # the second answer is cut off
    stage.server.connections[0].hang_up()
    assert await asyncio.gather(*calls) == [1, ConnectionError, ConnectionError]
    stage.server.answers = echo
    assert await client.command("ECHO", "again") == b"again"
    assert [command[1] for command in stage.server.heard] == [b"hello", b"0", b"1", b"2", b"again"]


async def test_an_answer_cut_off_at_any_byte_fails_the_calls_it_left_out_and_reaches_no_later_one(stage: Stage) -> None:
    client = stage.client()
    answers = text("one") + b"*2\r\n:7\r\n$-1\r\n"
    for size in range(len(answers)):
        await opened(stage, client)
        connection = stage.server.connections[-1]
        heard = len(connection.heard)
        calls = [asyncio.create_task(outcome(client.command("GET", name))) for name in "ab"]
        await stage.server.until(lambda: len(connection.heard) == heard + 2)  # noqa: B023
        connection.say(answers[:size])
        connection.hang_up()
        first = b"one" if size >= len(text("one")) else ConnectionError
        assert await asyncio.gather(*calls) == [first, ConnectionError], size


async def test_a_connection_lost_while_idle_costs_no_call(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    stage.server.connections[0].hang_up()
    while client._wire and client._wire.usable:
        await asyncio.sleep(0)
    stage.server.answers = echo
    assert await client.command("ECHO", "again") == b"again"


async def test_an_error_is_the_one_call_s_own(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    full, fine = client.command("SET", "a", 1), client.command("GET", "a")
    await stage.server.until(lambda: len(stage.server.heard) == 3)
    stage.server.connections[0].say(b"-OOM command not allowed\r\n$-1\r\n")
    with pytest.raises(ServerError, match="OOM command not allowed"):
        await full
    assert await fine is None


async def test_what_cannot_be_said_is_the_caller_s_error_and_nobody_else_s(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    stage.server.answers = echo
    before = client.command("ECHO", "before")
    with pytest.raises(TypeError):
        client.command("ECHO", None)  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        client.command("ECHO", "\ud800")
    after = client.command("ECHO", "after")
    assert (await before, await after) == (b"before", b"after")


async def test_a_script_that_the_server_does_not_know_is_sent_whole_once(stage: Stage) -> None:
    client = stage.client()
    stage.server.answers = lambda command: (
        b"-NOSCRIPT No matching script\r\n" if command[0] == b"EVALSHA" else b":7\r\n"
    )
    assert await client.call(SCRIPT, ["{sale}:queue"], ["ada", 3]) == 7
    assert stage.server.heard == [
        [b"EVALSHA", b"d1ge57", b"1", b"{sale}:queue", b"ada", b"3"],
        [b"EVAL", b"return 1", b"1", b"{sale}:queue", b"ada", b"3"],
    ]


async def test_a_server_that_never_knows_the_script_is_an_error(stage: Stage) -> None:
    client = stage.client()
    stage.server.answers = lambda _: b"-NOSCRIPT No matching script\r\n"
    with pytest.raises(ServerError, match="NOSCRIPT"):
        await client.call(SCRIPT, ["{sale}:queue"], [])
    assert len(stage.server.heard) == 2


@pytest.mark.parametrize("garbage", [b":1\r\n:2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$x\r\n"])
async def test_an_answer_that_nobody_asked_for_ends_the_connection(stage: Stage, garbage: bytes) -> None:
    client = stage.client()
    await opened(stage, client)
    call = client.command("GET", "a")
    await stage.server.until(lambda: len(stage.server.heard) == 2)
    stage.server.connections[0].say(garbage)
    assert await outcome(call) in {1, ConnectionError}
    async with asyncio.timeout(30):
        await stage.server.connections[0].closed
    stage.server.answers = echo
    assert await client.command("ECHO", "again") == b"again"


async def test_the_greeting_says_who_and_where_before_anything_else(stage: Stage) -> None:
    client = stage.client(username="ada", password="pa ss", db=3)
    await opened(stage, client)
    assert stage.server.greeted == [
        [b"AUTH", b"ada", b"pa ss"],
        [b"SELECT", b"3"],
        [b"CLIENT", b"SETNAME", b"waitroom"],
    ]


async def test_a_password_alone_is_the_default_user_s(stage: Stage) -> None:
    await opened(stage, stage.client(password="pa ss"))
    assert stage.server.greeted[0] == [b"AUTH", b"pa ss"]


@pytest.mark.parametrize("refused", [b"AUTH", b"SELECT", b"CLIENT"])
async def test_a_refused_greeting_fails_the_calls_and_sends_none(stage: Stage, refused: bytes) -> None:
    client = stage.client(password="pa ss", db=3)
    stage.server.refuses[refused] = b"-WRONGPASS no such user\r\n"
    with pytest.raises(ConnectionError, match=r"the store at .*server.sock: .*WRONGPASS no such user") as told:
        await client.command("GET", "a")
    assert "pa ss" not in str(told.value)
    assert stage.server.heard == []


async def test_a_server_that_repeats_the_password_in_its_error_is_not_quoted(stage: Stage) -> None:
    client = stage.client(username="ada", password="pass")
    stage.server.refuses[b"AUTH"] = b"-ERR unknown command 'AUTH', with args beginning with: 'ada' 'pass' \r\n"
    with pytest.raises(ConnectionError, match=r"unknown command 'AUTH'$") as told:
        await client.command("GET", "a")
    assert "pass" not in str(told.value)


async def test_nothing_is_sent_to_a_server_that_does_not_greet_back(stage: Stage) -> None:
    client = stage.client(deadline_seconds=0.05)
    stage.server.mute = True
    assert await outcome(client.command("GET", "a")) is TimeoutError
    assert stage.server.heard == []
    stage.server.mute, stage.server.answers = False, echo
    assert await client.command("ECHO", "again") == b"again"


async def test_where_no_server_is_a_call_fails_at_once(tmp_path: Path) -> None:
    async with aclosing(OneServer(Server(path=str(tmp_path / "nobody.sock")), deadline_seconds=5)) as client:
        with pytest.raises(ConnectionError, match=r"the store at .*nobody.sock: FileNotFoundError"):
            await client.command("GET", "a")


async def test_a_host_name_that_is_none_is_a_failure_like_any_other() -> None:
    async with aclosing(OneServer(Server(host="x" * 300), deadline_seconds=5)) as client:
        with pytest.raises(ConnectionError, match="the store at x"):
            await client.command("GET", "a")


async def test_closing_fails_what_is_under_way(stage: Stage) -> None:
    client = stage.client()
    await opened(stage, client)
    call = client.command("GET", "a")
    await client.aclose()
    with pytest.raises(ConnectionError, match="closed by us"):
        await call
    await stage.server.connections[0].closed


async def test_closing_while_it_connects_leaves_nothing(stage: Stage) -> None:
    client = stage.client()
    call = client.command("GET", "a")
    await client.aclose()
    assert await outcome(call) is ConnectionError
    for connection in stage.server.connections:
        await connection.closed


async def test_a_client_that_was_never_asked_closes_too() -> None:
    await OneServer(Server(), deadline_seconds=1).aclose()


@pytest.fixture
async def two_clients(valkey_url: str) -> AsyncIterator[list[OneServer]]:
    """Two clients of a real server."""
    clients = [OneServer(Server(path=valkey_url.removeprefix("unix://")), deadline_seconds=5) for _ in range(2)]
    yield clients
    for client in clients:
        await client.aclose()


async def test_on_a_real_server_no_answer_goes_astray_whatever_is_cancelled_or_killed(
    two_clients: list[OneServer],
) -> None:
    """4,000 echoes, a third of them cancelled at some moment, the connection killed again and again."""
    client, other = two_clients
    wrong: list[Any] = []
    answered = killed = 0

    async def ask(i: int) -> None:
        nonlocal answered
        with contextlib.suppress(OSError):
            answer = await client.call(ECHO_SCRIPT, ["{sale}:x"], [i, "x" * (i % 997)])
            answered += 1
            if answer != [str(i).encode(), i % 997]:
                wrong.append((i, answer))

    for start in range(0, 4_000, 100):
        tasks = [asyncio.create_task(ask(i)) for i in range(start, start + 100)]
        killing = other.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for task in tasks[::3]:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        killed += await killing
        await other.command("SCRIPT", "FLUSH")
    assert wrong == []
    assert answered > 500
    assert killed > 10


async def test_on_a_real_server_a_command_runs_at_most_once(two_clients: list[OneServer]) -> None:
    """Increments, with connections killed meanwhile: none is counted twice."""
    client, other = two_clients
    asked, heard = 0, set[int]()
    for _ in range(60):
        killing = other.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        calls = [client.command("INCR", "n") for _ in range(20)]
        asked += len(calls)
        answers = [answer for answer in await asyncio.gather(*map(outcome, calls)) if isinstance(answer, int)]
        assert heard.isdisjoint(answers)
        heard.update(answers)
        await killing
    assert len(heard) <= int(await other.command("GET", "n")) <= asked
