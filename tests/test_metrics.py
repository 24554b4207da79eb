"""Every series: counted, added up over processes, documented, and silent about who visits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from waitroom.metrics import ROOM_TOTALS, Metrics, RoomFigures, forget_process

if TYPE_CHECKING:
    import pytest

DOCS = Path(__file__).parent.parent / "docs" / "metrics.md"
ROOM = RoomFigures(
    name="drop", mode="paused", rate=600, capacity=None, visitors={"waiting": 3, "active": 2}, entries=7, reserved=1,
    recovering_seconds=1.5, missed_share=0.25, idle_seconds=0.1, totals=dict.fromkeys(ROOM_TOTALS, 9),
)  # fmt: skip


def told(metrics: Metrics, *rooms: RoomFigures) -> set[str]:
    text = metrics.render(rooms, version="1.2.3").decode()
    return {line for line in text.splitlines() if not line.startswith("#")}


def test_each_fact_is_counted_in_its_series() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.requests("drop", "fresh")
        metrics.store_call("enter", 0.002, "ok")
        metrics.request_finished("GET", 200, 0.2)
    metrics.token_rejected("forged")
    metrics.pass_without_store("drop")
    metrics.provisional("drop")
    metrics.released("drop")
    metrics.captcha("drop", "passed")
    metrics.wait_seconds("drop", 45)
    metrics.estimate("drop", "longer", 45.0)
    metrics.estimate("drop", "held", 0.0)
    metrics.refused("header_timeout")
    metrics.breaker(opened=True)
    metrics.beat_seconds(0.003)
    metrics.beat_failures("drop")
    metrics.request_finished("BREW", 418, 0.2)
    metrics.request_repeated("GET")
    metrics.backend_failed("connect", "refused by 127.0.0.1:9")
    metrics.connections_changed(12)
    metrics.connection_awaited(0.1)
    metrics.tunnels_changed(2)
    metrics.admin_change("drop", "pause")
    metrics.admin_refusal("host")
    metrics.child_restart("gateway")
    metrics.reload(success=True)
    metrics.up("gateway")
    assert told(metrics) >= {
        'waitroom_requests_total{outcome="fresh",room="drop"} 2.0',
        'waitroom_captcha_total{outcome="passed",room="drop"} 1.0',
        'waitroom_store_call_seconds_count{outcome="ok",verb="enter"} 2.0',
        'waitroom_backend_request_seconds_count{method="GET",status="2xx"} 2.0',
        'waitroom_backend_request_seconds_count{method="other",status="4xx"} 1.0',
        'waitroom_tokens_rejected_total{kind="forged"} 1.0',
        'waitroom_passes_without_store_total{room="drop"} 1.0',
        'waitroom_provisional_places_total{room="drop"} 1.0',
        'waitroom_backend_releases_total{room="drop"} 1.0',
        'waitroom_wait_seconds_bucket{le="60.0",room="drop"} 1.0',
        'waitroom_connections_refused_total{reason="header_timeout"} 1.0',
        'waitroom_estimates_total{outcome="longer",room="drop"} 1.0',
        'waitroom_estimates_total{outcome="held",room="drop"} 1.0',
        'waitroom_estimate_error_seconds_bucket{le="60.0",room="drop"} 1.0',
        'waitroom_estimate_error_seconds_count{room="drop"} 1.0',
        "waitroom_store_breaker_open 1.0",
        "waitroom_store_breaker_openings_total 1.0",
        "waitroom_beat_seconds_count 1.0",
        'waitroom_beat_failures_total{room="drop"} 1.0',
        "waitroom_backend_retries_total 1.0",
        'waitroom_backend_failures_total{kind="connect"} 1.0',
        "waitroom_backend_connections 12.0",
        "waitroom_backend_pool_wait_seconds_count 1.0",
        "waitroom_tunnels 2.0",
        'waitroom_admin_changes_total{action="pause",room="drop"} 1.0',
        'waitroom_admin_refusals_total{reason="host"} 1.0',
        'waitroom_child_restarts_total{child="gateway"} 1.0',
        "waitroom_config_last_reload_success 1.0",
        'waitroom_processes{role="gateway"} 1.0',
    }
    metrics.breaker(opened=False)
    metrics.reload(success=False)
    assert told(metrics) >= {"waitroom_store_breaker_open 0.0", "waitroom_config_last_reload_success 0.0"}


def test_what_was_added_up_is_written_once_and_in_the_right_bucket() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.00051, 99.0):
        metrics.store_call("enter", seconds, "ok")
    for _ in range(2):
        metrics.flush()
        told(metrics)
    labels = 'outcome="ok",verb="enter"'
    assert told(metrics) >= {
        f'waitroom_store_call_seconds_bucket{{le="0.0005",{labels}}} 1.0',
        f'waitroom_store_call_seconds_bucket{{le="0.001",{labels}}} 2.0',
        f'waitroom_store_call_seconds_bucket{{le="0.5",{labels}}} 2.0',
        f'waitroom_store_call_seconds_bucket{{le="+Inf",{labels}}} 3.0',
        f"waitroom_store_call_seconds_count{{{labels}}} 3.0",
    }


def test_rooms_are_told_as_the_store_counted_them() -> None:
    assert told(Metrics(), ROOM) >= {
        'waitroom_room_visitors{room="drop",state="waiting"} 3.0',
        'waitroom_room_mode{mode="paused",room="drop"} 1.0',
        'waitroom_room_mode{mode="on",room="drop"} 0.0',
        'waitroom_room_rate_limit{room="drop"} 600.0',
        'waitroom_room_entries_last_minute{room="drop"} 7.0',
        'waitroom_room_missed_ratio{room="drop"} 0.25',
        'waitroom_room_admitted_total{room="drop"} 9.0',
        "waitroom_store_up 1.0",
        'waitroom_build_info{version="1.2.3"} 1.0',
    }


def test_a_limit_that_is_not_set_has_no_sample() -> None:
    assert not [line for line in told(Metrics(), ROOM) if line.startswith("waitroom_room_capacity_limit")]
    full = RoomFigures("drop", "on", None, 5, {}, 0, 0, 0, 0, 0, dict.fromkeys(ROOM_TOTALS, 0))
    assert 'waitroom_room_capacity_limit{room="drop"} 5.0' in told(Metrics(), full)
    assert not [line for line in told(Metrics(), full) if line.startswith("waitroom_room_rate_limit")]


def test_every_series_is_documented_and_every_documented_series_is_there() -> None:
    documented = dict(re.findall(r"^\| `(waitroom_\w+)(?:\{[^`]*\})?` \| (.+?) \|", DOCS.read_text(), re.MULTILINE))
    assert documented == Metrics().names()


def test_names_follow_prometheus_rules() -> None:
    for name, sentence in Metrics().names().items():
        assert re.fullmatch(r"waitroom(_[a-z]+)+", name)
        assert not re.search(r"_(ms|milliseconds|minutes|count|sum|bucket|created)$", name)
        assert sentence.endswith(".")


def test_no_label_tells_visitors_apart() -> None:
    labels = set(re.findall(r"(\w+)=", "".join(told(Metrics(), ROOM))))
    assert labels <= {"room", "state", "mode", "version", "le"}


def test_processes_are_added_up_and_the_dead_leave_only_their_counts(tmp_path: Path) -> None:
    """Two workers count; one dies. Its counts stay, its share of what is now goes."""
    worker = (
        "import sys; from waitroom.metrics import Metrics; m = Metrics(); m.requests('drop', 'fresh');"
        "m.request_finished('GET', 200, 0.3); m.up('gateway'); m.connections_changed(5); m.reload(success=True); m.flush()"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    pids = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", worker], env=environment) as process:
            pids.append(process.pid)
        assert process.returncode == 0
    reader = (
        f"from waitroom.metrics import Metrics, forget_process; forget_process({pids[0]});"
        "print(Metrics().render().decode())"
    )
    text = subprocess.run(
        [sys.executable, "-c", reader], env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert 'waitroom_requests_total{outcome="fresh",room="drop"} 2.0' in text
    assert 'waitroom_backend_request_seconds_bucket{le="0.5",method="GET",status="2xx"} 2.0' in text
    assert 'waitroom_backend_request_seconds_sum{method="GET",status="2xx"} 0.6' in text
    assert 'waitroom_processes{role="gateway"} 1.0' in text
    assert "waitroom_backend_connections 5.0" in text
    assert "waitroom_config_last_reload_success 1.0" in text


def test_without_a_common_directory_there_is_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    forget_process(1)
