"""Sites that nobody here wrote answer through the gateway as they do without it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journeys.bulk_site import BLOCK_BYTES, LATE_SECONDS, blocks, bulk_site, digest_of, in_chunk, read_body
from tests.journeys.compare import (
    REFUSED,
    TABLES,
    TO_THE_SITE,
    TO_THE_VISITOR,
    Case,
    Effect,
    Line,
    Reply,
    ask,
    fields_of,
    names_of,
    pass_of,
    read_reply,
    split_head,
    unlike,
)
from tests.journeys.httpbin_cases import CASES
from tests.journeys.memory import forget_peak, memory_bytes
from tests.journeys.stage import HOUR, serving, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

DOCUMENT = Path(__file__).parents[2] / "docs" / "proxying.md"


@contextmanager
def httpbin() -> Iterator[int]:
    """Run httpbin under gunicorn; its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)  # who comes before gunicorn is ready waits
        descriptor = listener.fileno()
        process = subprocess.Popen(
            [
                sys.executable, "-m", "gunicorn", "--bind", f"fd://{descriptor}", "--pythonpath", str(Path(__file__).parent),
                # One request at a time in a process: httpbin draws its bytes from one generator per process.
                "--worker-class", "gthread", "--workers", "2", "--threads", "1",
                "--keep-alive", "30", "--no-control-socket", "--log-level", "warning", "httpbin_app:app",
            ],
            pass_fds=[descriptor],
            start_new_session=True,
        )  # fmt: skip
        try:
            yield listener.getsockname()[1]
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


async def both(case: Case, site: Line, gateway: Line, cookie: str) -> tuple[Reply, Reply]:
    """Ask the site itself and through the gateway, at the same time."""
    bare = case.method == "HEAD"
    direct, through = await asyncio.gather(
        site.ask(case.request(), head_only=bare),
        gateway.ask(case.request(cookie=cookie), head_only=bare),
        return_exceptions=True,
    )
    assert isinstance(direct, Reply), (case, direct)
    assert isinstance(through, Reply), (case, through)
    return direct, through


async def test_httpbin_answers_as_it_does_without_the_gateway(tmp_path: Path) -> None:
    assert len(set(CASES)) == len(CASES) >= 200
    with httpbin() as site_port:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site_port}", **HOUR)
        with serving(config, tmp_path) as running:
            first = Case("GET", "/response-headers?x=1&Cache-Control=public&Expires=0&Set-Cookie=a%3Db")
            direct, through = await asyncio.gather(ask(site_port, first.request()), ask(running.port, first.request()))
            cookie = pass_of(through.fields)
            private = names_of(TO_THE_VISITOR, Effect.ADDED, Effect.REMOVED, Effect.MOVED) | {b"expires"}
            assert [f for f in through.fields if f[0] not in private] == [
                f for f in direct.fields if f[0] not in private
            ]
            assert through.all(b"set-cookie")[0] == b"a=b"
            assert len(through.all(b"set-cookie")) == 2
            assert through.all(b"cache-control") == [b"private, no-cache"]
            assert (through.status, through.body) == (direct.status, direct.body)

            async with Line(site_port) as site, Line(running.port) as gateway:
                found = [
                    (str(case), differences)
                    for case in CASES
                    if (differences := unlike(case, *await both(case, site, gateway, cookie)))
                ]
                assert found == []
                assert gateway.opened < 20

            told = {}
            for refused in REFUSED:
                for request in refused.requests:
                    reply = await ask(running.port, request.replace(b"\r\n", f"\r\ncookie: {cookie}\r\n".encode(), 1))
                    told[request[:60]] = (reply.status, refused.status)
            assert [(request, *pair) for request, pair in told.items() if pair[0] != pair[1]] == []


async def test_the_site_gets_the_fields_as_they_were_sent_and_those_documented_more(tmp_path: Path) -> None:
    sent = Case(
        "GET",
        "/seen",
        (
            "X-First: 1", "Accept: a/b", "x-Twice:  one ", "Accept: c/d", "Cookie: a=b; c", "TE: trailers", "X-Empty:",
            "X-Twice: \xfctwo", "Connection: keep-alive, x-hop", "X-Hop: gone", "Keep-Alive: 5", "Upgrade: h2c",
            "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1", "X_Forwarded_Proto: https", "Waitroom-Visitor: me",
            "Authorization: Bearer x", "Last: yes",
        ),
    )  # fmt: skip
    async with bulk_site() as site_port:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site_port}", **HOUR)
        with serving(config, tmp_path) as running:
            cookie = pass_of((await ask(running.port, Case("GET", "/seen").request())).fields)
            async with Line(site_port) as site, Line(running.port) as gateway:
                direct, through = await both(sent, site, gateway, cookie)
    straight, passed = (
        fields_of(reply.body.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]) for reply in (direct, through)
    )
    apart = names_of(TO_THE_SITE, Effect.ADDED, Effect.REMOVED, Effect.MOVED)
    named_away = {b"x-hop", b"x-real-ip", b"x_forwarded_proto"}
    assert [field for field in passed if field[0] not in apart] == [
        field for field in straight if field[0] not in apart | named_away
    ]
    assert not {name for name, _ in passed} & (names_of(TO_THE_SITE, Effect.REMOVED) | named_away)
    assert passed[0] == (b"host", b"shop.test")
    added = [field for field in passed if field[0] in names_of(TO_THE_SITE, Effect.ADDED)]
    assert [(name, value) for name, value in added if name != b"waitroom-visitor"] == [
        (b"waitroom-room", b"sale"),
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"shop.test"),
        (b"forwarded", b'for=127.0.0.1;host="shop.test";proto=http'),
        (b"via", b"1.1 waitroom"),
    ]
    (visitor,) = (value for name, value in added if name == b"waitroom-visitor")
    assert len(visitor) == 22


