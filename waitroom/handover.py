"""What the supervisor hands to its children: the settings with every secret filled in, as plain JSON, and back.

Also which settings take effect only at a restart: those that the supervisor itself used to start.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from .settings import KeysSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

RESTART_ONLY: Final = (
    "data",
    "store.url", "store.deadline_ms", "store.replicas_acknowledge",
    "admin.host", "admin.port",
    "gateway.host", "gateway.port", "gateway.workers", "gateway.drain_seconds", "gateway.keep_alive_seconds",
    "gateway.header_seconds", "gateway.body_rate_bytes_per_second", "gateway.body_grace_seconds",
)  # fmt: skip
"""Dotted names. Everything else is taken over on SIGHUP."""


def value_of(settings: Settings, name: str) -> Any:
    """Return the setting of a dotted name."""
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


def needing_restart(old: Settings, new: Settings) -> list[str]:
    """Return the names of the settings that differ and take effect only at a restart."""
    return [name for name in RESTART_ONLY if value_of(old, name) != value_of(new, name)]


def in_force(old: Settings, new: Settings) -> Settings:
    """Return what a running process may take over: `new`, but what needs a restart as in `old`."""
    settings = new
    for name in needing_restart(old, new):
        section, _, key = name.rpartition(".")
        if section:
            changed = getattr(settings, section).model_copy(update={key: value_of(old, name)})
            settings = settings.model_copy(update={section: changed})
        else:
            settings = settings.model_copy(update={key: value_of(old, name)})
    return settings


def resolved_secrets(
    settings: Settings,
    *,
    signing_keys: Callable[[], Sequence[str]],
    admin_token: Callable[[], str],
    store_url: str | None,
    data: Path,
) -> Settings:
    """Return `settings` with the secrets of the data directory where none is configured.

    The two callables are called only if needed, because they make what is not there. `store_url` takes the place of
    `embedded`.
    """
    signing = settings.keys.signing or tuple(SecretStr(key) for key in signing_keys())
    token = settings.admin.token or SecretStr(admin_token())
    store = settings.store if store_url is None else settings.store.model_copy(update={"url": store_url})
    return settings.model_copy(
        update={
            "data": data,
            "keys": KeysSettings(signing=signing),
            "admin": settings.admin.model_copy(update={"token": token}),
            "store": store,
        }
    )


def plain(settings: Settings) -> dict[str, Any]:
    """Return `settings` as JSON values, the secrets readable: for files that this user alone may read."""

    def shown(value: Any) -> Any:
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    values: dict[str, Any] = json.loads(json.dumps(settings.model_dump(), default=shown))
    return values


def read_back(path: Path) -> Settings:
    """Return what `plain` gave, from the file it was written to."""
    return Settings.model_validate_json(path.read_bytes())
