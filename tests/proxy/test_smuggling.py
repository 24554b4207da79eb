r"""Requests that two readers could take apart differently: a generated table, of which none splits.

Every payload goes to the gateway on a connection of its own, with a victim's request right behind it. The backend's
connections are shared by all of them. Whatever the gateway makes of a payload, the backend must have seen one request
that cannot be read in two ways, or none; the victim gets the victim's answer, or none.

Payloads are built so that the hidden request begins with a junk letter wherever a *right* reader may end the body: an
honest pipelined request is then never taken for a split.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

import pytest
import uvloop

from tests.proxy.messages import Malformed, Message, request_at, responses_in
from tests.proxy.stack import Stack, gateway

PATIENCE_SECONDS = 30.0

# --- the table ---

CODING_LINES = (
    # names
    b"Transfer-Encoding: chunked", b"transfer-encoding: chunked", b"TRANSFER-ENCODING: chunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked", b"Transfer-Encoding:: chunked", b":Transfer-Encoding: chunked",
    b"Transfer_Encoding: chunked", b"Transfer.Encoding: chunked", b"Transfer Encoding: chunked",
    b"Transfer-Encoding\0: chunked", b"\0Transfer-Encoding: chunked", b"Transfer-Encoding\xa0: chunked",
    b"\x0bTransfer-Encoding: chunked", b"Transfer-Encoding\x0b: chunked", b"Transfer-Encoding\r: chunked",
    b"Transfer\xadEncoding: chunked", b"Transfer-Encoding", b"Transfer-Encoding chunked", b"X-Transfer-Encoding: chunked",
    b"Transfer-Encoding;: chunked", b"Transfer-Encoding/: chunked", b'"Transfer-Encoding": chunked',
    # values
    b"Transfer-Encoding:chunked", b"Transfer-Encoding:\tchunked", b"Transfer-Encoding:  chunked  ",
    b"Transfer-Encoding: chunked\t", b"Transfer-Encoding: CHUNKED", b"Transfer-Encoding: chunKed",
    b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding:\x0cchunked", b"Transfer-Encoding: \0chunked",
    b"Transfer-Encoding: chunked\0", b"Transfer-Encoding: chu\0nked", b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: chunked\xa0", b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunkedx", b"Transfer-Encoding: chunk",
    b"Transfer-Encoding: chunked;", b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding:",
    b"Transfer-Encoding: cow", b"Transfer-Encoding: \x7fchunked", b"Transfer-Encoding: chunked\x01",
    b"Transfer-Encoding: \xefchunked", b"Transfer-Encoding: chunked(comment)",
    # lines
    b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding: chunked\r\n identity", b"Transfer-Encoding: x\r\n\tchunked",
    b"Transfer-Encoding:\nchunked", b"Transfer-Encoding\n: chunked", b"Transfer-Encoding: chunked\n",
    b"X-A: b\nTransfer-Encoding: chunked", b"X-A: b\rTransfer-Encoding: chunked",
    b"X-A: b\r\r\nTransfer-Encoding: chunked", b"X-A: b\r\n\rTransfer-Encoding: chunked",
    b"X-A: b\0\r\nTransfer-Encoding: chunked", b"X-A: b\x0bTransfer-Encoding: chunked",
    b"X-A: b\x85Transfer-Encoding: chunked", b"X-A: b\r\n\0Transfer-Encoding: chunked",
    b"X-A: b\xe5\x98\x8a\xe5\x98\x8dTransfer-Encoding: chunked",
    b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Upgrade: h2c\r\nTransfer-Encoding: chunked",
)  # fmt: skip
"""Ways to say, or almost to say, that a body is chunked."""

LENGTH_LINES = (
    b"Content-Length: %d", b"content-length:%d", b"Content-Length: 0%d", b"Content-Length:\t%d", b"Content-Length: %d ",
    b"Content-Length : %d", b"Content-Length\t: %d", b" Content-Length: %d", b"Content_Length: %d", b"Content.Length: %d",
    b"Content Length: %d", b"Content-Length\0: %d", b"Content-Length\xa0: %d", b"Content-Length:: %d",
    b"Content-Length: +%d", b"Content-Length: -%d", b"Content-Length: %d.0", b"Content-Length: %de0",
    b"Content-Length: 0x%x", b"Content-Length: %d,", b"Content-Length: ,%d", b"Content-Length: %d, 0",
    b"Content-Length: 0, %d", b"Content-Length: %d;a", b"Content-Length: %d\0", b"Content-Length: \0%d",
    b"Content-Length: \x0b%d", b"Content-Length: %d\x0c", b"Content-Length: \xa0%d", b"Content-Length: '%d'",
    b"Content-Length: 1_%d", b"Content-Length: 1 %d", b"Content-Length: \xb9%d", b"Content-Length: x%d",
    b"Content-Length:\r\n %d", b"Content-Length:\n%d", b"X-A: b\nContent-Length: %d", b"X-A: b\rContent-Length: %d",
    b"X-A: b\r\r\nContent-Length: %d", b"X-A: b\0\r\nContent-Length: %d", b"Content-Length: %d\r\nContent-Length: 0",
    b"Content-Length: 0\r\nContent-Length: %d", b"Content-Length: %d\r\nContent-Length: %d1",
    b"Content-Length: 18446744073709551616%d", b"Content-Length: 99999999999999999999%d", b"Content-Length:",
    b"Connection: content-length\r\nContent-Length: %d", b"Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: %d",
    b"Expect: x\r\nContent-Length: %d", b"Content-Length: %d\r\nTransfer-Encoding: identity",
)  # fmt: skip
"""Ways to say, or almost to say, how long a body is."""

LAST_CHUNKS = (
    b"0\r\n\r\n", b"00\r\n\r\n", b"0;a=b\r\n\r\n", b"0 \r\n\r\n", b"0\t\r\n\r\n", b" 0\r\n\r\n", b"0\n\n", b"0\r\n\n", b"0\n\r\n",
    b"0\r\r\n\r\n", b"0\r\n\r\r\n", b"0\0\r\n\r\n", b"0x0\r\n\r\n", b"+0\r\n\r\n", b"-0\r\n\r\n", b"0;\n\r\n\r\n", b"0;a\rb\r\n\r\n",
    b'0;a="\r\n\r\n"\r\n\r\n', b"0\r\nX: y\r\n\r\n", b"0\r\nX: y\n\r\n", b"0\r\n X: y\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"0\r\nContent-Length: 40\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\n: y\r\n\r\n", b"\r\n0\r\n\r\n", b"10000000000000000\r\n\r\n",
    b"100000000\r\n\r\n", b"\xb90\r\n\r\n", b"0_0\r\n\r\n", b"G\r\n\r\n",
)  # fmt: skip
"""Ways to say, or almost to say, that no more chunks come."""

CHUNKS = (
    b"1\r\nA\r\n", b"1;a\r\nA\r\n", b'1;a="b"\r\nA\r\n', b"1 \r\nA\r\n", b"1\nA\r\n", b"1\r\nA\n", b"1\r\nA", b"1\r\nAA\r\n", b"1\r\nA\r\r\n",
    b"01\r\nA\r\n", b"0x1\r\nA\r\n", b"+1\r\nA\r\n", b"1\rA\r\n", b"1;\nA\r\n", b"1;\rA\r\n", b"1;a\0\r\nA\r\n", b"1\r\n\r\nA\r\n",
    b"FFFFFFFFFFFFFFFF\r\nA\r\n", b"100000001\r\nA\r\n", b"1_0\r\nA\r\n", b"1 1\r\nA\r\n", b"1,\r\nA\r\n", b"1\x0b\r\nA\r\n",
    b'1;a="\n"\r\nA\r\n',
)  # fmt: skip
"""Chunks, and almost chunks."""

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: shop.test\r\nX-Rest: "
START = b"POST /attack HTTP/1.1\r\nHost: shop.test\r\n"
VICTIM = b"GET /victim HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"


def _lined(template: bytes, length: int) -> bytes:
    places = template.count(b"%")
    return template % ((length,) * places) if places else template


def payloads() -> dict[str, bytes]:
    """The whole table: a name for each payload and its bytes."""
    table: dict[str, bytes] = {}
    chunk = b"%x\r\nx%b\r\n" % (len(HIDDEN) + 1, HIDDEN)
    for line in CODING_LINES:
        # The front believes the length, the backend the coding.
        ended = b"0\r\n\r\n" + HIDDEN
        for order in (b"Content-Length: %d\r\n%b\r\n\r\n%b", b"%b\r\nContent-Length: %d\r\n\r\n%b"):
            parts = (len(ended), line, ended) if order.startswith(b"Content") else (line, len(ended), ended)
            table[f"CL.TE {order[:2]!r} {line!r}"] = START + order % parts
        # The front believes the coding, the backend the length.
        inner = b"%x\r\n" % (len(HIDDEN) + 1)
        table[f"TE.CL {line!r}"] = START + b"%b\r\nContent-Length: %d\r\n\r\n%b0\r\n\r\n" % (line, len(inner), chunk)
        # One of them does not know one of two codings.
        for name, pair in (
            ("TE.TE", b"Transfer-Encoding: chunked\r\n" + line),
            ("TE.TE'", line + b"\r\nTransfer-Encoding: chunked"),
        ):
            table[f"{name} {line!r}"] = START + pair + b"\r\n\r\n" + chunk + b"0\r\n\r\n"
        # One of them sees no body at all.
        table[f"TE.0 {line!r}"] = START + line + b"\r\n\r\n" + chunk + b"0\r\n\r\n"
        table[f"TE.0 1.0 {line!r}"] = START.replace(b"1.1", b"1.0") + line + b"\r\n\r\n" + chunk + b"0\r\n\r\n"
    body = b"x" + HIDDEN
    for line in LENGTH_LINES:
        said = _lined(line, len(body))
        for method in (b"POST", b"GET", b"HEAD", b"OPTIONS"):
            table[f"CL.0 {method.decode()} {line!r}"] = START.replace(b"POST", method) + said + b"\r\n\r\n" + body
        table[f"CL.CL {line!r}"] = START + b"Content-Length: %d\r\n%b\r\n\r\n%b" % (len(body), said, body)
        table[f"0.CL {line!r}"] = START + said + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    for chunks, name in ((CHUNKS, "chunk"), ((b"1\r\nA\r\n" + last for last in LAST_CHUNKS), "last chunk")):
        for piece in chunks:
            rest = b"0\r\n\r\n" if name == "chunk" else b"x" + HIDDEN
            table[f"{name} {piece!r}"] = START + b"Transfer-Encoding: chunked\r\n\r\n" + piece + rest
    return table


TABLE = payloads()

# --- playing ---


@dataclass
class Outcome:
    """What came of one payload."""

    seen: list[Message] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    got: bytes = b""


class StrictBackend:
    """Reads as RFC 9112 has it and answers with the target it read."""

    def __init__(self) -> None:
        self.outcome = Outcome()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        try:
            while more := await reader.read(65_536):
                data += more
                while data:
                    try:
                        message = request_at(data)
                    except Malformed as error:
                        self.outcome.malformed.append(str(error))
                        return
                    if message is None or not message.whole:
                        break
                    self.outcome.seen.append(message)
                    data = data[message.size_bytes :]
                    target = message.start.split(b" ")[1]
                    body = b"" if message.method == b"HEAD" else target
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), body))
        except ConnectionError:
            pass
        finally:
            writer.close()


async def attack(stack: Stack, payload: bytes) -> bytes:
    """Send a payload and the victim's request; all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    got = b""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            writer.write(payload + VICTIM)
            # A payload may leave the gateway waiting for more of its body.
            while more := await asyncio.wait_for(reader.read(65_536), 0.1):
                got += more
    except (TimeoutError, ConnectionError):
        pass
    writer.transport.abort()
    return got


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    async def run() -> dict[str, Outcome]:
        found = {}
        backend = StrictBackend()
        server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
        async with gateway(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as stack:
            for name, payload in TABLE.items():
                outcome = backend.outcome = found[name] = Outcome()
                outcome.got = await attack(stack, payload)
                await stack.idle()
        server.close()
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def disguised(message: Message) -> list[bytes]:
    """Fields that some backends read as framing although they are none."""
    framing = {b"contentlength", b"transferencoding"}
    return [
        n
        for n, _ in message.fields
        if re.sub(rb"[^a-z]", b"", n) in framing and n not in {b"content-length", b"transfer-encoding"}
    ]


def test_the_table_is_large_and_has_every_kind() -> None:
    kinds = {name.split(" ")[0] for name in TABLE}
    assert kinds == {"CL.TE", "TE.CL", "TE.TE", "TE.TE'", "TE.0", "CL.0", "CL.CL", "0.CL", "chunk", "last"}
    assert len(TABLE) > 800


def test_no_payload_becomes_two_requests_or_one_that_can_be_read_in_two_ways(outcomes: dict[str, Outcome]) -> None:
    wrong = {}
    for name, outcome in outcomes.items():
        targets = [message.start.split(b" ")[1] for message in outcome.seen]
        fields = [field for message in outcome.seen for field in disguised(message)]
        if outcome.malformed or fields or targets not in ([], [b"/attack"], [b"/attack", b"/victim"]):
            wrong[name] = (targets, fields, outcome.malformed)
    assert wrong == {}


def test_no_answer_reaches_the_wrong_request(outcomes: dict[str, Outcome]) -> None:
    wrong = {}
    for name, outcome in outcomes.items():
        methods = [message.method for message in outcome.seen]
        answers = [message for message in responses_in(outcome.got, methods, ended=True) if message.status == 200]
        expected = [b"" if m.method == b"HEAD" else m.start.split(b" ")[1] for m in outcome.seen]
        if [message.body for message in answers] != expected[: len(answers)]:
            wrong[name] = outcome
    assert wrong == {}


def test_some_payloads_pass_and_most_are_refused(outcomes: dict[str, Outcome]) -> None:
    """Otherwise the table would show nothing."""
    passed = [name for name, outcome in outcomes.items() if outcome.seen]
    refused = [name for name, outcome in outcomes.items() if b"HTTP/1.1 400" in outcome.got]
    assert len(passed) > 50
    assert len(refused) > len(TABLE) / 2
