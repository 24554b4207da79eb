"""`make conformance`: suites that nobody here wrote, against Waitroom and nginx before the same backend, on the same day.

    python -m tests.conformance [SUITE …] [--record]

Fetches the suites from their registries into .conformance/, prints Markdown, and fails when a suite cannot be had or
Waitroom fails a case that nginx passes without a reason in reasons.toml. --record writes it all to docs/conformance.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import waitroom

from . import autobahn, gunicorn_corpus, http_cache_tests, requests_suite, slow_clients
from .fetch import ROOT, Missing, debian, debian_version
from .results import Result, markdown, read_reasons, recorded, unexplained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUITES: Final[dict[str, tuple[str, Callable[[], Result]]]] = {
    "gunicorn": (gunicorn_corpus.NAME, gunicorn_corpus.run),
    "cache": (http_cache_tests.NAME, http_cache_tests.run),
    "requests": (requests_suite.NAME, requests_suite.run),
    "autobahn": (autobahn.NAME, autobahn.run),
    "slow": (slow_clients.NAME, slow_clients.run),
}
DOCUMENT: Final = ROOT / "docs" / "conformance.md"
REASONS: Final = Path(__file__).with_name("reasons.toml")


def facts() -> dict[str, str]:
    """Tell when, where and what."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "Waitroom": f"{waitroom.__version__}, one worker, one room without limits",
        "nginx": f"{debian_version('nginx')}, one worker, `proxy_pass` unbuffered, time limits of 10 s",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def run_suite(name: str) -> Result:
    """Run one; what cannot be had or does not end is said in the result."""
    title, run = SUITES[name]
    began = time.monotonic()
    print(f"{title} …", file=sys.stderr, flush=True)
    try:
        found = run()
    except (Missing, subprocess.TimeoutExpired) as error:
        found = Result(title, missing=str(error))
    print(f"{title}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; 0 when nothing is missing and each case lost to nginx has its reason."""
    parser = argparse.ArgumentParser(prog="make conformance")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--record", action="store_true", help="write the report of all suites to docs/conformance.md")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.suites if name not in SUITES]:
        parser.error(f"no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}")
    if asked.record and asked.suites:
        parser.error("--record keeps the results of one run of all suites: name none")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        debian("nginx")
    except Missing as missing:
        print(f"nginx is what Waitroom is compared with, and {missing}", file=sys.stderr)
        return 2
    results = [run_suite(name) for name in asked.suites or SUITES]
    reasons = read_reasons(REASONS)
    report = markdown(results, reasons, facts())
    print(report)
    if asked.record:
        DOCUMENT.write_text(recorded(DOCUMENT.read_text("utf-8"), report), "utf-8")
    failures = [
        f"{result.suite} did not run: {result.missing}" for result in results if result.missing and not result.optional
    ]
    failures += [f"no reason is given for {case}" for case in unexplained(results, reasons)]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
