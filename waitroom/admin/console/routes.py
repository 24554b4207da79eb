"""The console's pages: rooms, one room, visitors, the log of changes, the report. Every form works without script."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from waitroom.admin.access import must
from waitroom.admin.pages.forms import form
from waitroom.admin.places import BASE
from waitroom.admin.report.lines import told, what
from waitroom.admin.report.moments import ago, clock, moment, wait_words
from waitroom.admin.report.svg import CHARTS, draw
from waitroom.admin.verbs import VERBS, Mistaken, Stale, room_live
from waitroom.domain.access import Role
from waitroom.domain.audit import Author, Source
from waitroom.errors import Refused, VersionConflict, WaitroomError
from waitroom.words.languages import LANGUAGES

from .deeds import FORMS, beside, deed, making, others
from .friction import question
from .live import NOBODY
from .tables import cell, rows

if TYPE_CHECKING:
    from starlette.requests import Request

    from waitroom.admin.pages.rendering import Pages
    from waitroom.admin.verbs import RoomState, Verbs

    from .live import Live

_CHART_MS: Final = {"15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "48h": 172_800_000}
_RECENT_LINES: Final = 12
_JUST_DONE_MS: Final = 60_000
"""A page that is loaded again later says no more that it was done."""
_LOG_LINES: Final = 100
_LANGUAGES: Final = {tag: row.name for tag, row in LANGUAGES.items()}


class Console:
    """The pages over the verbs."""

    def __init__(self, pages: Pages, verbs: Verbs, live: Live) -> None:
        self._pages = pages
        self._verbs = verbs
        self._live = live

    def routes(self) -> list[Route]:
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/live", self.live, methods=["GET"]),
            Route(f"{BASE}/events", self.live, methods=["GET"]),
            Route("/live.json", self.live_once, methods=["GET"]),
            Route("/audit", self.log, methods=["GET"]),
            Route("/rooms", self.make, methods=["POST"]),
            Route("/rooms/{room}", self.room, methods=["GET"]),
            Route("/rooms/{room}/visitors", self.visitor, methods=["GET"]),
            Route("/rooms/{room}/report", self.report, methods=["GET"]),
            *(Route(f"/rooms/{{room}}/do/{name}", self._doing(name), methods=["POST"]) for name in FORMS),
            *(
                Route(f"/rooms/{{room}}/visitors/{verb}", self._to_visitor(verb), methods=["POST"])
                for verb in ("release", "front", "revoke")
            ),
        ]

    # Looking.

    async def home(self, request: Request) -> Response:
        return await self._home(request)

    async def _home(
        self,
        request: Request,
        *,
        status: int = 200,
        wrong: dict[str, str] | None = None,
        typed: dict[str, str] | None = None,
    ) -> Response:
        """`wrong` is what is wrong with each field of the form that makes a room, "" for the whole."""
        caller = must(request, Role.VIEWER)
        document = await self._live.document()
        return self._pages.show(
            "home.html", caller=caller, status=status, rooms=document["rooms"], now_ms=document["now_ms"],
            may_make=caller.may(VERBS["create"].role), wrong=wrong or {}, typed=typed or {},
        )  # fmt: skip

    async def live(self, request: Request) -> Response:
        must(request, Role.VIEWER)
        return await self._live.stream(request)

    async def live_once(self, request: Request) -> Response:
        """Answer what the stream says, for consoles that no stream reaches."""
        must(request, Role.VIEWER)
        return JSONResponse(await self._live.document(), headers={"cache-control": "no-store"})

    async def room(self, request: Request) -> Response:
        return await self._room(request, await self._state(request))

    async def _state(self, request: Request) -> RoomState:
        return await self._verbs.show(request.path_params["room"])

    async def _room(self, request: Request, state: RoomState, *, status: int = 200, **said: Any) -> Response:
        caller = must(request, Role.VIEWER)
        span = request.query_params.get("span", "15m")
        span = span if span in _CHART_MS else "15m"
        now_ms = self._verbs.store.now_ms()
        points, marks, lines = await self._past(state.name, now_ms - _CHART_MS[span], now_ms)
        done = lines[0] if "done" in request.query_params and lines else None
        if done is not None and (done["who"] != caller.who or now_ms - done["at_ms"] > _JUST_DONE_MS):
            done = None
        charts = [
            {"id": chart.id, "title": chart.title, "unit": chart.unit, "svg": draw(chart, points, marks),
             "bridged": chart.bridged, "lines": [asdict(line) for line in chart.lines]}
            for chart in CHARTS
        ]  # fmt: skip
        return self._pages.show(
            "room.html", caller=caller, status=status, state=state, room=state.room,
            now=await room_live(self._verbs, state),
            charts=charts, points=points, rows=rows(points), cell=cell, marks=marks, lines=lines[:_RECENT_LINES],
            span=span, spans=list(_CHART_MS),
            now_ms=now_ms, ago=ago, clock=clock, moment=moment, told=told, what=what, languages=_LANGUAGES, done=done,
            may_operate=caller.may(Role.OPERATOR), may_admin=caller.may(Role.ADMIN), others=others(state.room),
            made=any(room.name == state.name for room in self._verbs.store.made_rooms),
            **({"error": "", "form": "", "typed": {}} | said),
        )  # fmt: skip

    async def _past(
        self, room: str, since_ms: int, until_ms: int
    ) -> tuple[list[dict[str, Any]], list[tuple[int, str]], list[dict[str, Any]]]:
        """Return points, marks of what was done, and the lines of the log, of a time; empty while the store is away."""
        try:
            past = await self._verbs.perform("history", {"since_ms": since_ms, "until_ms": until_ms}, NOBODY, room=room)
            log = await self._verbs.perform("audit", {"room": room, "limit": _LOG_LINES}, NOBODY)
        except WaitroomError:
            return [], [], []
        lines = log["changes"]
        return past["points"], [(line["at_ms"], told(line)) for line in lines if line["at_ms"] >= since_ms], lines

    async def log(self, request: Request) -> Response:
        caller = must(request, Role.VIEWER)
        asked = {name: value for name, value in request.query_params.items() if name in {"room", "cursor"} and value}
        page = await self._verbs.perform("audit", {**asked, "limit": _LOG_LINES}, NOBODY)
        return self._pages.show(
            "audit.html", caller=caller, lines=page["changes"], next=page["next"], room=asked.get("room", ""),
            moment=moment, told=told, rooms=list(self._verbs.names()),
        )  # fmt: skip

    async def report(self, request: Request) -> Response:
        must(request, Role.VIEWER)
        query = {name: value for name, value in request.query_params.items() if name in {"since_ms", "until_ms"}}
        made = await self._verbs.perform("report", query, NOBODY, room=request.path_params["room"])
        headers = {
            "content-disposition": f'attachment; filename="{made.file_name}"', "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }  # fmt: skip
        return Response(made.text, headers=headers, media_type=made.media_type)

    # Doing.

    async def make(self, request: Request) -> Response:
        """Make a room and lead to its page, or tell every mistake beside what was typed."""
        caller = must(request, VERBS["create"].role)
        fields = await form(request)
        author = Author(caller.who, secrets.token_hex(8), Source.CONSOLE, fields.get("reason", "").strip())
        try:
            state = await self._verbs.perform("create", making(fields), author)
        except Mistaken as mistaken:
            return await self._home(request, status=422, wrong=beside(mistaken.mistakes), typed=fields)
        except Refused as refusal:
            return await self._home(request, status=refusal.status, wrong={"name": refusal.public}, typed=fields)
        return RedirectResponse(f"/rooms/{quote(state.name)}", 303, headers={"cache-control": "no-store"})

    def _doing(self, name: str) -> Any:
        async def endpoint(request: Request) -> Response:
            return await self._do(request, name)

        return endpoint

    async def _do(self, request: Request, name: str) -> Response:
        """Do what a form asks, ask back where much is at stake, and say who was faster when somebody was."""
        caller = must(request, VERBS[FORMS[name]].role)
        fields = await form(request)
        state = await self._state(request)
        author = Author(caller.who, secrets.token_hex(8), Source.CONSOLE, fields.get("reason", "").strip())
        try:
            verb, given = deed(name, fields)
            asked = question(verb, given, state, await self._people(state.name, verb, given))
            if asked is not None and fields.get("confirmed") != (state.name if asked.typed else "yes"):
                wrong = "confirmed" in fields
                return self._pages.show(
                    "confirm.html", caller=caller, state=state, form=name, question=asked, fields=fields, wrong=wrong,
                    wait=await self._forecast(state.name, verb, given), wait_words=wait_words,
                )  # fmt: skip
            version = fields.get("version", "")
            await self._verbs.perform(
                verb, given, author, room=state.name,
                expected_version=int(version) if version.isascii() and version.isdigit() else None,
            )  # fmt: skip
        except Stale as stale:
            since = [
                told(line) + f", {ago(self._verbs.store.now_ms() - line['at_ms'])}" for line in map(asdict, stale.since)
            ]
            return self._pages.show(
                "stale.html", caller=caller, status=412, state=await self._state(request), form=name, fields=fields,
                since=since,
            )  # fmt: skip
        except Mistaken as mistaken:
            words = "; ".join(str(mistake) for mistake in mistaken.mistakes)
            return await self._room(request, state, status=422, error=words, form=name, typed=fields)
        except (Refused, VersionConflict) as refusal:
            return await self._room(
                request, state, status=refusal.status, error=refusal.public, form=name, typed=fields
            )
        where = "/" if verb == "remove" else f"/rooms/{quote(state.name)}?done={quote(name)}"
        return RedirectResponse(where, 303, headers={"cache-control": "no-store"})

    async def _people(self, room: str, verb: str, given: dict[str, Any]) -> int:
        return int((await self._forecast(room, verb, given)).get("people", 0))

    async def _forecast(self, room: str, verb: str, given: dict[str, Any]) -> dict[str, Any]:
        try:
            said: dict[str, Any] = await self._verbs.perform(
                "forecast", {"verb": verb, "arguments": given}, NOBODY, room=room
            )
        except Mistaken:
            return {}
        return said

    # Visitors.

    async def visitor(self, request: Request) -> Response:
        return await self._visitor(request, request.query_params.get("code", ""))

    async def _visitor(self, request: Request, code: str, *, status: int = 200, error: str = "") -> Response:
        caller = must(request, Role.VIEWER)
        state, found = await self._state(request), None
        if code:
            asked = {"code": code, "cursor": request.query_params.get("cursor", "")}
            try:
                found = await self._verbs.perform("visitor", asked, NOBODY, room=state.name)
            except Mistaken as mistaken:
                status, error = 422, "; ".join(str(mistake) for mistake in mistaken.mistakes)
        return self._pages.show(
            "visitor.html", caller=caller, status=status, state=state, code=code, found=found, error=error,
            done=request.query_params.get("done", ""), moment=moment, may_operate=caller.may(Role.OPERATOR),
        )  # fmt: skip

    def _to_visitor(self, verb: str) -> Any:
        async def endpoint(request: Request) -> Response:
            caller = must(request, VERBS[verb].role)
            fields = await form(request)
            code, room = fields.get("code", ""), request.path_params["room"]
            author = Author(caller.who, secrets.token_hex(8), Source.CONSOLE, fields.get("reason", "").strip())
            try:
                await self._verbs.perform(verb, {"code": code}, author, room=room)
            except Mistaken as mistaken:
                words = "; ".join(str(mistake) for mistake in mistaken.mistakes)
                return await self._visitor(request, code, status=422, error=words)
            except Refused as refusal:
                return await self._visitor(request, code, status=refusal.status, error=refusal.public)
            where = f"/rooms/{quote(room)}/visitors?code={quote(code)}&done={verb}"
            return RedirectResponse(where, 303, headers={"cache-control": "no-store"})

        return endpoint
