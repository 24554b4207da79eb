"""`make bench`: Waitroom beside what people would use instead, on this machine, in one run.

    python -m tests.bench [--case NAME,…] [--rounds N] [--seconds N] [--record] [--list]

Prints Markdown; leaves it, with the figures of every round as JSON, in .bench/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import waitroom

from .cases import HTTP_CASES, Case, Effort, Run
from .contenders import WAITROOM, staged
from .document_cases import DOCUMENT_CASES
from .machine import ROOT, BenchError, choose_cores, commit, describe
from .queue_cases import QUEUE_CASES
from .report import Outcome, markdown, plain, recorded
from .tools import PLACE, set_up

if TYPE_CHECKING:
    from types import FrameType

    from .contenders import Stage
    from .tools import Tool

# The cases of the document use the queue that the last of the others calls from.
CASES: Final = {case.name: case for case in (*HTTP_CASES, *DOCUMENT_CASES, *QUEUE_CASES)}
DOCUMENT: Final = ROOT / "docs" / "performance.md"


def read_cases(text: str) -> list[str]:
    """Return the cases of a list with commas, in the order in which they run; raises ValueError that names the wrong ones and all there are."""
    names = [name for name in text.replace(",", " ").split() if name]
    if unknown := [name for name in names if name not in CASES]:
        raise ValueError(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    return [name for name in CASES if name in names] or list(CASES)


def read_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--case", default="", help="only these, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--record", action="store_true", help="write the report into docs/performance.md")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    found = parser.parse_args(arguments)
    try:
        found.case = read_cases(found.case)
    except ValueError as error:
        parser.error(str(error))
    if found.rounds < 1 or found.seconds < 1:
        parser.error("rounds and seconds are at least 1")
    return found


def say(text: str) -> None:
    """Tell of progress on standard error: standard output is the report's."""
    print(f"{datetime.now(UTC):%H:%M:%S}  {text}", file=sys.stderr, flush=True)


def run_case(case: Case, directory: Path, lasting: Stage, kept: dict[Any, Any], effort: Effort) -> Outcome:
    """Run one case on a stage of its own."""
    say(f"── {case.name}: {case.title}")
    with staged(directory / case.name, lasting.cores, lasting.tools) as stage:
        run = Run(stage, lasting, kept, effort, say)
        try:
            case.run(run)
        except (BenchError, AssertionError, OSError) as error:
            say(f"{case.name}: not measured ({error})")
            run.failed[WAITROOM] = str(error)
    return Outcome(case, run.samples, run.missing, run.failed)


def run_all(names: list[str], effort: Effort, tools: dict[str, Tool]) -> list[Outcome]:
    """Run cases one after the other; whatever happens, nothing that was started stays."""
    cores = choose_cores()
    os.sched_setaffinity(0, {cores.load})  # children are on the load's core unless told otherwise
    directory = Path(tempfile.mkdtemp(prefix="waitroom-bench-"))
    try:
        with staged(directory / "lasting", cores, tools) as lasting:
            kept: dict[Any, Any] = {}
            return [run_case(CASES[name], directory, lasting, kept, effort) for name in names]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def ready() -> dict[str, Tool]:
    """Set up the tools and say which are there; raises `BenchError` without those that nothing goes without."""
    tools = set_up()
    for tool in tools.values():
        say(f"{tool.name}: {tool.version or 'there'}" if tool.path else f"{tool.name}: missing: {tool.missing}")
    for needed in ("wrk", "nginx"):
        if tools[needed].path is None:
            raise BenchError(f"{needed} is needed, for load or site: {tools[needed].missing}")
    return tools


def _ended(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    chosen = read_arguments(arguments)
    if chosen.list:
        for case in CASES.values():
            print(f"{case.name:14} {case.title}")
        return 0
    signal.signal(signal.SIGTERM, _ended)
    say("setting up")
    began = time.monotonic()
    try:
        tools = ready()
        outcomes = run_all(chosen.case, Effort(chosen.rounds, chosen.seconds), tools)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; everything it started has ended", file=sys.stderr)
        return 130
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "version": f"{waitroom.__version__} ({commit()})" if commit() else waitroom.__version__,
        "machine": describe(),
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "versions": {tool.name: tool.version for tool in tools.values()},
    }
    report = markdown(outcomes, facts)
    (PLACE / "latest.md").write_text(report)
    (PLACE / "latest.json").write_text(json.dumps(plain(outcomes, facts), indent=1) + "\n")
    with suppress(BrokenPipeError):
        print(report)
    if chosen.record:
        DOCUMENT.write_text(recorded(DOCUMENT.read_text(), report))
    say(f"took {time.monotonic() - began:.0f} s; figures of every round in .bench/latest.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
