"""The table that `make soak` prints: a pytest plugin. A row a test; what it measured, it tells with `record_property`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    terminalreporter.section("soak")
    terminalreporter.line("| what | measured | seconds | |")
    terminalreporter.line("| --- | --- | --: | --- |")
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            if report.when == "call":
                what = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
                measured = ", ".join(f"{name} {value}" for name, value in report.user_properties)
                terminalreporter.line(f"| {what} | {measured} | {report.duration:.0f} | {outcome} |")
