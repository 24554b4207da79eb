"""The tests of `requests` against httpbin: a client's whole idea of HTTP, and each expectation of it must hold behind a proxy."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .fetch import PLACE, Missing, python_venv, sdist
from .fronts import before, cookie_of_visitor, free_port, running, wait_until_open
from .results import FRONTS, Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "tests of requests"
VERSION: Final = "2.34.2"
SUITE_SECONDS: Final = 100
MEASURE: Final = "The tests that talk to httpbin in the clear, with httpbin (under gunicorn) at the far end."


@contextmanager
def httpbin(python: Path) -> Iterator[int]:
    """Run httpbin under gunicorn; its port."""
    port = free_port()
    command: list[str | Path] = [
        python, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--workers", "1",
        "--threads", "8", "--keep-alive", "30", "--no-control-socket", "--log-level", "warning", "httpbin:app",
    ]  # fmt: skip
    with running(command) as process:
        wait_until_open(port, process)
        yield port


def outcomes(junit: str) -> dict[str, Outcome]:
    """Read pytest's JUnit report; a skipped test is no case."""
    found: dict[str, Outcome] = {}
    for case in ET.fromstring(junit).iter("testcase"):
        name = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name')}"
        failed = next((child for child in case if child.tag in {"failure", "error"}), None)
        if failed is not None:
            message = (failed.get("message") or failed.tag).splitlines()[0]
            found[name] = Outcome(ok=False, seen=message[:120])
        elif case.find("skipped") is None:
            found[name] = Outcome(ok=True, seen="")
    return found


def _run_at(python: Path, folder: Path, front: str, port: int) -> dict[str, Outcome]:
    report = PLACE / f"requests-{front.lower()}.xml"
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [
            python, "-m", "pytest", "-q", "-p", "no:httpbin", "-p", "no:cacheprovider", "-p", "requests_plugin",
            "-o", "addopts=", f"--junitxml={report}", "tests/test_requests.py", "tests/test_lowlevel.py",
        ],
        cwd=folder, capture_output=True, timeout=SUITE_SECONDS, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {
            "CONFORMANCE_URL": f"http://127.0.0.1:{port}",
            "CONFORMANCE_COOKIE": cookie_of_visitor(front, port),
            "PYTHONPATH": str(Path(__file__).parent),
        },
    )  # fmt: skip
    if done.returncode not in {0, 1}:
        raise Missing(f"the tests of requests did not run: {done.stdout.decode(errors='replace').strip()[-300:]}")
    return outcomes(report.read_text("utf-8"))


def run() -> Result:
    """Run the tests with no proxy and through each."""
    python, folder = python_venv(), sdist("requests", VERSION)
    result = Result(NAME, VERSION, MEASURE)
    with httpbin(python) as backend:
        for front in FRONTS:
            with before(backend, front) as port:
                result.outcomes[front] = _run_at(python, folder, front, port)
    return result
