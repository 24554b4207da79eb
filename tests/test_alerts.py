"""The files for Prometheus: rules that hold what they say, and series named by Prometheus's rules."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from waitroom.metrics import ROOM_TOTALS, Metrics, RoomFigures

DIRECTORY = Path(__file__).parent.parent / "deploy" / "prometheus"
RULES = DIRECTORY / "waitroom.rules.yml"


def promtool(*arguments: str, given: bytes = b"") -> None:
    """Run promtool; what it complains of fails the test."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool: `apt-get install prometheus`")
    done = subprocess.run(
        [program, *arguments], input=given, cwd=DIRECTORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout.decode()


def figures() -> RoomFigures:
    return RoomFigures(
        name="drop", mode="on", rate=600, capacity=50,
        visitors={"waiting": 5, "called": 1, "missed": 0, "active": 50},
        entries=60, reserved=0, recovering_seconds=0.0, missed_share=0.1, idle_seconds=0.0,
        totals=dict.fromkeys(ROOM_TOTALS, 1),
    )  # fmt: skip


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    promtool("check", "rules", "waitroom.rules.yml")
    promtool("test", "rules", "waitroom.tests.yml")


def test_every_rule_has_a_test_and_says_what_to_do() -> None:
    rules, tests = RULES.read_text(), (DIRECTORY / "waitroom.tests.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert alerts
    assert [alert for alert in alerts if f"alertname: {alert}\n        exp_alerts:\n          -" not in tests] == []
    assert rules.count("summary:") == rules.count("description:") == len(alerts)


def test_rules_and_dashboard_name_series_that_are_there() -> None:
    known = set(Metrics().names())
    for text in (RULES.read_text(), (DIRECTORY / "dashboard.json").read_text()):
        named = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bwaitroom_\w+", text)}
        assert named <= known | {f"waitroom_room_{event}_total" for event in ROOM_TOTALS}


def test_series_are_named_by_prometheus_rules() -> None:
    metrics = Metrics()
    metrics.requests("drop", "fresh")
    metrics.request_finished("GET", 200, 0.1)
    metrics.store_call("enter", 0.001, "ok")
    metrics.wait_seconds("drop", 30.0)
    metrics.up("gateway")
    promtool("check", "metrics", given=metrics.render([figures()], version="1"))
