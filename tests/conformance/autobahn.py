"""The Autobahn test suite: its fuzzing client talks WebSocket to an echo server, with nothing, nginx or Waitroom in between."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .fetch import ROOT, Missing, python2, python2_library
from .fronts import before, free_port, running, wait_until_open
from .results import FRONTS, Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "Autobahn"
PACKAGE: Final = "autobahntestsuite"
VERSION: Final = "25.10.1"
SUITE_SECONDS: Final = 110
CASES: Final = (
    *(f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 9, 10)),
    *(f"12.{group}.4" for group in range(1, 6)),
    *(f"13.{group}.4" for group in range(1, 8)),
)
"""Of the compression cases, which differ only in the size of the messages and take minutes, one size of each group."""
PASSING: Final = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})
MEASURE: Final = (
    "Framing, fragmentation, UTF-8, closing, large messages and compression against an echo server (`websockets`). A "
    "proxy hands on what both ends say, so no case may end worse than with nothing in between. Of the compression cases "
    "(12, 13), which differ only in message size, one size of each group runs."
)
_START: Final = (
    "import site, sys; site.addsitedir({library!r}); sys.path.insert(0, {library!r}); "
    "from autobahntestsuite.wstest import run; run()"
)


def outcomes(report: Mapping[str, Mapping[str, Any]]) -> dict[str, Outcome]:
    """Read the suite's index of one agent: the behaviour until closing, and how it closed."""
    return {
        case: Outcome(
            ok=found["behavior"] in PASSING and found["behaviorClose"] in PASSING,
            seen=found["behavior"]
            if found["behavior"] == found["behaviorClose"]
            else f"{found['behavior']}, closing {found['behaviorClose']}",
        )
        for case, found in sorted(report.items(), key=lambda item: [int(part) for part in item[0].split(".")])
    }


def _run_at(python: Path, library: Path, front: str, port: int) -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        folder = Path(name)
        spec = {
            "outdir": str(folder / "reports"),
            "servers": [{"agent": front, "url": f"ws://127.0.0.1:{port}"}],
            "cases": CASES,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        done = subprocess.run(
            [python, "-c", _START.format(library=str(library)), "-m", "fuzzingclient", "-s", folder / "spec.json"],
            capture_output=True, timeout=SUITE_SECONDS, check=False, stdin=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        index = folder / "reports" / "index.json"
        if not index.exists():
            raise Missing(f"Autobahn wrote no report: {done.stderr.decode(errors='replace').strip()[-300:]}")
        return outcomes(json.loads(index.read_text())[front])


def run() -> Result:
    """Run the fuzzing client with no proxy and through each; optional, for it needs Python 2.7."""
    try:
        python = python2()
        library = python2_library(python, PACKAGE, VERSION)
    except Missing as missing:
        return Result(NAME, missing=str(missing), optional=True)
    result = Result(NAME, VERSION, MEASURE)
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "tests.conformance.echo_server", str(port)]
    with running(command, folder=ROOT) as process:
        wait_until_open(port, process)
        for front in FRONTS:
            with before(port, front) as at:
                result.outcomes[front] = _run_at(python, library, front, at)
    return result
