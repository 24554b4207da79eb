"""The work before joining: it cannot be skipped, lessened, lent or spread, and a browser does it by itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from tests.attack.house import QUEUE, Browser
from tests.gateway.front import FETCH, NOW_MS, Front, census
from tests.look.pages import a_browser
from waitroom.domain.room import Room
from waitroom.errors import TokenRejected
from waitroom.gateway.challenge import Kind, Passed
from waitroom.gateway.puzzle import EASIEST, ENDS_AFTER_MS, HARDEST, Puzzles, work
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from tests.attack.house import House

KEYS = [b"a" * 32, b"b" * 32]
JOIN = "/.waitroom/sale/join"


def solve(puzzle: dict[str, Any]) -> dict[str, Any]:
    for number in range(puzzle["maxnumber"] + 1):
        if hashlib.sha256(f"{puzzle['salt']}{number}".encode()).hexdigest() == puzzle["challenge"]:
            return {**puzzle, "number": number}
    raise AssertionError(puzzle)


def written(solution: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(solution).encode()).decode()


def puzzle(most: int = 200, room: str = "sale") -> dict[str, Any]:
    return Puzzles(KEYS, os.urandom).make(room, "v" * 22, NOW_MS, most)


def test_a_solution_makes_the_visitor_of_its_puzzle_until_it_ends() -> None:
    solution = written(solve(puzzle()))
    for keys in (KEYS, KEYS[:1], [b"new" * 12, *KEYS]):
        assert Puzzles(keys, os.urandom).solved_by(solution, "sale", NOW_MS) == Passed("v" * 22, Kind.WORK)
    for room, now_ms, kind in (("vip", NOW_MS, "foreign"), ("sale", NOW_MS + ENDS_AFTER_MS, "expired")):
        with pytest.raises(TokenRejected) as rejection:
            Puzzles(KEYS, os.urandom).solved_by(solution, room, now_ms)
        assert rejection.value.kind == kind
    with pytest.raises(TokenRejected):
        Puzzles(KEYS[1:], os.urandom).solved_by(solution, "sale", NOW_MS)


def test_nothing_in_a_solution_can_be_chosen() -> None:
    """Not the number, the room, the visitor, what it is worth, the end, nor where one field stops and the next begins."""
    solved = solve(puzzle())
    number, salt = solved["number"], solved["salt"]
    digit = str(number)[0]
    forged = [
        {"number": number + 1}, {"number": -1}, {"number": HARDEST + 1}, {"number": str(number)}, {"number": True},
        {"number": float(number)}, {"number": None}, {"signature": "0" * 64}, {"signature": "é"}, {"signature": None},
        {"salt": salt.replace("sale", "vips")}, {"salt": salt.replace("v" * 22, "w" * 22)},
        {"salt": salt.replace("for=work", "for=captcha")}, {"salt": salt.replace("for=work", "for=worth")},
        {"salt": salt.replace("expires=1", "expires=9")}, {"salt": salt[:-1]}, {"salt": salt + digit},
        {"salt": salt[:-1] + digit + "&", "number": int(str(number)[1:] or "0")}, {"salt": salt + "&"}, {"salt": "&" + salt},
        {"salt": salt + digit, "number": int(str(number)[1:] or "0")},
    ]  # fmt: skip
    checks = Puzzles(KEYS, os.urandom)
    for change in forged:
        with pytest.raises(TokenRejected):
            checks.solved_by(written(solved | change), "sale", NOW_MS)
    for text in ("", "=", "e30=", written([]), "A" * 5_000, "[" * 900, "\x00", base64.b64encode(b"[" * 700).decode()):  # type: ignore[arg-type]
        with pytest.raises(TokenRejected):
            checks.solved_by(text, "sale", NOW_MS)
    lessened = written(solved | {"maxnumber": 0, "algorithm": "none"})
    made = checks.solved_by(lessened, "sale", NOW_MS)
    assert made == Passed("v" * 22, Kind.WORK), "what is not asked for is not believed either"


def test_a_puzzle_is_signed_with_a_key_that_signs_nothing_else() -> None:
    assert Tokens(["k" * 40]).puzzle_keys != [b"k" * 40]
    assert len(set(Tokens(["k" * 40, "l" * 40]).puzzle_keys)) == 2


def test_the_work_grows_with_the_joins() -> None:
    assert [work(share) for share in (0.0, 1.0, 601 / 600, 2.0, 5.0, 1e9)] == [
        EASIEST, EASIEST, int(EASIEST * 601 / 600), 2 * EASIEST, 5 * EASIEST, HARDEST,
    ]  # fmt: skip


@pytest.mark.anyio
async def test_without_its_work_nobody_new_joins_or_enters(house: House) -> None:
    front = await house.open(rate=600, capacity=100, challenge="always")
    page = await front.ask()
    assert (page.status, page.cookies) == (200, {})
    assert b"Getting your place" in page.body
    asked = await front.ask(JOIN, FETCH, method="POST")
    assert (asked.status, asked.json["state"], asked.cookies) == (428, "challenged", {})
    assert (await front.ask("/api", FETCH)).status == 429, "nor by a script while there is room"
    assert front.site.asked == []
    counted = await house.store.census("sale")
    assert (counted.waiting, counted.active) == (0, 0)

    body = json.dumps({"solution": written(solve(asked.json["puzzle"]))}).encode()
    joined = await front.ask(JOIN, FETCH, method="POST", body=body)
    assert (joined.status, joined.json["state"], joined.json["position"]) == (200, "waiting", 1)
    for _ in range(20):
        again = await front.ask(JOIN, FETCH, method="POST", body=body)
        assert again.json["position"] == 1, "one solution is one place"
    assert (await house.store.census("sale")).waiting == 1
    await house.bench.run(house.store, 1, step_seconds=0.1)
    assert await Browser(front, joined.cookies).is_in(), "having passed once is enough"
    for body in (
        b"",
        b"[]",
        b"{",
        b'{"solution": 1}',
        b'{"solution": "x"}',
        b'{"solution": "' + b"x" * 9_000 + b'"}',
        b"[" * 2_000,
    ):
        assert (await front.ask(JOIN, FETCH, method="POST", body=body)).status == 428


@pytest.mark.anyio
async def test_who_has_no_scripts_joins_by_a_link_and_few_may(house: House) -> None:
    """The page without script offers it; ten a minute from a network."""
    front = await house.open(rate=600, capacity=0, challenge="always")
    page = (await front.ask("/product?id=7")).body.decode()
    link = "/.waitroom/sale/?next=%2Fproduct%3Fid%3D7&plain=1"
    assert link in page.partition("<noscript><p")[2].partition("</noscript>")[0]
    statuses = []
    for _ in range(12):
        reply = await front.ask(link.replace("&amp;", "&"))
        statuses.append((reply.status, QUEUE in reply.cookies))
    assert statuses == [(200, True)] * 10 + [(429, False)] * 2
    unknown = [(await front.ask(link.replace("&amp;", "&"), peer="")).status for _ in range(11)]
    assert unknown == [200] * 10 + [429], "whose network cannot be told are counted as one"


class Served:
    """The gate on a real port."""

    def __init__(self, front: Front) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        options: dict[str, Any] = {"lifespan": "off", "log_config": None, "ws": "none", "timeout_graceful_shutdown": 1}
        self._server = uvicorn.Server(uvicorn.Config(front.gate, **options))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()


@pytest.mark.journey
def test_a_browser_does_the_work_by_itself_and_gets_its_place() -> None:
    """With the page's policy in force: in a worker, with a bar that says how far it is; then the page as ever."""
    front = Front(Room(name="default", rate=60, challenge="always"))
    front.store.counted = census(waiting=30)
    asyncio.run(front.documents.follow("default", front.store.counted))
    served = Served(front)
    said: list[str] = []
    try:
        with a_browser() as browser:
            page = browser.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.add_init_script(
                "new MutationObserver(() => { const bar = document.querySelector('#lead progress');"
                " if (bar) sessionStorage.bar = bar.max + ' ' + bar.getAttribute('aria-labelledby'); })"
                ".observe(document, {childList: true, subtree: true})"
            )
            page.goto(f"{served.url}/product?id=7")
            page.wait_for_selector("main.waiting, main.near", timeout=60_000)
            assert page.url == f"{served.url}/product?id=7"
            assert page.evaluate("sessionStorage.bar") == f"{EASIEST} title"
            assert page.inner_text("#position") == "7"
            assert [cookie["name"] for cookie in page.context.cookies()] == ["waitroom-queue-default"]
    finally:
        served.close()
    assert [text for text in said if "428" not in text and "favicon" not in text] == []
