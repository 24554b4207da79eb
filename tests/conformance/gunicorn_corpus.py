r"""gunicorn's request corpus: files of bytes, each a request that must arrive as it was sent, or one that must be refused.

A case of the corpus is `NAME.http`, the bytes with `\r\n` spelt out, beside `NAME.py`, which says what a reader must
make of them: a request, several, or an exception. Cases that change gunicorn's own settings (its leniency,
the PROXY protocol) or exceed its own limits say nothing about another program and are left out. gunicorn lets a request
come without Host, which a proxy refuses; such a one is sent a second time with a Host, so that the rest of it is tried.
"""

from __future__ import annotations

import asyncio
import re
import types
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .fetch import sdist
from .fronts import before
from .results import GATEWAY, NGINX, Outcome, Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAME: Final = "gunicorn's request corpus"
VERSION: Final = "27.0.1"
MEASURE: Final = (
    "Valid requests must reach the backend the same: method, target (in origin form, as RFC 9112 §3.2.2 has it), "
    "end-to-end header fields, body. Invalid ones must be answered 4xx, 501 or 505, or, where bytes lack at the end, "
    "must not arrive."
)
QUIET_SECONDS: Final = 0.6
"""So long without a byte, and an exchange is over."""
HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
PROXYS_OWN: Final = frozenset({"content-length", "expect", "via"})
"""What a proxy may write anew: the framing, and what it has itself answered or added."""
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nbackend: yes\r\ncontent-length: 2\r\n\r\nok"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it must arrive, or as it arrived; header names in lower case."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def end_to_end(self) -> dict[str, list[str]]:
        """Return what a proxy must hand on: values in order, by name."""
        listed = {
            name.strip().lower() for key, value in self.fields if key == "connection" for name in value.split(",")
        } - {"host", "content-length", "cookie", "authorization"}
        found: dict[str, list[str]] = {}
        for name, value in self.fields:
            if name not in HOP_BY_HOP | PROXYS_OWN | listed:
                found.setdefault(name, []).append(value)
        return found


@dataclass(frozen=True, slots=True)
class Case:
    """A file of the corpus; `requests` is empty where it must be refused."""

    name: str
    data: bytes
    valid: bool
    requests: tuple[Request, ...] = ()


@dataclass(slots=True)
class Exchange:
    """What was seen at both ends of one case."""

    arrived: list[Request] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    from_backend: int = 0
    """How many of the answers were the backend's."""


