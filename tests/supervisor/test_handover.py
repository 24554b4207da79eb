"""What children are told, and what a running process may take over."""

from __future__ import annotations

import json
from pathlib import Path

from waitroom.domain.room import Room
from waitroom.handover import RESTART_ONLY, in_force, needing_restart, plain, read_back, resolved_secrets, value_of
from waitroom.settings import Settings

SETTINGS = Settings.model_validate({
    "gateway": {"backend": "http://127.0.0.1:9", "trusted_proxies": ["10.0.0.0/8", "::1/128"], "body_limit": "1MB"},
    "keys": {"signing": ["k" * 40]},
    "admin": {"token": "t" * 40},
    "rooms": [{"name": "drop", "rate": 5, "mode": "paused"}],
})  # fmt: skip


def never() -> str:
    raise AssertionError


def test_settings_survive_the_way_to_a_child(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(plain(SETTINGS)))
    assert read_back(path) == SETTINGS
    assert "k" * 40 in path.read_text()


def test_secrets_are_filled_in_only_where_none_is_configured() -> None:
    given = resolved_secrets(SETTINGS, signing_keys=never, admin_token=never, store_url=None, data=Path("/d"))
    assert given == SETTINGS.model_copy(update={"data": Path("/d")})
    made = resolved_secrets(
        Settings(),
        signing_keys=lambda: ["s" * 40],
        admin_token=lambda: "a" * 40,
        store_url="unix:///s",
        data=Path("/d"),
    )
    assert [key.get_secret_value() for key in made.keys.signing] == ["s" * 40]
    assert made.admin.token is not None
    assert made.admin.token.get_secret_value() == "a" * 40
    assert made.store.url == "unix:///s"


def test_what_needs_a_restart_stays_and_is_named_and_the_rest_is_taken_over() -> None:
    fresh = SETTINGS.model_copy(
        update={
            "data": Path("/elsewhere"),
            "gateway": SETTINGS.gateway.model_copy(update={"port": 1, "workers": 7, "pool_size": 3}),
            "rooms": (Room(name="new"),),
        }
    )
    assert needing_restart(SETTINGS, fresh) == ["data", "gateway.port", "gateway.workers"]
    taken = in_force(SETTINGS, fresh)
    assert needing_restart(SETTINGS, taken) == []
    assert (taken.gateway.pool_size, taken.rooms) == (3, fresh.rooms)
    assert in_force(SETTINGS, SETTINGS) == SETTINGS


def test_every_name_that_needs_a_restart_is_a_setting() -> None:
    for name in RESTART_ONLY:
        value_of(SETTINGS, name)
