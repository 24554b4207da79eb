r"""A case of the wire corpus: read from its file, played against a gateway, and what was seen put in comparable words.

A file is prose, then sections. The prose says which rule the case shows. A section begins with a line `> …` and holds
the bytes of what it names, one line of the message a line of the file:

    > client                        what the client sends; once more: what it sends after it has got something back
    > client leaves                 it closes its side after that
    > backend greets                what the backend sends before it was asked
    > backend sees                  a whole request, as it must reach the backend
    > backend answers at once       what the backend says to its head
    > backend answers               what the backend says to the whole of it
    > backend answers and closes    (or: at once and closes, and resets)
    > client gets                   all that comes back, after which the connection can be used again
    > client gets, and the end      … after which it ends
    > client gets, and a cut        … after which it breaks, so that nobody takes it for whole
    > nginx                         if nginx does something else: what, in the words of `summary`, and why we do not

Every line ends in CR LF, but one that ends in `\` ends there. `\r \n \t \0 \\ \xHH` are bytes, `\{9000*a}` is many, and
`\{forwarding}` stands for the fields that tell the backend who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.proxy.messages import Malformed, Message, request_at, response_at, responses_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

FOLDER = Path(__file__).parent / "wire"
FORWARDING = (
    b"x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: shop.test\r\n"
    b'forwarded: for=127.0.0.1;host="shop.test";proto=http\r\nvia: 1.1 waitroom'
)
PROBE = b"GET /probe HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
PROBE_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nprobe"
PROBE_GOT = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nprobe"

ENDS = {"client gets": "open", "client gets, and the end": "closed", "client gets, and a cut": "cut"}
THEN = {"": "", " and closes": "closes", " and resets": "resets"}


@dataclass
class Turn:
    """A request that the backend must see, and what it does about it."""

    sees: bytes
    at_head: bytes = b""
    at_end: bytes = b""
    then: str = ""
    """`closes` or `resets`, after the last thing said."""
    silent: bool = True


@dataclass
class Case:
    """One file."""

    name: str
    prose: str
    client: list[bytes] = field(default_factory=list)
    leaves: bool = False
    greeting: bytes = b""
    turns: list[Turn] = field(default_factory=list)
    gets: bytes = b""
    end: str = "open"
    nginx: list[str] = field(default_factory=list)
    nginx_why: str = ""

    @property
    def methods(self) -> list[bytes]:
        return [turn.sees.split(b" ")[0] for turn in self.turns]


_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|\{(\d+)\*([^}]*)\}|(\{forwarding\})|(.))", re.DOTALL)
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def decoded(text: str) -> bytes:
    """The bytes that the lines of a section stand for."""

    def one(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes([int(match[1], 16)])
        if match[2]:
            return match[3] * int(match[2])
        return FORWARDING if match[4] else _PLAIN[match[5]]

    said = b""
    for line in text.splitlines():
        raw = line.encode("ascii")
        bare = len(raw) - len(raw.rstrip(b"\\"))
        ended = bare % 2 == 0
        said += _ESCAPE.sub(one, raw if ended else raw[:-1]) + (b"\r\n" if ended else b"")
    return said


def read_case(path: Path) -> Case:
    """The case in a file; raises ValueError for a section that is none."""
    prose, *sections = re.split(r"^> ", path.read_text("ascii"), flags=re.MULTILINE)
    case = Case(path.stem, prose.strip())
    for section in sections:
        title, _, text = section.partition("\n")
        if title == "nginx":
            facts, _, why = text.strip().partition("\n\n")
            case.nginx, case.nginx_why = facts.splitlines(), why.strip()
            continue
        said = decoded(text)
        if title == "client":
            case.client.append(said)
        elif title == "client leaves":
            case.leaves = True
        elif title == "backend greets":
            case.greeting = said
        elif title == "backend sees":
            case.turns.append(Turn(said))
        elif title in ENDS:
            case.gets, case.end = said, ENDS[title]
        elif (match := re.fullmatch(r"backend answers( at once)?( and \w+)?", title)) is not None:
            turn = case.turns[-1]
            turn.then, turn.silent = THEN[match[2] or ""], False
            if match[1]:
                turn.at_head = said
            else:
                turn.at_end = said
        else:
            raise ValueError(f"{path.name}: no section is called {title!r}")
    return case


def read_corpus() -> list[Case]:
    return [read_case(path) for path in sorted(FOLDER.glob("*.case"))]


# --- playing ---


@dataclass
class Played:
    """What was seen at both ends, in bytes."""

    saw: list[bytes]
    """By connection, less probes."""
    got: bytes
    end: str
    methods: list[bytes]
    """Of what the backend saw."""


class PlayedBackend:
    """Answers request after request as the turns of a case say, on whichever connection they come."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._turns = list(case.turns)
        self.saw: list[bytearray] = []
        self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What `start_server` calls."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        saw = bytearray()
        self.saw.append(saw)
        data = b""
        turn: Turn | None = None
        probe = ended = False
        try:
            if len(self.saw) == 1:
                writer.write(self._case.greeting)
            while more := await reader.read(65_536):
                data += more
                while data and (message := _peek(data)) is not None:
                    if turn is None and not probe:
                        probe = message.start.startswith(b"GET /probe ")
                        if not probe:
                            turn = self._turns.pop(0) if self._turns else Turn(b"", at_end=UNEXPECTED)
                            writer.write(turn.at_head)
                            if turn.then and not turn.at_end and turn.at_head:
                                ended = _end(writer, turn.then)
                    if not message.whole:
                        break
                    if probe:
                        if not ended:
                            writer.write(PROBE_ANSWER)
                    elif turn is not None:
                        saw += data[: message.size_bytes]
                        writer.write(turn.at_end)
                        if turn.then and (turn.at_end or not turn.at_head):
                            ended = _end(writer, turn.then)
                    data = data[message.size_bytes :]
                    turn, probe = None, False
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            saw += data
            writer.close()
            self.open -= 1


