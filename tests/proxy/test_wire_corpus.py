"""Each file in `wire/` is played against the gateway over real sockets, and against a real nginx."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
import uvloop

from tests.proxy.messages import Message, requests_in
from tests.proxy.stack import gateway
from tests.proxy.wire_case import Case, Played, PlayedBackend, differences, play, read_corpus, summary
from tests.proxy.wire_nginx import MEASURED_WITH, connect, nginx, version
from waitroom.gateway.protocol import ProtocolLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

T = TypeVar("T")

CORPUS = read_corpus()
AT_ONCE = 24
"""Cases that are played at the same time: some wait for a time limit, and none shall wait for the machine."""
BYTEWISE_BYTES = 2_000
"""Cases with more to send are not sent byte by byte as well."""
SILENT = {"broken-silent", "never", "never-post"}
"""Cases of a backend that falls silent; in all others it has the time that the machine takes."""
SILENT_SECONDS = 1.0
UNHURRIED_SECONDS = 60.0
UNHURRIED = ProtocolLimits(
    first_byte_seconds=UNHURRIED_SECONDS,
    header_seconds=UNHURRIED_SECONDS,
    body_grace_seconds=UNHURRIED_SECONDS,
    linger_seconds=UNHURRIED_SECONDS,
)
"""A thousand single bytes take their time on a busy machine."""
BODY_LIMIT_BYTES = 1_000
NGINX_PATIENCE_SECONDS = 3.0

every_case = pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)


def all_played(one: Callable[[int, Case], Awaitable[T]], only: Container[str] | None = None) -> dict[str, T]:
    """Play the whole corpus, or the cases of these names, in one loop."""
    cases = [(number, case) for number, case in enumerate(CORPUS) if only is None or case.name in only]

    async def run() -> dict[str, T]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def limited(number: int, case: Case) -> T:
            async with turn:
                return await one(number, case)

        played = await asyncio.gather(*(limited(number, case) for number, case in cases))
        return {case.name: result for (_, case), result in zip(cases, played, strict=True)}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


async def through_us(case: Case, *, bytewise: bool = False, connections: int = 0) -> tuple[Played, int]:
    """What came of a case, and how many of its requests went the direct way."""
    backend = PlayedBackend(case)
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0, limit=2**20)
    try:
        site = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with gateway(
            site,
            UNHURRIED,
            connections=connections,
            read_timeout_seconds=SILENT_SECONDS if case.name in SILENT else UNHURRIED_SECONDS,
            body_limit_bytes=BODY_LIMIT_BYTES,
        ) as stack:
            played = await play(
                case,
                backend,
                lambda: asyncio.open_connection("127.0.0.1", stack.port, limit=2**20),
                bytewise=bytewise,
                patience_seconds=UNHURRIED_SECONDS,
            )
            return played, stack.direct
    finally:
        server.close()
        await backend.stop()


@pytest.fixture(scope="module")
def whole() -> dict[str, Played]:
    """What came of each case when its bytes were sent as they are."""
    return {name: played for name, (played, _) in all_played(lambda number, case: through_us(case)).items()}


@pytest.fixture(scope="module")
def direct() -> dict[str, tuple[Played, int]]:
    """The same when a connection to the backend stood ready, and how many requests went the direct way for that."""
    # A backend that speaks unasked loses an idle connection, so there is no direct way to it.
    return all_played(lambda number, case: through_us(case, connections=0 if case.greeting else 1))


@pytest.fixture(scope="module")
def bytewise() -> dict[str, Played]:
    """What came of each case when its bytes were sent one by one."""
    played = all_played(lambda number, case: through_us(case, bytewise=sum(map(len, case.client)) < BYTEWISE_BYTES))
    return {name: one for name, (one, _) in played.items()}


def otherwise(case: Case, ours: Played, theirs: Played) -> list[str]:
    """What nginx does, in the words of a case, if that is something else."""
    said, unlike = summary(case, theirs), differences(case, ours, theirs)
    return [*said, *unlike] if unlike or said != summary(case, ours) else []


@pytest.fixture(scope="module")
def through_nginx(whole: dict[str, Played]) -> dict[str, Played]:
    """What came of each case with nginx in our place; what only a slow machine brought about does not come again."""
    here = version()
    if not here.startswith(MEASURED_WITH + "."):
        pytest.skip(f"the corpus tells the ways of nginx {MEASURED_WITH}; this is {here}")
    with tempfile.TemporaryDirectory(prefix="wire-", ignore_cleanup_errors=True) as directory:
        folder = Path(directory)

        async def one(number: int, case: Case) -> Played:
            backend = PlayedBackend(case)
            server = await asyncio.start_unix_server(backend.serve, str(folder / f"b{number}"), limit=2**20)
            try:
                return await play(
                    case,
                    backend,
                    lambda: connect(folder / f"c{number}"),
                    patience_seconds=NGINX_PATIENCE_SECONDS,
                )
            finally:
                server.close()
                await backend.stop()

        with nginx(folder, CORPUS):
            played = all_played(one)
            odd = {case.name for case in CORPUS if otherwise(case, whole[case.name], played[case.name]) != case.nginx}
            return played | all_played(one, odd)


def test_there_are_enough_cases_and_each_says_what_it_shows() -> None:
    assert len(CORPUS) >= 120
    assert [case.name for case in CORPUS if len(case.prose) < 20] == []


def whole_requests(played: Played) -> list[Message]:
    return [message for one in played.saw for message in requests_in(one) if message.whole]


@every_case
def test_backend_and_client_see_these_bytes(case: Case, whole: dict[str, Played]) -> None:
    """Of a body that turns out bad on the way the backend may see the beginning, but never a whole request."""
    played = whole[case.name]
    if case.turns:
        assert b"".join(played.saw) == b"".join(turn.sees for turn in case.turns)
    else:
        assert whole_requests(played) == []
    assert played.got == case.gets
    assert played.end == case.end


@every_case
def test_they_see_the_same_on_the_direct_way(case: Case, direct: dict[str, tuple[Played, int]]) -> None:
    """Whatever of a case does not go that way must be unchanged by it, too."""
    played, _ = direct[case.name]
    if case.turns:
        assert b"".join(played.saw) == b"".join(turn.sees for turn in case.turns)
    else:
        assert whole_requests(played) == []
    assert played.got == case.gets
    assert played.end == case.end


def test_enough_cases_go_the_direct_way(direct: dict[str, tuple[Played, int]]) -> None:
    assert sum(went > 0 for _, went in direct.values()) >= 80


@every_case
def test_they_see_the_same_when_the_client_sends_byte_by_byte(
    case: Case, whole: dict[str, Played], bytewise: dict[str, Played]
) -> None:
    """Only the sizes of chunks may differ."""
    played = bytewise[case.name]
    told = [(message.start, message.fields, message.body) for message in whole_requests(played)]
    assert told == [(message.start, message.fields, message.body) for message in whole_requests(whole[case.name])]
    assert played.got == case.gets
    assert played.end == case.end


@every_case
def test_where_nginx_does_something_else_the_case_says_why(
    case: Case, whole: dict[str, Played], through_nginx: dict[str, Played]
) -> None:
    assert case.nginx == otherwise(case, whole[case.name], through_nginx[case.name])
    assert len(case.nginx_why) > 20 or not case.nginx
