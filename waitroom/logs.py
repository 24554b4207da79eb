"""Events on standard error: one line each, JSON or text, and the names of fields that may never be written.

A line is made of an event's name and fields of ours. Foreign loggers (uvicorn, asyncio, warnings) are routed into the
same lines, and of an exception only its type and the places in the code are written: its message may quote bytes that
a client sent.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from contextlib import suppress
from typing import IO, Any, Final

FORBIDDEN_FIELDS: Final = frozenset({
    "address", "authorization", "body", "client", "cookie", "cookies", "headers", "ip", "key", "keys", "pass_text",
    "password", "peer", "query", "secret", "session", "signing", "text", "token", "user_agent", "visitor",
})  # fmt: skip
"""A field of one of these names is written as `[withheld]`; a test reads the source for calls that name one."""

WITHHELD: Final = "[withheld]"
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_NAMES: Final = {number: name for name, number in LEVELS.items()}
_LONGEST_FOREIGN: Final = 300


class Sink:
    """Where lines go, and how they are written. One per process; `clock` returns seconds since the epoch."""

    def __init__(self, stream: IO[str] | None = None, *, level: str = "info", style: str = "auto") -> None:
        self.clock = time.time
        self.configure(stream, level=level, style=style)

    def configure(self, stream: IO[str] | None = None, *, level: str = "info", style: str = "auto") -> None:
        """Write to `stream` (standard error when None) what is at least `level`, as `json`, `text` or `auto`."""
        self._stream = stream
        self.threshold = LEVELS[level]
        self._json = style == "json" or (style == "auto" and not self._is_terminal())

    def _is_terminal(self) -> bool:
        stream = self._stream or sys.stderr
        return stream is not None and not stream.closed and stream.isatty()

    def write(self, level: int, part: str, event: str, fields: dict[str, Any]) -> None:
        """Write one event; never raises, because logging must not break what it tells of."""
        if level < self.threshold:
            return
        now = self.clock()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        shown = {name: WITHHELD if name in FORBIDDEN_FIELDS else value for name, value in fields.items()}
        if self._json:
            head = {"time": stamp, "level": _NAMES.get(level, "info"), "event": event, "part": part, "pid": os.getpid()}
            line = json.dumps(head | shown, default=str)
        else:
            words = [stamp[11:19], _NAMES.get(level, "info").upper().ljust(7), part.ljust(10), _plain(event)]
            words += [f"{name}={_plain(value)}" for name, value in shown.items()]
            line = " ".join(words)
        with suppress(OSError, ValueError):  # a closed terminal or pipe: nobody is left to tell
            stream = self._stream or sys.stderr
            stream.write(line + "\n")
            stream.flush()


def _plain(value: Any) -> str:
    """Return `value` on one line, quoted where it holds blanks or anything that a terminal might obey."""
    if isinstance(value, float):
        return f"{value:.6g}"
    words = value if isinstance(value, str) else str(value)
    return words if words and words.isprintable() and not set(words) & set(' "=') else json.dumps(words)


SINK: Final = Sink()


class Log:
    """The events of one part."""

    __slots__ = ("_part", "_sink")

    def __init__(self, part: str, sink: Sink = SINK) -> None:
        self._part = part
        self._sink = sink

    def debug(self, event: str, **fields: Any) -> None:
        self._sink.write(10, self._part, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._sink.write(20, self._part, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._sink.write(30, self._part, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._sink.write(40, self._part, event, fields)

    def failure(self, event: str, error: BaseException, **fields: Any) -> None:
        """Write that `error` was not foreseen: its type and where in the code, never its message."""
        self._sink.write(40, self._part, event, fields | told(error))


def logger(part: str) -> Log:
    """Return the log of `part`."""
    return Log(part)


def told(error: BaseException) -> dict[str, Any]:
    """Return what may be written of `error`: its type, and the innermost places of its traceback."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}" for frame in frames]
    return {"error": type(error).__name__, "at": " < ".join(reversed(places))}


class _Foreign(logging.Handler):
    """Turns a record of the standard library's logging into an event."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields |= told(error)
        try:
            said = record.getMessage().strip().partition("\n")[0][:_LONGEST_FOREIGN]
        except Exception:  # noqa: BLE001  # a foreign format string may be wrong; its own words still tell
            said = str(record.msg)[:_LONGEST_FOREIGN]
        fields["said"] = said
        level = max((number for number in _NAMES if number <= record.levelno), default=10)
        self._sink.write(level, record.name, "library", fields)


def configure(*, level: str = "info", style: str = "auto", stream: IO[str] | None = None) -> None:
    """Set how this process writes, and route the standard library's loggers into it.

    Libraries speak from `warning` on; with `level="debug"` from `info` on.
    """
    SINK.configure(stream, level=level, style=style)
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Foreign)]
    root.addHandler(_Foreign(SINK))
    root.setLevel(logging.INFO if level == "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        foreign = logging.getLogger(name)
        foreign.handlers.clear()
        foreign.propagate = True
        foreign.setLevel(logging.NOTSET)


def unconfigure() -> None:
    """Undo `configure` as far as the standard library's loggers go."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Foreign)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=False)
    SINK.configure()