UNEXPECTED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
"""What backends say to a request that should not have come."""


def _peek(data: bytes) -> Message | None:
    """The request that has begun; what is none, but has the shape of one, is taken for one as backends would."""
    try:
        return request_at(data)
    except Malformed:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        start = b"malformed " + data.partition(b"\r\n")[0]
        return Message(start, (), b"", "none", whole=True, size_bytes=end + 4)


def _end(writer: asyncio.StreamWriter, how: str) -> bool:
    if how == "resets":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        writer.write_eof()
    return True


async def play(
    case: Case,
    backend: PlayedBackend,
    connect: Connect,
    *,
    patience_seconds: float,
    bytewise: bool = False,
) -> Played:
    """Be the client of a case, in front of a gateway that `connect` leads to."""
    client = _Client(case, *await connect())
    try:
        async with asyncio.timeout(patience_seconds):
            for number, part in enumerate(case.client):
                if number:
                    heard = len(client.got)
                    await client.listen(lambda heard=heard: len(client.got) > heard)  # type: ignore[misc]
                await client.say(part, bytewise=bytewise)
            if case.leaves:
                client.writer.write_eof()
            await client.listen(client.has_all)
            if not (client.ended or case.leaves):
                await client.probe()
            await client.listen(lambda: False)
    except TimeoutError:
        client.end = "open" if client.finals() else "silent"
    finally:
        await client.hang_up()
    if client.end == "closed" and any(not m.whole for m in responses_in_parts(client.got, case.methods, ended=True)):
        client.end = "cut"
    saw = [bytes(one) for one in backend.saw if one]
    methods = [message.method for one in saw for message in _requests(one)]
    return Played(saw, bytes(client.got), client.end, methods)


