"""A gate with a scripted store and a scripted site, asked in-process."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from waitroom.domain.claims import PassClaims, QueueClaims
from waitroom.domain.room import Mode, Room
from waitroom.domain.snapshot import Pulse, Snapshot
from waitroom.domain.visit import Answer, Census, Renewal, Visit
from waitroom.errors import RoomUnknown, StoreUnavailable
from waitroom.gateway.app import build_gate
from waitroom.gateway.captcha import Captcha
from waitroom.gateway.document import Documents
from waitroom.gateway.farewells import Farewells
from waitroom.inquiry import post_form
from waitroom.logs import Log, Sink
from waitroom.metrics import Metrics
from waitroom.settings import GatewaySettings, Settings
from waitroom.store.base import Purpose, RoomRecord
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from waitroom.domain.audit import Author
    from waitroom.domain.message import Message
    from waitroom.domain.sketch import Point
    from waitroom.settings import CaptchaSettings
    from waitroom.store.base import Store

NOW_MS = 1_763_756_603_000
VISITOR = "AAAAAAAAAAAAAAAAAAAAAA"
KEY = "k" * 40
GENERATION = "g1"


class RecordingMetrics(Metrics):
    """The real metrics, which also remember what they were told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Counter[tuple[str, ...]] = Counter()
        self.waits: list[float] = []

    def requests(self, room: str, outcome: str) -> None:
        super().requests(room, outcome)
        self.told["requests", room, outcome] += 1

    def token_rejected(self, kind: str) -> None:
        super().token_rejected(kind)
        self.told["token_rejected", kind] += 1

    def pass_without_store(self, room: str) -> None:
        super().pass_without_store(room)
        self.told["pass_without_store", room] += 1

    def provisional(self, room: str) -> None:
        super().provisional(room)
        self.told["provisional", room] += 1

    def released(self, room: str) -> None:
        super().released(room)
        self.told["released", room] += 1

    def captcha(self, room: str, outcome: str) -> None:
        super().captcha(room, outcome)
        self.told["captcha", outcome] += 1

    def wait_seconds(self, room: str, seconds: float) -> None:
        super().wait_seconds(room, seconds)
        self.waits.append(seconds)


class ScriptedStore:
    """Answers as told; `answer` says what `enter` finds, `away` that nothing answers."""

    def __init__(self, rooms: Mapping[str, Room]) -> None:
        self.rooms = dict(rooms)
        self.clock_ms = NOW_MS
        self.away = False
        self.available = True
        self.answer = Answer.WAITING
        self.score_us = NOW_MS * 1000
        self.position = 7
        self.generation = GENERATION
        self.left_ms = 0
        self.session_ms = 600_000
        self.active = True
        self.counted: Census | None = None
        self.frontier_us = 0
        self.points: tuple[Point, ...] = ()
        self.pulses: tuple[Pulse, ...] = ()
        self.messages: tuple[Message, ...] = ()
        self.calls: list[tuple[Any, ...]] = []

    def now_ms(self) -> int:
        return self.clock_ms

    def record(self, room: str) -> RoomRecord:
        if room not in self.rooms:
            raise RoomUnknown(room)
        return RoomRecord(self.rooms[room], version=1, epoch=1, messages=self.messages)

    def last_census(self, room: str) -> Census | None:
        return self.counted

    async def enter(self, room: str, visitor: str, *, claims: QueueClaims | None, purpose: Purpose) -> Visit:
        self._called("enter", room, visitor, claims, purpose)
        queued = self.answer in {Answer.WAITING, Answer.CALLED, Answer.MISSED}
        score_us = (claims.score_us if claims else self.score_us) if queued else 0
        if self.answer is Answer.ADMITTED and claims is not None:
            score_us = claims.score_us
        return Visit(
            self.answer,
            visitor,
            self.clock_ms,
            self.generation,
            1,
            score_us=score_us,
            position=self.position if self.answer is Answer.WAITING else 0,
            session_end_ms=self.clock_ms + self.session_ms if self.answer is Answer.ADMITTED else 0,
            left_ms=self.left_ms if self.answer in {Answer.CALLED, Answer.MISSED, Answer.ADMITTED} else 0,
        )

    async def count_join(self, room: str, network: str, *, most_a_minute: int) -> int:
        self._called("count_join", room, network, most_a_minute)
        return 0

    async def renew(self, room: str, claims: PassClaims) -> Renewal:
        self._called("renew", room, claims.visitor)
        end_ms = self.clock_ms + self.session_ms if self.active else 0
        return Renewal(self.active, self.clock_ms, self.generation, end_ms)

    async def leave(self, room: str, visitor: str) -> bool:
        self._called("leave", room, visitor)
        return True

    async def release(self, room: str, visitor: str, *, generation: str = "") -> bool:
        self._called("release", room, visitor, generation)
        return self.active

    async def snapshot(self, room: str) -> Snapshot:
        if self.away or self.counted is None:
            raise StoreUnavailable("no answer in 250 ms")
        return Snapshot(self.counted, self.frontier_us, self.points, self.pulses)

    def _called(self, *what: Any) -> None:
        self.calls.append(what)
        if self.away:
            raise StoreUnavailable("no answer in 250 ms")

    def entered(self) -> list[Purpose]:
        """The purposes of all calls of `enter`."""
        return [call[4] for call in self.calls if call[0] == "enter"]

    async def beat(self, room: str) -> Census:
        raise NotImplementedError

    async def census(self, room: str) -> Census:
        raise NotImplementedError

    async def configure(
        self, room: str, live: dict[str, Any], *, expected_version: int | None, author: Author, action: str = "change"
    ) -> RoomRecord:
        raise NotImplementedError

    async def seed(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


@dataclass
class Reply:
    """What a visitor got."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value.decode() for key, value in self.headers if key == name.encode()]

    def one(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies set, by name; an empty value deletes."""
        return {line.partition("=")[0]: line.partition("=")[2].partition(";")[0] for line in self.all("set-cookie")}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What a waiting page tells its script."""
        found = re.search(rb'id="?data"?[^>]*>(.*?)</script>', self.body, re.DOTALL)
        assert found is not None, self.body
        return json.loads(found.group(1))


class Site:
    """What is protected: answers as told, remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/html")]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(dict(scope))
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": b"the shop"})

    def headers_seen(self) -> dict[str, str]:
        """The last request's headers, repeated ones joined."""
        seen: dict[str, str] = {}
        for name, value in self.asked[-1]["headers"]:
            key = name.decode()
            seen[key] = f"{seen[key]} | {value.decode('latin-1')}" if key in seen else value.decode("latin-1")
        return seen


PAGE = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "sec-fetch-site": "none"}
FETCH = {"accept": "*/*", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}


