"""Wire: one connection to a Redis or Valkey server, with any number of calls under way.

What is asked in one turn of the event loop leaves in one write. Answers come in the order in which was asked, so an
answer belongs to the oldest call that has none. A call for which nobody waits any more, cancelled or past its deadline,
keeps its place in that order until its answer comes, which is then dropped: no answer ever reaches another's caller.

A wire on which a deadline passed has *stalled*. It gets no new calls (its client opens another), lets those under way
have their own deadlines, and ends when nobody waits for it. Nothing is ever sent twice but a script that the server
said it does not know. Calls need no limit here: whoever calls waits for the answer, a deadline at the longest.

    connecting ──greeted──► open ──a deadline passed──► stalled ──nobody waits──► ended
         └───────────────────┴─── lost, garbage, closed, not in charge ─┴───────────┘

A server that says it is not in charge (a replica, one that loads, one cut off from its replicas) ends the wire, so that
the next call finds who is.

With an `Acknowledgement`, a script is answered only when replicas have what it wrote. One WAIT follows what left in
one write, and what is asked meanwhile leaves together when that one is answered: the more there is to do, the fewer
there are. Too few replicas in time is a failure of those scripts, `Unacknowledged`, and the end of the wire, because a
server whose replicas left may not be in charge any more. They ran; repeating them is for their caller to decide.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from hiredis import HiredisError, Reader, pack_command

from .deadline import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from .acknowledgement import Acknowledgement
    from .server import Destination

Word = str | bytes | int
"""What a command is made of."""

SWEEP_SECONDS: Final = 0.005
"""At least so long between two looks for calls that are due, however many they are."""
ACKNOWLEDGE_SHARE: Final = 0.6
"""How much of the deadline replicas have for their acknowledgement."""
_NOT_IN_CHARGE = re.compile(r"(?:^|: -)(?:READONLY|MASTERDOWN|LOADING|UNBLOCKED|NOREPLICAS)\b")
"""At the start of an error, or, from Redis 6.2, in the middle of what a script says."""
_NOTHING: Final = object()
_packed: Callable[[tuple[Word, ...]], bytes] = pack_command  # type: ignore[assignment]  # its stub knows one word only


class ServerError(Exception):
    """The server answered with an error; its first word is the kind, as in `OOM command not allowed …`.

    What it repeats of a command's arguments is left out: it may be a password or a visitor.
    """

    def __init__(self, words: str) -> None:
        super().__init__(words.partition(", with args beginning with")[0])


class Unacknowledged(ConnectionError):
    """Too few replicas have what was written; a failover may lose it."""


class Call:
    """A command under way. `source` is the script that it runs, for a server that does not know it by its digest.

    `writes`: it is answered only when replicas acknowledged what it wrote.
    """

    __slots__ = ("answer", "due", "packed", "source", "words", "writes")

    def __init__(
        self,
        words: tuple[Word, ...],
        answer: asyncio.Future[Any],
        due: float,
        source: str | None = None,
        *,
        writes: bool,
    ) -> None:
        self.words = words
        self.packed = _packed(words)  # here, so that what cannot be packed is the caller's own error
        self.source = source
        self.writes = writes
        self.answer = answer
        self.due = due


class Wire(asyncio.Protocol):
    """One connection to `server`; it connects by itself. `ended` is told once, when it takes no part any more.

    `acknowledgement` says how many replicas must have what a script wrote before it is answered; without, none.
    """

    def __init__(
        self,
        server: Destination,
        deadline_seconds: float,
        ended: Callable[[Wire], None],
        acknowledgement: Acknowledgement | None = None,
    ) -> None:
        self._server = server
        self._deadline_seconds = deadline_seconds
        self._acknowledgement = acknowledgement
        self._tell_ended = ended
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(replyError=ServerError, notEnoughData=_NOTHING)
        self._alarm = Alarm(deadline_seconds, self._sweep)
        self._unsent: list[Call] = []
        self._asked: deque[Call] = deque()
        self._acknowledging: Call | None = None
        """The WAIT under way, and the answers that it holds back."""
        self._held: list[tuple[Call, Any]] = []
        self._transport: asyncio.Transport | None = None
        self._lost = self._loop.create_future()
        self._greeted = self._flushing = self._stalled = self._over = False
        self._connecting = self._loop.create_task(self._connect())

    @property
    def usable(self) -> bool:
        """Whether new calls may be given to it."""
        return not (self._stalled or self._over)

    def send(
        self, words: tuple[Word, ...], source: str | None = None, *, writes: bool = False, due: float = 0.0
    ) -> asyncio.Future[Any]:
        """Ask. The answer is what the server says, `ServerError`, or OSError (TimeoutError after the deadline).

        The deadline is the wire's own, or `due` by the loop's clock.
        """
        due = due or self._loop.time() + self._deadline_seconds
        call = Call(words, self._loop.create_future(), due, source, writes=writes)
        self._leave(call)
        if due < self._alarm.when:
            self._alarm.set(due)
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
            answers = await asyncio.gather(*map(self._greet, self._server.greeting))
        except (OSError, ValueError, ServerError) as error:  # a host name that is none is a ValueError
            self._end(f"{type(error).__name__}: {error}")
        else:
            if why := self._server.objection(answers):
                self._end(why)
                return
            self._greeted = True
            if self._acknowledgement is not None:
                self._acknowledgement.connected(self._server.address)
            self._flush()

    def _greet(self, words: tuple[Word, ...]) -> asyncio.Future[Any]:
        assert self._transport is not None
        call = Call(words, self._loop.create_future(), self._loop.time() + self._deadline_seconds, writes=False)
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
        if self._acknowledging is not None:
            return
        calls = [call for call in self._unsent if not call.answer.done()]
        self._unsent.clear()
        if calls and self._transport is not None:
            if self._acknowledgement is not None and any(call.writes for call in calls):
                if self._acknowledgement.look(self._loop.time()):
                    calls.insert(0, self._look_for_replicas(self._acknowledgement))
                calls.append(self._wait_for(self._acknowledgement.required))
            self._asked.extend(calls)
            self._transport.write(b"".join([call.packed for call in calls]))

    def _wait_for(self, replicas: int) -> Call:
        """Return the WAIT that holds back what is answered before it. Nobody waits for its own answer."""
        answer = self._loop.create_future()
        answer.cancel()
        longest_ms = max(1, int(self._deadline_seconds * ACKNOWLEDGE_SHARE * 1000))
        self._acknowledging = Call(("WAIT", replicas, longest_ms), answer, 0.0, writes=False)
        return self._acknowledging

    def _look_for_replicas(self, acknowledgement: Acknowledgement) -> Call:
        """Return a ROLE, whose answer tells how many replicas there are."""

        def told(answer: asyncio.Future[Any]) -> None:
            role = None if answer.cancelled() or answer.exception() else answer.result()
            if isinstance(role, list) and role[0] == b"master":
                acknowledgement.there_are(len(role[2]))

        answer = self._loop.create_future()
        answer.add_done_callback(told)
        return Call(("ROLE",), answer, self._loop.time() + self._deadline_seconds, writes=False)

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
        if call is self._acknowledging:
            self._acknowledged(reply)
        elif isinstance(reply, ServerError):
            self._refused(call, reply)
        elif call.writes and self._acknowledging is not None:
            self._held.append((call, reply))
        elif not answer.done():
            answer.set_result(reply)

    def _refused(self, call: Call, error: ServerError) -> None:
        words = str(error)
        if not call.answer.done():
            if call.source is not None and words.startswith("NOSCRIPT"):
                call.packed, call.source = _packed(("EVAL", call.source, *call.words[2:])), None
                self._leave(call)
                return
            call.answer.set_exception(error)
        if _NOT_IN_CHARGE.search(words):
            self._end(words)

    def _acknowledged(self, replicas: Any) -> None:
        """Give out the answers held back, or fail them all."""
        assert self._acknowledgement is not None
        assert self._acknowledging is not None
        wanted = int(self._acknowledging.words[1])
        self._acknowledging = None
        held, self._held = self._held, []
        enough = isinstance(replicas, int) and self._acknowledgement.heard(replicas, wanted, self._loop.time())
        why = "" if enough else f"{replicas} of {wanted} replicas acknowledged it in time"
        for call, reply in held:
            if call.answer.done():
                continue
            if enough:
                call.answer.set_result(reply)
            else:
                call.answer.set_exception(Unacknowledged(f"{self._server}: {why}"))
        if enough:
            self._flush()
        else:
            self._end(why)

    # Ending.

    def _sweep(self, now: float) -> None:
        """Give up the calls that are due."""
        next_due = 0.0
        for call in self._waiting():
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
        for call in self._waiting():
            call.answer.set_exception(ConnectionError(f"{self._server}: {why}"))
        self._asked.clear()
        self._unsent.clear()
        self._held.clear()
        self._tell_ended(self)

    def _waiting(self) -> list[Call]:
        """Return the calls that somebody waits for."""
        calls = chain(self._asked, self._unsent, [call for call, _ in self._held])
        return [call for call in calls if not call.answer.done()]