class _Client:
    """The visitor's end of the connection."""

    def __init__(self, case: Case, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._case = case
        self._reader = reader
        self.writer = writer
        self.got = bytearray()
        self.end = ""
        self._probed_at: int | None = None
        self._expected = len([m for m in responses_in_parts(case.gets, case.methods) if m.status >= 200])

    @property
    def ended(self) -> bool:
        return self.end != ""

    async def say(self, part: bytes, *, bytewise: bool) -> None:
        for at in range(len(part)) if bytewise else ():
            if self.writer.transport.is_closing():
                break
            self.writer.write(part[at : at + 1])
            await asyncio.sleep(0)
        if not bytewise:
            self.writer.write(part)

    async def listen(self, enough: Callable[[], bool]) -> None:
        """Until there is enough or the connection has ended."""
        while not (self.ended or enough()):
            try:
                more = await self._reader.read(65_536)
            except ConnectionError:
                self.end = "cut" if self._probed_at is None else "closed"
                return
            if not more:
                self.end = "closed"
                self._take_off_probe()
            self.got += more

    def has_all(self) -> bool:
        """Whether as many answers are here as ours has; of ours, all of it."""
        if len(self.got) < len(self._case.gets) and self._case.gets.startswith(self.got):
            return False
        return self.finals() >= self._expected > 0

    def finals(self) -> int:
        return len([m for m in responses_in_parts(self.got, self._case.methods) if m.whole and m.status >= 200])

    async def probe(self) -> None:
        """Ask once more, to see whether the connection can still be used."""
        self._probed_at = len(self.got)
        if not self.writer.transport.is_closing():
            self.writer.write(PROBE)

    def _take_off_probe(self) -> None:
        if self._probed_at is not None and self.got.endswith(b"\r\n\r\nprobe"):
            at = self.got.rfind(b"HTTP/1.1 200", self._probed_at)
            if at >= 0:
                del self.got[at:]
                self.end = "open"

    async def hang_up(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def _requests(data: bytes) -> list[Message]:
    found = []
    while data and (message := _peek(data)) is not None:
        found.append(message)
        data = data[message.size_bytes :]
    return found


def responses_in_parts(data: bytes | bytearray, methods: list[bytes], *, ended: bool = False) -> list[Message]:
    """As `responses_in`, of what may not be all yet."""
    found = []
    rest, asked = bytes(data), list(methods)
    with contextlib.suppress(Malformed):
        while rest and (message := response_at(rest, asked[0] if asked else b"GET", ended=ended)) is not None:
            found.append(message)
            if message.status >= 200:
                asked = asked[1:]
            rest = rest[message.size_bytes :]
            if message.status == 101:
                break
    return found


# --- comparing ---

_OURS_IN_REQUESTS = {
    b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"forwarded", b"via", b"connection",
    b"content-length", b"transfer-encoding",
}  # fmt: skip
_OURS_IN_ANSWERS = {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"date", b"server"}


def summary(case: Case, played: Played) -> list[str]:
    """What the backend saw and the client got, in a line each."""
    # Of a request that never was whole, it depends on the moment how much the backend has seen.
    requests = [message for message in _all_requests(played) if message.whole or case.turns]
    sees = [f"{_text(m.start)}{_size(m)}" for m in requests] or ["nothing"]
    answers = _answers(case, played)
    says = [f"{m.status}{'' if _own(case, m) else _size(m)}" for m in answers]
    says = says or ["malformed" if played.got else "nothing"]
    return [f"sees {', '.join(sees)}", f"says {', '.join(says)}; {played.end}"]


def differences(case: Case, ours: Played, theirs: Played) -> list[str]:
    """What is not the same in what both passed on, beside the numbers in `summary`."""
    lines = []
    pairs = zip(_all_requests(ours), _all_requests(theirs), strict=False)
    names = {name for a, b in pairs for name in _unlike(a, b, _OURS_IN_REQUESTS)}
    if names:
        lines.append(f"request: {', '.join(sorted(names))}")
    names = set()
    for a, b in zip(_answers(case, ours), _answers(case, theirs), strict=False):
        if a.status == b.status and not (_own(case, a) or _own(case, b)):
            names |= _unlike(a, b, _OURS_IN_ANSWERS)
    if names:
        lines.append(f"answer: {', '.join(sorted(names))}")
    return lines


def _all_requests(played: Played) -> list[Message]:
    return [message for one in played.saw for message in _requests(one)]


def _answers(case: Case, played: Played) -> list[Message]:
    with contextlib.suppress(Malformed):
        return responses_in(played.got, played.methods, ended=played.end == "closed")
    return []


def _own(case: Case, message: Message) -> bool:
    """Whether the gateway said it, not the backend."""
    said = b"".join(turn.at_head + turn.at_end for turn in case.turns)
    return b" %d " % message.status not in said


def _unlike(ours: Message, theirs: Message, but: set[bytes]) -> set[str]:
    names = set()
    if ours.body != theirs.body:
        names.add("body")
    a, b = Counter(ours.fields), Counter(theirs.fields)
    names |= {name.decode() for name, _ in (a - b) + (b - a) if name not in but}
    return names


def _text(line: bytes) -> str:
    shown = line.removesuffix(b" HTTP/1.1").decode("ascii", "backslashreplace")
    return shown if len(shown) < 60 else f"{shown[:20]}... ({len(line)} bytes)"


def _size(message: Message) -> str:
    if message.framing == "none":
        return ""
    return f" +{len(message.body)}{'' if message.whole else '...'}"
