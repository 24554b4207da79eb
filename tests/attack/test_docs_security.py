"""docs/security.md names a test for each threat, and each is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT.parent / "docs" / "security.md").read_text("utf-8")


def test_each_threat_has_a_test_and_each_test_is_there() -> None:
    there = {
        name for path in ROOT.rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
    }
    threats = [
        line for line in TEXT.partition("## Threat by threat")[2].splitlines() if re.match(r"\| (?!threat)[^-]", line)
    ]
    assert len(threats) > 35
    for line in threats:
        named = re.findall(r"`(test_\w+)`", line)
        assert named, line
        assert not set(named) - there, line
