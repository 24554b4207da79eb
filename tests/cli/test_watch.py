"""`waitroom watch`: what it shows on a terminal, in a pipe and as JSON, and how it ends."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.cli.outcome import CommandError, Exit
from waitroom.cli.watch import overview, readings

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Any]

NOW: dict[str, Any] = {
    "name": "drop", "mode": "on", "version": 3, "store": True, "at_ms": 1, "queueing": "Queueing",
    "limiting": "the rate decides", "waiting": 12_431, "called": 24, "active": 1_850, "entries": 590, "missed_share": 0.04,
    "rate": 600, "capacity": None, "wait": "12 to 15 min", "shop_p50_ms": 80.0, "shop_p95_ms": 2_400.0,
    "shop_error_share": 0.002, "recovering": False, "pending": "", "point": None,
}  # fmt: skip
SAID = {"now_ms": 1_700_000_000_000, "rooms": [NOW]}


def drawn(
    columns: int, said: dict[str, Any] = SAID, trouble: str = "", *, terminal: bool = True, **environ: str
) -> str:
    from rich.console import Console

    console = Console(width=columns, file=io.StringIO(), force_terminal=terminal, markup=False, _environ=environ)
    console.print(overview(said, trouble, 12.3, columns))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain(columns: int, *arguments: Any) -> list[str]:
    return drawn(columns, *arguments, terminal=False).splitlines()


def test_a_wide_terminal_shows_a_row_a_room() -> None:
    header, row = plain(160)
    assert header.split()[:4] == ["room", "state", "waiting", "called"]
    for text in (
        "queueing, the rate decides",
        "12,431",
        "12 to 15 min",
        "1,850",
        "590 of 600",
        "4%",
        "2,400 ms",
        "0.2%",
    ):
        assert text in row


def test_a_narrow_terminal_shows_a_block_a_room_and_cuts_nothing() -> None:
    lines = plain(40)
    assert max(map(len, lines)) <= 40
    assert [line.split()[0] for line in lines if line.strip()][:3] == ["room", "state", "waiting"]
    assert "shop p95     2,400 ms" in [line.rstrip() for line in lines]


def test_what_is_wrong_is_told_below() -> None:
    away = NOW | {"store": False, "pending": "pending on 1 of 3 gateways", "waiting": None}
    lines = plain(160, {"rooms": [away]}, "cannot reach it")
    assert "drop: store away, pending on 1 of 3 gateways" in lines
    assert "These numbers are 12 s old. cannot reach it" in lines
    assert "Add [[rooms]]" in drawn(160, {"rooms": []})


def test_a_slow_shop_is_red_unless_no_colour_is_wanted() -> None:
    assert "\x1b[1;31m2,400 ms" in drawn(160)
    assert "31m" not in drawn(160, NO_COLOR="1")


def test_it_goes_on_through_trouble_with_the_last_numbers_and_their_age() -> None:
    one, two = {"rooms": [1]}, {"rooms": [2]}
    script: list[Any] = [one, CommandError("gone", Exit.UNREACHABLE), two]
    waits: list[float] = []

    def read() -> Any:
        answer = script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pictures = list(readings(read, 2.0, waits.append, lambda: sum(waits), count=3))
    assert pictures == [(one, "", 0.0), (one, "gone", 2.0), (two, "", 0.0)]
    assert waits == [2.0, 2.0]


def test_it_ends_when_it_is_refused() -> None:
    script: list[Any] = [{"rooms": []}]

    def read() -> Any:
        if not script:
            raise CommandError("no", Exit.REFUSED)
        return script.pop()

    pictures = readings(read, 1.0, lambda _: None, lambda: 0.0)
    next(pictures)
    with pytest.raises(CommandError):
        next(pictures)


@pytest.fixture
def live(listener: Any) -> Any:
    """The listener with figures to tell, three times at most."""
    other = NOW | {"name": "outlet", "queueing": "Paused", "mode": "paused", "limiting": ""}
    listener.answers = [(200, json.dumps(SAID | {"rooms": [NOW, other]}).encode()) for _ in range(3)]
    return listener


def test_in_a_pipe_it_writes_a_line_a_room(ask: Run, live: Any) -> None:
    ended = ask("watch", "--count", "2", "--interval", "0.1")
    lines = ended.out.splitlines()
    assert (ended.code, len(lines)) == (Exit.FINE, 4)
    assert lines[0].startswith(
        "22:13:20Z drop: state queueing, the rate decides, waiting 12,431, called 24, wait now 12 to"
    )
    assert lines[3].startswith("22:13:20Z outlet: state paused, waiting")
    assert live.seen[0][:2] == ("GET", "/api/v1/live")


def test_as_json_it_writes_a_document_a_line_of_the_room_asked_for(ask: Run, live: Any) -> None:
    ended = ask("watch", "outlet", "--count", "2", "--interval", "0.1", "--json")
    assert [[room["name"] for room in json.loads(line)["rooms"]] for line in ended.out.splitlines()] == [["outlet"]] * 2
    assert ask("watch", "nothing", "--count", "1").code == Exit.REFUSED


@pytest.mark.parametrize("how", [["--json"], []])
def test_trouble_in_a_pipe_is_told_on_standard_error(ask: Run, live: Any, how: list[str]) -> None:
    live.answers[1] = live.problem(503, "away")
    ended = ask("watch", "drop", "--count", "3", "--interval", "0.1", *how)
    assert (len(ended.out.splitlines()), ended.err) == (2, "waitroom: away\n")


def test_it_ends_quietly_with_ctrl_c(ask: Run, live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("waitroom.cli.watch.time.sleep", interrupted)
    ended = ask("watch")
    assert (ended.code, ended.err) == (Exit.FINE, "")
