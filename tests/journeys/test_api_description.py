"""What the admin listener does is what its description says: thousands of requests made of it, by schemathesis."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.stage import ADMIN_TOKEN, serving, write_config

pytestmark = pytest.mark.journey

SECONDS = 6
UNTOLD = "positive_data_acceptance"
"""The one check left out: what settings mean to each other is told by 422 and its mistakes, not by the description."""


def test_the_admin_listener_keeps_to_its_description(tmp_path: Path) -> None:
    config = write_config(tmp_path, backend="http://127.0.0.1:9", rate=600)
    with serving(config, tmp_path) as running:
        bearer = f"Bearer {ADMIN_TOKEN}"
        described = urllib.request.Request(
            f"{running.admin_url}/api/v1/openapi.json", headers={"authorization": bearer}
        )
        with urllib.request.urlopen(described, timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
        point_at_room(document, "sale")
        path = tmp_path / "openapi.json"
        path.write_text(json.dumps(document))
        tried = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "run", path, "--url", running.admin_url,
                "--header", f"Authorization: {bearer}", "--phases", "coverage,fuzzing", "--exclude-checks", UNTOLD,
                "--max-time", str(SECONDS), "--max-examples", "5", "--seed", "1", "--continue-on-failure", "--no-color",
            ],
            capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert tried.returncode == 0, tried.stdout[-6_000:] + tried.stderr[-2_000:]
        assert f"Selected: {sum(map(len, document['paths'].values()))}" in tried.stdout
        assert not [event for event in running.events() if event["level"] == "error"]


def point_at_room(document: dict[str, Any], room: str) -> None:
    """Let requests go to a room that is there; that others are 404 is shown elsewhere."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if (parameter["name"], parameter["in"]) == ("room", "path"):
                    parameter["schema"] = {"type": "string", "enum": [room]}
