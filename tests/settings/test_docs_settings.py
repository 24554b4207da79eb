"""docs/settings.md says every setting, flag and exit code, as the code has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from waitroom.cli.outcome import EXIT_CODES
from waitroom.cli.values import default_text
from waitroom.domain.room import Room
from waitroom.mistakes import allowed, is_list
from waitroom.settings import LIMIT_FLAGS, ROWS, SECRETS, flag_text

TEXT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")


def setting_line(name: str) -> str:
    row = ROWS[name]
    flag = f"`{row.flag}`" if row.flag else ""
    return f"| `{name}` | `{row.environment}` | {flag} | `{default_text(row.field)}` | {row.field.description} |"


def room_line(name: str) -> str:
    field = Room.model_fields[name]
    may_be = "a list of patterns" if is_list(field) else allowed(field)
    return f"| `{name}` | {may_be} | `{default_text(field)}` | {field.description} |"


@pytest.mark.parametrize("name", ROWS)
def test_every_setting_has_its_line(name: str) -> None:
    assert setting_line(name) in TEXT, f"add to docs/settings.md:\n{setting_line(name)}"


@pytest.mark.parametrize("name", Room.model_fields)
def test_every_setting_of_a_room_has_its_line(name: str) -> None:
    assert room_line(name) in TEXT, f"add to docs/settings.md:\n{room_line(name)}"


def test_nothing_is_documented_that_is_gone() -> None:
    documented = {line.split("`")[1] for line in TEXT.splitlines() if line.startswith("| `") and line.count("|") >= 5}
    assert documented - set(ROWS) - set(Room.model_fields) == set()


@pytest.mark.parametrize("limit", LIMIT_FLAGS)
def test_the_flags_of_the_only_room_are_documented(limit: str) -> None:
    assert f"`{flag_text(limit)}`" in TEXT
    assert f"`{LIMIT_FLAGS[limit]}`" in TEXT


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_the_variables_that_name_a_file_with_a_secret_are_documented(name: str) -> None:
    assert f"`{ROWS[name].environment}_FILE`" in TEXT


@pytest.mark.parametrize("code", EXIT_CODES)
def test_exit_codes_are_documented(code: int) -> None:
    assert f"| {int(code)} |" in TEXT
