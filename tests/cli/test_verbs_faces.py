"""The command line is a face of the table of verbs: every verb has a command, and each is tried on a real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from waitroom.admin.verbs import VERBS
from waitroom.cli import COMMANDS, waitroom
from waitroom.cli.outcome import Exit
from waitroom.domain.short_code import short_code
from waitroom.store.base import Purpose
from waitroom.store.connect import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Any]

COMMAND_OF = {
    "rooms": "rooms",
    "show": "status",
    "live": "watch",
    "create": "room create",
    "remove": "room remove",
    "change": "set",
    "pause": "pause",
    "resume": "resume",
    "close": "close",
    "open": "open",
    "message": "message",
    "ramp": "ramp",
    "save-preset": "preset save",
    "use-preset": "preset use",
    "drop-preset": "preset drop",
    "admit": "admit",
    "reset": "reset",
    "visitor": "visitor",
    "release": "visitor",
    "revoke": "visitor",
    "front": "visitor",
    "journal": "journal",
    "history": "history",
    "forecast": "forecast",
    "undo": "undo",
    "audit": "audit",
    "export": "export",
    "report": "report",
    "accounts": "account list",
    "add-account": "account add",
    "invite": "account link",
    "give-role": "account role",
    "reset-account": "account reset",
    "remove-account": "account remove",
    "tokens": "token list",
    "add-token": "token add",
    "revoke-token": "token revoke",
}
"""Verb → the command that calls it."""


def test_every_verb_has_a_command() -> None:
    assert set(COMMAND_OF) == set(VERBS)


@pytest.mark.parametrize("words", sorted(set(COMMAND_OF.values())))
def test_every_command_is_there_and_can_go_straight_to_the_store(words: str) -> None:
    context = click.Context(waitroom)
    command: click.Command | None = waitroom
    for word in words.split():
        assert isinstance(command, click.Group)
        command = command.get_command(context, word)
    assert command is not None, words
    assert words.split(maxsplit=1)[0] in COMMANDS
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--store", "--data", "--token", "--admin-url"} <= options
    assert "--json" in options or words in {"export", "report"}


@pytest.fixture
def on_store(run: Run, valkey_url: str) -> Run:
    """Run a command straight on the store that ./waitroom.toml names."""
    Path("waitroom.toml").write_text(
        f'[store]\nurl = "{valkey_url}"\n[[rooms]]\nname = "shop"\nrate = 0\nfront_limit = 1\n'
    )
    return lambda *arguments: run(*arguments, "--store")


async def join(valkey_url: str, *visitors: str) -> None:
    from waitroom.configuration import load

    store = open_store(valkey_url, load(None, {}, {}, needs_backend=False).settings.rooms, deadline_ms=5_000)
    for visitor in visitors:
        await store.enter("shop", visitor, claims=None, purpose=Purpose.JOIN)
    await store.aclose()


def joined(valkey_url: str, *visitors: str) -> None:
    import asyncio

    asyncio.run(join(valkey_url, *visitors))


ADA, BOB = "visitor-aaaaaaaaaaaa", "visitor-bbbbbbbbbbbb"


def test_a_sale_is_run_straight_on_the_store(on_store: Run, valkey_url: str) -> None:
    joined(valkey_url, ADA, BOB)
    assert on_store("forecast", "shop", "rate=60").out.startswith("shop: touches 2 visitors\nwait of the last")
    assert on_store("set", "shop", "capacity=5").out == "shop: capacity none → 5\n"
    assert on_store("pause", "shop", "--reason", "checkout is slow").out == "shop: on → paused\n"
    assert on_store("undo", "shop").out == "shop: mode paused → on\n"
    assert on_store("ramp", "shop", "600", "--minutes", "10").code == Exit.FINE
    assert on_store("preset", "save", "shop", "calm", "rate=60").code == Exit.FINE
    assert "rate 600 → 60" in on_store("preset", "use", "shop", "calm").out
    assert "calm: rate: 60" in on_store("preset", "list", "shop").out
    assert on_store("preset", "drop", "shop", "calm").code == Exit.FINE
    assert on_store("message", "shop", "Sizes are sold out.").code == Exit.FINE
    assert on_store("status", "shop", "--json").json["rooms"][0]["room"]["rate"] == 60
    told = on_store("visitor", short_code(BOB), "--front", "--reason", "cart lost").out
    assert f"{short_code(BOB)} in shop: waits at position 1" in told
    assert "an operator put them back at the front" in told
    assert on_store("visitor", short_code(ADA), "--front", "--reason", "again").code == Exit.REFUSED
    assert on_store("admit", "shop", "1", "--yes").out == "shop: called 1 of 1 asked for\n"
    assert on_store("visitor", short_code(BOB), "--json").json["now"]["state"] == "called"
    assert on_store("visitor", short_code(ADA), "--revoke").out.startswith(f"{short_code(ADA)} in shop: is not here")
    assert on_store("visitor", "7F3K-92QD").code == Exit.REFUSED
    assert on_store("reset", "shop", "--yes").out == "shop: 1 lost their place\n"
    assert on_store("room", "create", "flash", 'match=["/flash*"]', "rate=60").code == Exit.FINE
    assert on_store("room", "remove", "flash", "--yes").code == Exit.FINE
    assert on_store("journal", "shop").code == on_store("history", "shop").code == Exit.FINE

    audit = on_store("audit", "--json", "--limit", "100").json["changes"]
    assert {line["source"] for line in audit} == {"command line"}
    assert [line["action"] for line in audit][:3] == ["remove", "create", "reset"]
    assert "checkout is slow" in on_store("audit", "shop").out
    table = on_store("export", "audit").out
    assert table.startswith("id,at_ms,room")
    lines = on_store("export", "audit", "shop", "--format", "jsonl").out.splitlines()
    assert len(lines) == len([line for line in audit if line["room"] == "shop"])
    assert json.loads(lines[0])["action"] == "change"


def test_what_is_wrong_is_told_in_the_same_words_as_by_the_listener(on_store: Run, valkey_url: str) -> None:
    assert "Did you mean `shop`?" in on_store("pause", "shpo").err
    assert on_store("set", "shop", "refresh_seconds=900").code == Exit.REFUSED
    assert "use `resume`" in (on_store("pause", "shop"), on_store("open", "shop"))[1].err
    assert on_store("room", "remove", "shop", "--yes").code == Exit.REFUSED
    assert on_store("preset", "use", "shop", "calm").err == "waitroom: there is no preset 'calm'; known: none\n"
    ramp = on_store("ramp", "shop", "60", "--minutes", "0").err
    assert ramp == "waitroom: minutes: cannot be 0.0 (a number above 0 up to 1440)\n"
    Path("waitroom.toml").write_text('[store]\nurl = "unix:///nonexistent.sock"\n')
    assert on_store("rooms").code == Exit.FAILED
    Path("waitroom.toml").write_text("")
    assert "the embedded store runs with Waitroom only" in on_store("rooms").err


def test_what_touches_people_asks_first(on_store: Run, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    joined(valkey_url, ADA)
    monkeypatch.setattr("click.confirm", lambda question, **_: "one visitor would lose their place" not in question)
    assert on_store("reset", "shop").code == Exit.REFUSED
    assert on_store("status", "--json").json["rooms"][0]["census"]["waiting"] == 1
