"""good/NAME.toml resolves to what NAME.txt says; bad/NAME.toml has the mistakes of NAME.txt. A test more is a file more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from waitroom.cli.config import values_by_name
from waitroom.cli.values import as_text
from waitroom.configuration import load
from waitroom.errors import ConfigurationError

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").glob("*.toml"))
BAD = sorted((HERE / "bad").glob("*.toml"))
SECRETS = ("a-password", "a-short-secret", "short-secret", "a-token-of", "0123456789abcdef", "fedcba98", "secret@")


def resolved_text(file: str) -> str:
    """Every value that is not the default, and where it came from."""
    resolved = load(Path(file), {}, {})
    values: dict[str, Any] = values_by_name(resolved)
    lines = [
        f"{name} = {as_text(value)} ({resolved.sources[name]})"
        for name, value in values.items()
        if resolved.sources[name] != "default"
    ]
    return "\n".join(lines) + "\n"


def mistakes_text(file: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(Path(file), {}, {})
    return "\n".join(map(str, caught.value.mistakes)) + "\n"


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_file_resolves_as_written_beside_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    text = resolved_text(file.name)
    assert file.with_suffix(".txt").read_text("utf-8") == text
    assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_file_has_every_mistake_written_beside_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    text = mistakes_text(file.name)
    assert file.with_suffix(".txt").read_text("utf-8") == text
    assert not any(secret in text for secret in SECRETS)
