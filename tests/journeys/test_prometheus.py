"""A real Prometheus reads a real Waitroom with the files of deploy/prometheus: every query of the dashboard answers."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

from tests.journeys.stage import observing_site, serving, visitors, write_config
from tests.journeys.witness import operate
from tests.store.farm import free_ports
from waitroom.demo.browser import Browser, Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

FILES = Path(__file__).parent.parent.parent / "deploy" / "prometheus"
DID_NOT_HAPPEN = ("failures", "refused", "rejected", "restarts", "log_ins", 'outcome!="ok"')
"""Words of queries that find nothing when all is well."""


@contextmanager
def prometheus(program: str, admin_port: int, directory: Path) -> Iterator[int]:
    """Run a Prometheus that scrapes the admin listener each second, with the rules; yields its port."""
    (port,) = free_ports(1)
    configuration = (FILES / "prometheus.yml").read_text()
    configuration = configuration.replace("127.0.0.1:8081", f"127.0.0.1:{admin_port}").replace(": 5s", ": 1s")
    (directory / "prometheus.yml").write_text(configuration)
    shutil.copy(FILES / "waitroom.rules.yml", directory)
    process = subprocess.Popen(
        [
            program, "--config.file", str(directory / "prometheus.yml"), "--storage.tsdb.path", str(directory / "tsdb"),
            "--web.listen-address", f"127.0.0.1:{port}", "--log.level", "warn",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def queries() -> list[tuple[str, str]]:
    """Return panel and expression of every query, with the variables that Grafana fills in."""
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    asked = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
    return [(title, expr.replace("$room", ".*").replace("$__rate_interval", "10s")) for title, expr in asked]


async def ask(port: int, path: str) -> Any:
    """Return the data of Prometheus's answer."""
    async with Browser("127.0.0.1", port) as browser:
        answer = await browser.fetch(path)
    document = json.loads(answer.body)
    assert document["status"] == "success", document
    return document["data"]


async def test_every_query_of_the_dashboard_answers_and_no_alert_but_the_queue_fires(tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus: `apt-get install prometheus`")
    async with observing_site() as site:
        config = write_config(
            tmp_path, backend=f"http://127.0.0.1:{site.port}", rate=120, capacity=500, burst=2, session_seconds=60
        )
        with (
            serving(config, tmp_path) as running,
            prometheus(program, urlsplit(running.admin_url).port or 0, tmp_path) as port,
        ):
            async with visitors(running.port, 30, timeout_seconds=30) as crowd:
                async with asyncio.TaskGroup() as shopping:
                    for visitor in crowd:
                        shopping.create_task(visitor.enter())
                    await operate(running, "PATCH", "", {"changes": {"rate": 240}})
                unanswered, give_up = queries(), time.monotonic() + 60
                while unanswered and time.monotonic() < give_up:
                    await asyncio.sleep(0.5)
                    await operate(running, "PATCH", "", {"changes": {"rate": 240 + len(unanswered)}})
                    await crowd[0].navigate("/again")
                    left = []
                    for title, expr in unanswered:
                        try:
                            data = await ask(port, f"/api/v1/query?query={quote(expr, safe='')}")
                        except Unanswered:
                            left.append((title, expr))
                            continue
                        if not data["result"] and not any(word in expr for word in DID_NOT_HAPPEN):
                            left.append((title, expr))
                    unanswered = left
                assert unanswered == []
                alerts = await ask(port, "/api/v1/alerts")
                firing = {alert["labels"]["alertname"] for alert in alerts["alerts"] if alert["state"] == "firing"}
                assert firing <= {"WaitroomQueueing"}
                targets = await ask(port, "/api/v1/targets?state=active")
                assert [target["health"] for target in targets["activeTargets"]] == ["up"]