class Front:
    """A gate and all around it."""

    def __init__(
        self,
        *rooms: Room,
        gateway: GatewaySettings | None = None,
        store: Store | None = None,
        new_visitor: Callable[[], str] = lambda: VISITOR,
        captcha: CaptchaSettings | None = None,
    ) -> None:
        rooms = rooms or (Room(name="default"),)
        self.settings = Settings(gateway=gateway or GatewaySettings(), rooms=rooms)
        self.store = ScriptedStore({room.name: room for room in rooms})
        self.documents = Documents(self.store)
        self.tokens = Tokens([KEY])
        self.site = Site()
        self.metrics = RecordingMetrics()
        self.lines: list[str] = []
        self.seconds = 0.0
        """What the CAPTCHA's clock says."""
        log = Log("gateway", Sink(self, style="json"))  # type: ignore[arg-type]
        answering = self.store if store is None else store
        self.farewells = Farewells(answering, self.metrics, log)
        self.gate = build_gate(
            self.settings,
            answering,
            self.documents,
            self.tokens,
            self.site,
            self.metrics,
            log,
            farewells=self.farewells,
            new_visitor=new_visitor,
            new_nonce=lambda: "nonce",
            captcha=None if captcha is None else Captcha(captcha, post_form, self.metrics, log, lambda: self.seconds),
        )

    # A stream for the log.

    closed = False
    written = ""

    def write(self, line: str) -> None:
        self.written += line
        self.lines.append(json.loads(line)["event"])

    def flush(self) -> None:
        pass

    # Proofs.

    def place(self, room: str = "default", *, visitor: str = VISITOR, **changes: Any) -> str:
        """The text of a queue token given a minute ago."""
        known: dict[str, Any] = {"score_us": (NOW_MS - 60_000) * 1000, "epoch": 1, "generation": GENERATION}
        return self.tokens.sign_queue(QueueClaims(room, visitor, **(known | changes)))

    def pass_(self, room: str = "default", *, visitor: str = VISITOR, age_ms: int = 1_000, **changes: Any) -> str:
        """The text of a pass given `age_ms` ago."""
        known: dict[str, Any] = {
            "issued_ms": NOW_MS - age_ms,
            "session_end_ms": NOW_MS - age_ms + 600_000,
            "generation": GENERATION,
        }
        return self.tokens.sign_pass(PassClaims(room, visitor, **(known | changes)))

    # Asking.

    async def ask(
        self,
        target: str = "/",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        cookie: str = "",
        more: tuple[tuple[str, str], ...] = (),
        scheme: str = "http",
        peer: str = "192.0.2.1",
        extensions: dict[str, Any] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """Ask the gate, after a beat; `headers` default to a navigation's."""
        for room in self.store.rooms:
            await self.documents.follow(room, None if self.store.away else self.store.counted)
        path, _, query = target.partition("?")
        lines = {"host": "shop.example"} | dict(PAGE if headers is None else headers)
        if cookie:
            lines["cookie"] = cookie
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in [*lines.items(), *more]]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": pairs,
            "client": (peer, 5_000),
            "server": ("127.0.0.1", 80),
        }
        if extensions is not None:
            scope["extensions"] = extensions
        reply = Reply()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                reply.status, reply.headers = message["status"], list(message["headers"])
            else:
                reply.body += message.get("body", b"")

        await self.gate(scope, receive, send)
        return reply

    def outcomes(self) -> dict[str, int]:
        """What became of the requests so far."""
        return {key[2]: count for key, count in self.metrics.told.items() if key[0] == "requests"}


def census(**changes: Any) -> Census:
    """A room at rest, with `changes`."""
    known: dict[str, Any] = {
        "mode": Mode.ON, "version": 1, "generation": GENERATION, "epoch": 1, "now_ms": NOW_MS, "waiting": 0, "called": 0,
        "missed": 0, "active": 0, "entries": 0, "reserved": 0, "recovering_ms": 0, "missed_share": 0.0, "joined_total": 0,
        "called_total": 0, "admitted_total": 0, "missed_total": 0, "returned_total": 0, "left_total": 0,
        "released_total": 0, "ended_total": 0,
    }  # fmt: skip
    return Census(**(known | changes))
