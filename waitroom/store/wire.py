"""Wire: one connection to a Redis or Valkey server, with any number of calls under way.

What is asked in one turn of the event loop leaves in one write. Answers come in the order in which was asked, so an
answer belongs to the oldest call that has none. A call for which nobody waits any more, cancelled or past its deadline,
keeps its place in that order until its answer comes, which is then dropped: no answer ever reaches another's caller.

A wire on which a deadline passed has *stalled*. It gets no new calls (its client opens another), lets those under way
have their own deadlines, and ends when nobody waits for it. Nothing is ever sent twice but a script that the server
said it does not know. Calls need no limit here: whoever calls waits for the answer, a deadline at the longest.

    connecting ──greeted──► open ──a deadline passed──► stalled ──nobody waits──► ended
         └───────────────────┴──────── lost, garbage, closed ───────┴───────────────┘
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from hiredis import HiredisError, Reader, pack_command

from .deadline import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from .server import Server

Word = str | bytes | int
"""What a command is made of."""

SWEEP_SECONDS: Final = 0.005
"""At least so long between two looks for calls that are due, however many they are."""
_NOTHING: Final = object()
_packed: Callable[[tuple[Word, ...]], bytes] = pack_command  # type: ignore[assignment]  # its stub knows one word only


class ServerError(Exception):
    """The server answered with an error; its first word is the kind, as in `OOM command not allowed …`."""


class Call:
    """A command under way. `source` is the script that it runs, for a server that does not know it by its digest."""

    __slots__ = ("answer", "due", "packed", "source", "words")

    def __init__(self, words: tuple[Word, ...], source: str | None, answer: asyncio.Future[Any], due: float) -> None:
        self.words = words
        self.packed = _packed(words)  # here, so that what cannot be packed is the caller's own error
        self.source = source
        self.answer = answer
        self.due = due


class Wire(asyncio.Protocol):
    """One connection to `server`; it connects by itself. `ended` is told once, when it takes no part any more."""

    def __init__(self, server: Server, deadline_seconds: float, ended: Callable[[Wire], None]) -> None:
        self._server = server
        self._deadline_seconds = deadline_seconds
        self._tell_ended = ended
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(replyError=ServerError, notEnoughData=_NOTHING)
        self._alarm = Alarm(deadline_seconds, self._sweep)
        self._unsent: list[Call] = []
        self._asked: deque[Call] = deque()
        self._transport: asyncio.Transport | None = None
        self._lost = self._loop.create_future()
        self._greeted = self._flushing = self._stalled = self._over = False
        self._connecting = self._loop.create_task(self._connect())

    @property
    def usable(self) -> bool:
        """Whether new calls may be given to it."""
        return not (self._stalled or self._over)

    def send(self, words: tuple[Word, ...], source: str | None = None) -> asyncio.Future[Any]:
        """Ask. The answer is what the server says, `ServerError`, or OSError (TimeoutError after the deadline)."""
        call = Call(words, source, self._loop.create_future(), self._loop.time() + self._deadline_seconds)
        self._leave(call)
        if not self._alarm.is_set:
            self._alarm.set(call.due)
        return call.answer

    async def aclose(self) -> None:
        """End, and return when the socket is closed."""
        self._end("closed by us")
        await asyncio.wait([self._connecting])
        if self._transport is not None:
            await self._lost

    # Asking.

    async def _connect(self) -> None:
        try:
            await self._server.connect(lambda: self)
            await asyncio.gather(*map(self._greet, self._server.greeting))
        except (OSError, ValueError, ServerError) as error:  # a host name that is none is a ValueError
            self._end(f"{type(error).__name__}: {error}")
        else:
            self._greeted = True
            self._flush()

    def _greet(self, words: tuple[Word, ...]) -> asyncio.Future[Any]:
        assert self._transport is not None
        call = Call(words, None, self._loop.create_future(), self._loop.time() + self._deadline_seconds)
        self._asked.append(call)
        self._transport.write(call.packed)
        return call.answer

    def _leave(self, call: Call) -> None:
        """Send `call` with what else is asked in this turn of the loop, or when the server has been greeted."""
        self._unsent.append(call)
        if self._greeted and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        calls = [call for call in self._unsent if not call.answer.done()]
        self._unsent.clear()
        if calls and self._transport is not None:
            self._asked.extend(calls)
            self._transport.write(b"".join([call.packed for call in calls]))

    # Hearing.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._over:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        reader, asked = self._reader, self._asked
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                if not asked:
                    self._end("it answered more than was asked")
                    return
                self._answered(asked.popleft(), reply)
        except HiredisError as error:
            self._end(f"it does not speak the protocol: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_result(None)
        self._end(str(exc or "it closed the connection"))

    def _answered(self, call: Call, reply: Any) -> None:
        answer = call.answer
        if answer.done():
            return
        if not isinstance(reply, ServerError):
            answer.set_result(reply)
        elif call.source is not None and str(reply).startswith("NOSCRIPT"):
            call.packed, call.source = _packed(("EVAL", call.source, *call.words[2:])), None
            self._leave(call)
        else:
            answer.set_exception(reply)

    # Ending.

    def _sweep(self, now: float) -> None:
        """Give up the calls that are due."""
        next_due = 0.0
        for call in chain(self._asked, self._unsent):
            if call.answer.done():
                continue
            if call.due <= now:
                call.answer.set_exception(TimeoutError("no answer in time"))
                self._stalled = True
            elif not next_due or call.due < next_due:
                next_due = call.due
        if next_due:
            self._alarm.set(max(next_due, now + SWEEP_SECONDS))
        elif self._stalled:
            self._end("it stalled")

    def _end(self, why: str) -> None:
        if self._over:
            return
        self._over = True
        self._alarm.clear()
        self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()
        for call in chain(self._asked, self._unsent):
            if not call.answer.done():
                call.answer.set_exception(ConnectionError(f"{self._server}: {why}"))
        self._asked.clear()
        self._unsent.clear()
        self._tell_ended(self)