def decode(text: bytes) -> bytes:
    """Return the bytes that a corpus file spells out."""
    text = text.replace(b"\n", b"")
    for spelt, meant in ((b"\\r\\n", b"\r\n"), (b"\\0", b"\0"), (b"\\n", b"\n"), (b"\\t", b"\t")):
        text = text.replace(spelt, meant)
    return re.sub(rb"\\x([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), text)


def _request(row: dict[str, Any]) -> Request:
    fields = tuple((str(name).lower(), str(value)) for name, value in row["headers"])
    body = row["body"]
    return Request(row["method"], row["uri"]["raw"], fields, body.encode("latin-1") if isinstance(body, str) else body)


def read_case(path: Path) -> Case | None:
    """Read a case; None for one that depends on a setting of gunicorn's."""
    source = path.with_suffix(".py").read_text("utf-8")
    if "cfg.set(" in source:
        return None
    scope: dict[str, Any] = {"uri": lambda raw: {"raw": raw, "parts": urlsplit(raw)}}
    scope["cfg"] = types.SimpleNamespace()
    exec(compile(source, path.with_suffix(".py"), "exec"), scope)  # the corpus's own notation
    expected = scope["request"]
    rows = expected if isinstance(expected, list) else [expected]
    if isinstance(expected, type) and expected.__name__.startswith("LimitRequest"):
        return None
    requests = tuple(_request(row) for row in rows if isinstance(row, dict))
    valid = path.parent.name == "valid"
    return Case(f"{path.parent.name}/{path.stem}", decode(path.read_bytes()), valid, requests if valid else ())


def with_host(case: Case) -> Case | None:
    """Return a case with a Host in each request that has none; None where nothing lacks."""
    if case.valid:
        lacking = [request for request in case.requests if "host" not in dict(request.fields)]
        starts = [re.escape(f"{request.method} {request.target} ".encode("latin-1")) for request in lacking]
    else:
        starts = [] if re.search(rb"\nhost[ \t]*:", case.data, re.IGNORECASE) else [rb"\A[^\r\n]* "]
    data = case.data
    for start in starts:
        line = re.compile(start + rb"HTTP/1\.[01]\r\n")
        data = line.sub(lambda found: found[0] + b"Host: corpus.test\r\n", data, count=1)
    return None if data == case.data else Case(f"{case.name} + Host", data, case.valid, case.requests)


def origin_form(target: str) -> str:
    """Return a target as a proxy sends it to an origin server."""
    absolute = re.fullmatch(r"https?://[^/?]*(.*)", target, re.IGNORECASE)
    rest = absolute[1] if absolute else target
    return rest if rest.startswith("/") or not absolute else f"/{rest}"


def unlike(expected: Request, arrived: Request) -> str:
    """Say in what way a request did not arrive as it was sent; nothing when it did."""
    if expected.method != arrived.method:
        return f"method {arrived.method}"
    if origin_form(expected.target) != arrived.target:
        return f"target {arrived.target}"
    wanted, found = expected.end_to_end(), arrived.end_to_end()
    for name, values in wanted.items():
        if found.get(name, []) != values:
            return f"{name}: {found.get(name, 'not there')}"
    if expected.body != arrived.body:
        return f"a body of {len(arrived.body)} bytes, not {len(expected.body)}"
    return ""


def judge(case: Case, seen: Exchange) -> Outcome:
    """Decide whether a case ended as the corpus demands."""
    last = seen.statuses[-1] if seen.statuses else 0
    refusal = next((status for status in seen.statuses if status >= 400), 0)
    if case.valid:
        if refusal:
            return Outcome(ok=False, seen=f"refused {refusal}")
        if len(seen.arrived) != len(case.requests):
            return Outcome(ok=False, seen=f"{len(seen.arrived)} of {len(case.requests)} requests arrived")
        for expected, arrived in zip(case.requests, seen.arrived, strict=True):
            if told := unlike(expected, arrived):
                return Outcome(ok=False, seen=f"arrived with {told}")
        if seen.from_backend != len(case.requests):
            return Outcome(ok=False, seen=f"{seen.from_backend} of {len(case.requests)} answers came back")
        return Outcome(ok=True, seen="arrived")
    if refusal:
        refused = refusal < 500 or refusal in {501, 505}
        first = f"{len(seen.arrived)} arrived, the rest " if seen.arrived else ""
        told = f"{first}{'refused' if refused else 'answered'} {refusal}"
        return Outcome(ok=refused and not seen.arrived, seen=told)
    if seen.from_backend:
        return Outcome(ok=False, seen="forwarded")
    if last:
        return Outcome(ok=False, seen=f"answered {last}")
    return Outcome(ok=not seen.arrived, seen="arrived, unanswered" if seen.arrived else "did not arrive")


async def _read_body(reader: asyncio.StreamReader, fields: tuple[tuple[str, str], ...]) -> bytes:
    values = dict(fields)
    if "chunked" in values.get("transfer-encoding", ""):
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readuntil(b"\r\n")
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return body
    return await reader.readexactly(int(values.get("content-length", "0")))


@asynccontextmanager
async def recorder(arrived: list[Request]) -> AsyncIterator[int]:
    """A backend that answers each whole request and writes it down; its port."""
    writers: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")[:-4]
                first, *lines = head.split("\r\n")
                method, target, _ = first.split(" ", 2)
                fields = tuple(
                    (name.lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)
                )
                body = await _read_body(reader, fields)
                arrived.append(Request(method, target, fields, body))
                writer.write(_ANSWER[:-2] if method == "HEAD" else _ANSWER)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.1)


async def play(case: Case, port: int, arrived: list[Request]) -> Exchange:
    """Send one case and see what comes of it; a client that has sent everything and hears nothing hangs up."""
    arrived.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(case.data)
    answers = b""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(QUIET_SECONDS) as patience:
            while part := await reader.read(65_536):
                answers += part
                if case.valid and answers.count(b"\r\nbackend: yes\r\n") == len(case.requests) == len(arrived):
                    break
                patience.reschedule(asyncio.get_running_loop().time() + QUIET_SECONDS)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    statuses = [int(status) for status in _STATUS.findall(answers) if status != b"100"]
    return Exchange(list(arrived), statuses, answers.count(b"\r\nbackend: yes\r\n"))


async def _at(front: str, cases: list[Case]) -> dict[str, Outcome]:
    arrived: list[Request] = []
    async with recorder(arrived) as backend:
        with before(backend, front) as port:
            return {case.name: judge(case, await play(case, port, arrived)) for case in cases}


def run() -> Result:
    """Send the corpus through both proxies; a bare backend would only measure the recorder."""
    folder = sdist("gunicorn", VERSION) / "tests" / "requests"
    found = [read_case(path) for path in sorted(folder.glob("*valid/*.http"))]
    own = [case for case in found if case is not None]
    cases = [*own, *filter(None, map(with_host, own))]
    result = Result(NAME, VERSION, MEASURE)
    result.measure += (
        f" {len(found) - len(own)} of {len(found)} files depend on gunicorn's own settings or limits: left out. "
    )
    result.measure += f"{len(cases) - len(own)} lack a Host and are sent again with one (`+ Host`)."
    for front in (NGINX, GATEWAY):
        result.outcomes[front] = asyncio.run(_at(front, cases))
    return result