BULK_BLOCKS = 1_600  # 100 MiB
FLAT_BYTES = 16 * 1024 * 1024


async def fetch(path: str, port: int, cookie: str, count: int) -> str:
    """Read a large answer, late; its SHA-256."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(Case("GET", f"{path}?{count}").request(cookie=cookie))
        status, fields = split_head(await reader.readuntil(b"\r\n\r\n"))
        assert status == 200
        await asyncio.sleep(LATE_SECONDS)
        return await read_body(reader, fields)
    finally:
        writer.close()


async def upload(framing: str, port: int, cookie: str, count: int) -> str:
    """Send a large body; the SHA-256 that the site made of it."""
    sized = framing == "Content-Length"
    framing += f": {count * BLOCK_BYTES}" if sized else ": chunked"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(Case("POST", "/up", (framing,)).request(cookie=cookie))
        for block in blocks(count):
            writer.write(block if sized else in_chunk(block))
            await writer.drain()
        if not sized:
            writer.write(b"0\r\n\r\n")
        return (await read_reply(reader)).body.decode()
    finally:
        writer.close()


async def test_100_mb_pass_whole_in_flat_memory_though_one_end_is_late(tmp_path: Path) -> None:
    async with bulk_site() as site_port:
        config = write_config(tmp_path, backend=f"http://127.0.0.1:{site_port}", **HOUR)
        with serving(config, tmp_path) as running:
            cookie = pass_of((await ask(running.port, Case("GET", "/seen").request())).fields)
            (worker,) = running.worker_pids()
            grown = {}
            for way, carry in (
                ("down, sized", partial(fetch, "/sized", running.port, cookie)),
                ("down, chunked", partial(fetch, "/chunked", running.port, cookie)),
                ("up, sized", partial(upload, "Content-Length", running.port, cookie)),
                ("up, chunked", partial(upload, "Transfer-Encoding", running.port, cookie)),
            ):
                assert await carry(16) == digest_of(16)  # what is loaded once is loaded
                before = memory_bytes(worker, "VmRSS")
                forget_peak(worker)
                async with asyncio.timeout(180):
                    assert await carry(BULK_BLOCKS) == digest_of(BULK_BLOCKS)
                grown[way] = memory_bytes(worker, "VmHWM") - before
            assert {way: growth for way, growth in grown.items() if growth >= FLAT_BYTES} == {}


ANSWER = Reply(
    200,
    ((b"a", b"1"), (b"set-cookie", b"x"), (b"set-cookie", b"y"), (b"content-length", b"24")),
    b'{"headers": {"Host": "h"}}',
)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ANSWER, status=201),
        replace(ANSWER, interim=(100,)),
        replace(ANSWER, fields=ANSWER.fields[::-1]),
        replace(ANSWER, fields=ANSWER.fields[:2] + ANSWER.fields[3:]),
        replace(ANSWER, fields=((b"a", b"2"), *ANSWER.fields[1:])),
        replace(ANSWER, fields=ANSWER.fields[:3]),
        replace(ANSWER, fields=(*ANSWER.fields, (b"x-new", b""))),
        replace(ANSWER, body=b'{"headers": {"Host": "i"}}'),
        replace(ANSWER, body=b'{"headers": {"Host": "h", "More": ""}}'),
    ],
)
def test_no_other_difference_escapes_the_comparison(changed: Reply) -> None:
    assert unlike(Case("GET", "/get"), ANSWER, ANSWER) == []
    assert unlike(Case("GET", "/get"), ANSWER, changed) != []


@pytest.mark.parametrize("heading", TABLES)
def test_the_differences_are_those_documented(heading: str) -> None:
    section = DOCUMENT.read_text("utf-8").partition(heading + "\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert rows == [row.line() for row in TABLES[heading]]
