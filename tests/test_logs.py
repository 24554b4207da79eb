"""Events: one line each, nothing secret, nothing a client wrote."""

from __future__ import annotations

import ast
import io
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from waitroom import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent / "waitroom"


def sink(style: str = "json", level: str = "info") -> tuple[logs.Sink, io.StringIO]:
    stream = io.StringIO()
    made = logs.Sink(stream, level=level, style=style)
    made.clock = lambda: 1_700_000_000.25
    return made, stream


def caught(message: str) -> ValueError:
    """An exception as it is after it was raised and caught."""
    try:
        int(message)
    except ValueError as error:
        return error
    raise AssertionError


@pytest.fixture
def routed() -> Iterator[io.StringIO]:
    """The process's own sink, writing to memory."""
    stream = io.StringIO()
    logs.configure(level="info", style="json", stream=stream)
    yield stream
    logs.unconfigure()


def test_an_event_is_one_json_line_with_time_level_part_and_fields() -> None:
    made, stream = sink()
    logs.Log("gateway", made).info("room_changed", room="drop", version=3)
    line = json.loads(stream.getvalue())
    assert line.pop("pid") > 0
    assert line == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "event": "room_changed",
        "part": "gateway",
        "room": "drop",
        "version": 3,
    }


def test_as_text_an_event_reads_from_left_to_right() -> None:
    made, stream = sink("text")
    logs.Log("beat", made).warning("beat_lost", room="drop", share=1 / 3, reason="no answer")
    assert stream.getvalue() == '22:13:20 WARNING beat       beat_lost room=drop share=0.333333 reason="no answer"\n'


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("evil", ["a\nb", "a\r\nERROR x", "a\x1b[31mb", "a\u2028b", "a\x85b", ""])
def test_no_field_can_break_its_line_or_speak_to_the_terminal(style: str, evil: str) -> None:
    made, stream = sink(style)
    logs.Log("x", made).error("event", reason=evil, count=1)
    written = stream.getvalue()
    assert len(written.splitlines()) == 1
    assert written.rstrip("\n").isprintable()


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_forbidden_field_is_withheld(style: str) -> None:
    made, stream = sink(style)
    for name in logs.FORBIDDEN_FIELDS:
        logs.Log("x", made).info("event", **{name: "hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert logs.WITHHELD in stream.getvalue()


def test_no_call_in_the_source_names_a_forbidden_field() -> None:
    guilty = [
        f"{path}:{node.lineno} {keyword.arg}"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"debug", "info", "warning", "error", "failure"}
        for keyword in node.keywords
        if keyword.arg in logs.FORBIDDEN_FIELDS
    ]
    assert guilty == []


def test_less_severe_events_are_left_out() -> None:
    made, stream = sink(level="warning")
    log = logs.Log("x", made)
    log.debug("one")
    log.info("two")
    log.warning("three")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["three"]
    made.configure(stream, level="debug", style="json")
    log.debug("four")
    assert "four" in stream.getvalue()


def test_of_an_exception_only_type_and_place_are_written() -> None:
    made, stream = sink()
    logs.Log("gateway", made).failure("request_failed", caught("bytes of a client"), room="drop")
    line = json.loads(stream.getvalue())
    assert line["error"] == "ValueError"
    assert "test_logs.py:" in line["at"]
    assert "bytes of a client" not in stream.getvalue()


def test_automatic_style_is_text_on_a_terminal_and_json_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        logs.Log("x", logs.Sink(stream)).info("event")
    assert not terminal.getvalue().startswith("{")
    assert pipe.getvalue().startswith("{")


def test_a_closed_stream_breaks_nothing() -> None:
    made, stream = sink()
    stream.close()
    logs.Log("x", made).info("event")


def test_without_a_stream_events_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    made = logs.Sink(style="json")
    logs.Log("x", made).info("event")
    assert json.loads(capsys.readouterr().err)["event"] == "event"


def test_foreign_loggers_speak_in_our_lines_from_warning_on(routed: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Unsupported %s\nsecond line", "upgrade")
    (line,) = map(json.loads, routed.getvalue().splitlines())
    assert (line["part"], line["level"], line["said"]) == ("uvicorn.error", "warning", "Unsupported upgrade")


def test_a_foreign_exception_is_told_without_its_message(routed: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=caught("cookie of a client"))
    assert "cookie of a client" not in routed.getvalue()
    assert json.loads(routed.getvalue())["error"] == "ValueError"


def test_a_wrong_foreign_format_string_breaks_nothing(routed: io.StringIO) -> None:
    (handler,) = [one for one in logging.getLogger().handlers if type(one).__module__ == logs.__name__]
    handler.emit(logging.LogRecord("uvicorn.error", logging.WARNING, "f", 1, "%d things", ("no number",), None))
    assert json.loads(routed.getvalue())["said"] == "%d things"


def test_debug_lets_libraries_speak_too() -> None:
    stream = io.StringIO()
    logs.configure(level="debug", style="json", stream=stream)
    try:
        logging.getLogger("uvicorn.error").info("Started")
        logging.getLogger("uvicorn.error").log(5, "trace")
    finally:
        logs.unconfigure()
    assert [json.loads(line)["said"] for line in stream.getvalue().splitlines()] == ["Started"]
    assert logs.logger("x") is not None
