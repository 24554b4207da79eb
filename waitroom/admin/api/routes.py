"""Live, ready and metrics for monitoring, the verbs under `/api/v1`, and their description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import waitroom
from waitroom.metrics import CONTENT_TYPE, RoomFigures

from .faces import verb_routes
from .openapi import document
from .problems import no_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from waitroom.admin.verbs import RoomState, Verbs
    from waitroom.metrics import Metrics


class Monitoring:
    """What needs no token."""

    def __init__(self, verbs: Verbs, metrics: Metrics) -> None:
        self._verbs = verbs
        self._metrics = metrics

    def routes(self) -> list[Route]:
        return [
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def live(self, request: Request) -> Response:
        return JSONResponse({"live": True}, headers=no_store())

    async def ready(self, request: Request) -> Response:
        away = [state.name for state in await self._verbs.rooms() if not state.store_available]
        reasons = [f"room {name}: the store does not answer" for name in away]
        return JSONResponse({"ready": not away, "reasons": reasons}, 503 if away else 200, headers=no_store())

    async def metrics(self, request: Request) -> Response:
        states = await self._verbs.rooms()
        text = self._metrics.render(
            [_figures(state) for state in states if state.census is not None and state.store_available],
            store_up=all(state.store_available for state in states),
            version=waitroom.__version__,
        )
        return Response(text, headers=no_store({"content-type": CONTENT_TYPE}))


async def _openapi(request: Request) -> Response:
    return JSONResponse(document(), headers=no_store())


def api_routes(verbs: Verbs, metrics: Metrics, new_identity: Callable[[], str]) -> list[Route]:
    """Return every route of the API and of monitoring.

    `new_identity` gives a change without `Idempotency-Key` an id of its own.
    """
    return [
        *Monitoring(verbs, metrics).routes(),
        Route("/api/v1/openapi.json", _openapi, methods=["GET"]),
        *verb_routes(verbs, new_identity),
    ]


def _figures(state: RoomState) -> RoomFigures:
    census = state.census
    assert census is not None
    return RoomFigures(
        name=state.name,
        mode=census.mode.value,
        rate=state.room.rate_at(census.now_ms),
        capacity=state.room.capacity,
        visitors={
            "waiting": census.waiting, "called": census.called, "missed": census.missed, "active": census.active,
        },
        entries=census.entries,
        reserved=census.reserved,
        recovering_seconds=census.recovering_ms / 1000,
        missed_share=census.missed_share,
        idle_seconds=census.idle_ms / 1000,
        totals={
            "joined": census.joined_total, "called": census.called_total, "admitted": census.admitted_total,
            "missed": census.missed_total, "returned": census.returned_total, "left": census.left_total,
            "released": census.released_total, "ended": census.ended_total,
        },
        pending_gateways=0 if state.uptake is None else len(state.uptake.pending),
    )  # fmt: skip
