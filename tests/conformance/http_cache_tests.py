"""http-cache-tests, the suite behind cache-tests.fyi: for a proxy that caches nothing, what passes with no proxy must pass."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .fetch import Missing, npm_package, program
from .fronts import before, cookie_of_visitor, free_port, running, wait_until_open
from .results import DIRECT, FRONTS, Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "http-cache-tests"
VERSION: Final = "0.4.5"
NODE_FETCH: Final = "2.7.0"
SUITE_SECONDS: Final = 60
MEASURE: Final = (
    "Most of the suite asks how well a cache caches. Neither proxy is one, so the part that counts is what passes "
    "with nothing in between: requests, validators, ranges and fields that must arrive as they were sent."
)


def outcomes(found: Mapping[str, Any], relevant: set[str]) -> dict[str, Outcome]:
    """Return the outcomes of the relevant tests: the suite tells true, or the kind of failure and its words."""
    return {
        test: Outcome(ok=True, seen="") if verdict is True else Outcome(ok=False, seen=": ".join(map(str, verdict)))
        for test, verdict in found.items()
        if test in relevant
    }


def _run_at(node: Path, folder: Path, front: str, port: int) -> dict[str, Any]:
    environ = os.environ | {
        "npm_package_config_id": "",
        "npm_config_base": f"http://127.0.0.1:{port}",
        "CONFORMANCE_COOKIE": cookie_of_visitor(front, port),
    }
    done = subprocess.run(
        [node, "--no-warnings", "--import", Path(__file__).with_name("with_cookie.mjs"), "cli.mjs"],
        cwd=folder, env=environ, capture_output=True, timeout=SUITE_SECONDS, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise Missing(f"http-cache-tests failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run() -> Result:
    """Run all tests with no proxy and through each."""
    folder, node = npm_package(NAME, VERSION, f"node-fetch@{NODE_FETCH}"), program("node")
    if node is None:
        raise Missing("node is not installed; on Debian: apt-get install nodejs npm")
    port = free_port()
    server = {
        "npm_config_protocol": "http",
        "npm_config_port": str(port),
        "npm_config_pidfile": str(folder.parent / "server.pid"),
    }
    found = {}
    with running([node, "--no-warnings", "server/server.mjs"], folder=folder, environ=server) as process:
        wait_until_open(port, process)
        for front in FRONTS:
            with before(port, front) as at:
                found[front] = _run_at(node, folder, front, at)
    relevant = {test for test, verdict in found[DIRECT].items() if verdict is True}
    result = Result(NAME, VERSION, f"{MEASURE} {len(relevant)} of {len(found[DIRECT])} tests.")
    result.outcomes = {front: outcomes(told, relevant) for front, told in found.items()}
    return result
