"""The crowd: what simulated shoppers do, against a scripted site that stands for waiting room and shop."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from waitroom.demo.crowd import LEAVE, ME, QUEUE_COOKIE, Plan, Reason, Stage, Tally, draw_crowd, send_crowd

pytestmark = pytest.mark.anyio

EAGER = Plan(arrives_seconds=0, thinks_seconds=(0.0, 0.0), reload_seconds=0.0)


class ScriptedSite:
    """Answers by a function from (method, path) and how often that was asked to what comes back."""

    def __init__(self, script: Any) -> None:
        self._script = script
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = f"{scope['method']} {scope['path']}"
        self.asked.append(asked)
        status, headers, body = self._script(asked, self.asked.count(asked))
        sized = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": sized})
        await send({"type": "http.response.body", "body": body})


PAGE = (200, [(b"shop-page", b"product")], b"a page")
ERROR = (503, [(b"shop-page", b"overloaded")], b"")
DONE = (200, [(b"shop-page", b"x"), (b"set-cookie", f"{QUEUE_COOKIE}=; Max-Age=0".encode())], b"")
ROOM = (200, [(b"set-cookie", f"{QUEUE_COOKIE}=t; Path=/".encode())], b"please wait")


def me(state: str, **more: Any) -> Any:
    return 200, [], json.dumps({"state": state, "poll_after_seconds": 0.001, **more}).encode()


async def send(
    serve: Any, script: Any, *plans: Plan, limit_seconds: float = 10.0, grace_seconds: float = 10.0
) -> tuple[Tally, list[str]]:
    site = ScriptedSite(script)
    tally = Tally(len(plans))
    async with serve(site) as port:
        await send_crowd(
            list(plans),
            tally,
            host="127.0.0.1",
            port=port,
            limit_seconds=limit_seconds,
            grace_seconds=grace_seconds,
            longest_poll_seconds=0.001,
        )
    return tally, site.asked


def test_the_same_seed_draws_the_same_crowd() -> None:
    assert draw_crowd(random.Random(7), 50, 10) == draw_crowd(random.Random(7), 50, 10)
    assert draw_crowd(random.Random(7), 50, 10) != draw_crowd(random.Random(8), 50, 10)


def test_a_crowd_arrives_in_order_within_its_time_and_holds_every_kind() -> None:
    plans = draw_crowd(random.Random(1), 400, 10)
    arrivals = [plan.arrives_seconds for plan in plans]
    assert len(plans) == 400
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] <= 10
    assert any(plan.patience_seconds and plan.quits_politely for plan in plans)
    assert any(plan.patience_seconds and not plan.quits_politely for plan in plans)
    assert any(plan.closes_when_called for plan in plans)
    assert any(plan.only_looks for plan in plans)
    assert any(plan.wanders_off for plan in plans)


async def test_a_shopper_whom_nobody_stops_browses_and_orders(serve: Any) -> None:
    tally, asked = await send(serve, lambda *_: PAGE, EAGER)
    assert asked == ["GET /", "GET /product", "GET /product", "POST /cart", "POST /order"]
    assert tally.stages[Stage.ORDERED] == tally.arrived == 1
    assert len(tally.waits_seconds) == 1


async def test_a_shopper_in_the_waiting_room_asks_until_called_and_then_navigates(serve: Any) -> None:
    def script(asked: str, times: int) -> Any:
        match asked, times:
            case "GET /", 1:
                return ROOM
            case "GET /", _:
                return DONE
            case s, _ if s == f"GET {ME}":
                return me("waiting") if times < 4 else me("called")
        return PAGE

    tally, asked = await send(serve, script, EAGER)
    assert asked[:6] == ["GET /", *[f"GET {ME}"] * 4, "GET /"]
    assert tally.stages[Stage.ORDERED] == 1


async def test_called_but_still_kept_outside_means_waiting_on(serve: Any) -> None:
    def script(asked: str, times: int) -> Any:
        if asked == "GET /":
            return ROOM if times < 3 else DONE
        return me("called") if asked == f"GET {ME}" else PAGE

    tally, asked = await send(serve, script, EAGER)
    assert asked[:5] == ["GET /", f"GET {ME}", "GET /", f"GET {ME}", "GET /"]
    assert tally.stages[Stage.ORDERED] == 1


async def test_a_form_that_met_the_waiting_room_is_sent_again_only_from_inside(serve: Any) -> None:
    def script(asked: str, times: int) -> Any:
        match asked, times:
            case "POST /cart", 1:
                return 429, ROOM[1], b"{}"
            case "GET /cart", 1:
                return DONE
        return me("called") if asked == f"GET {ME}" else PAGE

    tally, asked = await send(serve, script, EAGER)
    assert asked[3:] == ["POST /cart", f"GET {ME}", "GET /cart", "POST /cart", "POST /order"]
    assert tally.stages[Stage.ORDERED] == 1


async def test_errors_while_waiting_do_not_end_the_wait(serve: Any) -> None:
    def script(asked: str, times: int) -> Any:
        if asked == f"GET {ME}":
            return {1: ERROR, 2: (200, [], b"no json")}.get(times, me("active"))
        return (ROOM if times == 1 else DONE) if asked == "GET /" else PAGE

    tally, _ = await send(serve, script, EAGER)
    assert tally.stages[Stage.ORDERED] == 1
    assert tally.errors_seen == 2


@pytest.mark.parametrize("politely", [True, False])
async def test_whoever_loses_patience_quits_and_perhaps_says_so(serve: Any, politely: bool) -> None:
    plan = Plan(0, (0.0, 0.0), patience_seconds=0.0, quits_politely=politely)
    tally, asked = await send(serve, lambda asked, _: ROOM if asked == "GET /" else me("waiting"), plan)
    assert tally.reasons == Counter({Reason.QUIT_WAITING: 1})
    assert (f"POST {LEAVE}" in asked) is politely
    assert tally.waits_seconds == []


async def test_whoever_closes_the_tab_when_called_never_claims(serve: Any) -> None:
    def script(asked: str, times: int) -> Any:
        return ROOM if asked == "GET /" else me("called")

    tally, asked = await send(serve, script, Plan(0, (0.0, 0.0), closes_when_called=True))
    assert asked == ["GET /", f"GET {ME}"]
    assert tally.reasons == Counter({Reason.CLOSED_TAB: 1})


async def test_whoever_only_looks_leaves_and_whoever_wanders_off_just_goes(serve: Any) -> None:
    looks, wanders = Plan(0, (0.0, 0.0), only_looks=True), Plan(0, (0.0, 0.0), wanders_off=True)
    tally, asked = await send(serve, lambda *_: PAGE, looks, wanders)
    assert tally.reasons == Counter({Reason.ONLY_LOOKED: 1, Reason.WANDERED_OFF: 1})
    assert asked.count("POST /leave") == 1
    assert asked.count("POST /cart") == 0


async def test_an_error_page_is_tried_again_and_given_up_at_last(serve: Any) -> None:
    patient = Plan(0, (0.0, 0.0), reloads=3, reload_seconds=0.0)
    tally, asked = await send(serve, lambda asked, times: ERROR if times < 3 else PAGE, patient)
    assert tally.reasons == Counter({Reason.GAVE_UP: 1})
    assert asked == ["GET /"] * 3 + ["GET /product"] * 2
    assert tally.errors_seen == 4


async def test_a_site_that_is_gone_is_given_up_too() -> None:
    tally = Tally(1)
    await send_crowd([EAGER], tally, host="127.0.0.1", port=1, limit_seconds=10)
    assert tally.reasons == Counter({Reason.GAVE_UP: 1})


async def test_when_time_is_up_whoever_waits_goes_home_and_says_so(serve: Any) -> None:
    def script(asked: str, _: int) -> Any:
        return ROOM if asked == "GET /" else me("waiting")

    tally, asked = await send(serve, script, EAGER, EAGER, limit_seconds=0.05)
    assert tally.reasons == Counter({Reason.TIME_UP: 2})
    assert asked.count(f"POST {LEAVE}") == 2


async def test_whoever_still_shops_after_the_grace_is_counted_where_they_are(serve: Any) -> None:
    plans = Plan(0, (60.0, 60.0)), Plan(60, (0.0,))
    for limit_seconds in (0.1, 1, 10):  # in which the first has come in, on a busy machine not at once
        tally, _ = await send(serve, lambda *_: PAGE, *plans, limit_seconds=limit_seconds, grace_seconds=0)
        if tally.waits_seconds:
            break
    assert (tally.stages[Stage.SHOPPING], tally.stages[Stage.COMING]) == (1, 1)
