"""Commands that talk to the admin listener: what they ask, what they say, how they end."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.cli.outcome import Exit
from waitroom.domain.room import LIVE_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Any]

TOKEN = "the-token-of-the-tests"


# -- finding the listener ----------------------------------------------------------------------------------


def test_nothing_running_is_told_with_what_to_do(run: Run) -> None:
    ended = run("status")
    assert ended.code == Exit.UNREACHABLE
    assert "no Waitroom runs on the data directory waitroom-data" in ended.err
    assert "--admin-url" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("way", ["flag", "environment", "file", "default"])
def test_listener_and_token_are_found_in_the_data_directory(run: Run, listener: Any, way: str) -> None:
    data = Path("waitroom-data" if way == "default" else "elsewhere")
    (data / "run").mkdir(parents=True)
    (data / "run" / "admin.json").write_text(json.dumps({"url": listener.url, "pid": 1}))
    (data / "admin-token").write_text(TOKEN + "\n")
    if way == "file":
        Path("waitroom.toml").write_text('data = "elsewhere"\nnonsense = 1\n')
    arguments = ["--data", "elsewhere"] if way == "flag" else []
    environ = {"WAITROOM_DATA": "elsewhere"} if way == "environment" else {}
    assert run("rooms", *arguments, **environ).code == Exit.FINE


@pytest.mark.parametrize("text", ["{", "[]", '{"uri": 1}', '{"url": 3}', "\udcff"])
def test_a_run_file_that_makes_no_sense_counts_as_none(run: Run, text: str) -> None:
    Path("waitroom-data/run").mkdir(parents=True)
    Path("waitroom-data/run/admin.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert run("rooms").code == Exit.UNREACHABLE


def test_the_token_comes_from_the_file_that_a_variable_names(run: Run, listener: Any) -> None:
    Path("secret").write_text(TOKEN)
    environ = {"WAITROOM_ADMIN_URL": listener.url}
    assert run("rooms", WAITROOM_ADMIN__TOKEN_FILE="secret", **environ).code == Exit.FINE
    assert run("rooms", WAITROOM_ADMIN__TOKEN_FILE="not-there", **environ).code == Exit.REFUSED
    assert run("rooms", "--token", TOKEN, **environ).code == Exit.FINE


def test_a_token_that_no_header_can_hold_is_told(run: Run, listener: Any) -> None:
    ended = run("rooms", "--admin-url", listener.url, "--token", "geheim\nß")
    assert ended.code == Exit.USAGE
    assert "geheim" not in ended.err
    assert listener.seen == []


def test_a_wrong_token_says_where_the_right_one_is(run: Run, listener: Any) -> None:
    ended = run("rooms", "--admin-url", listener.url, "--token", "wrong")
    assert ended.code == Exit.REFUSED
    assert "WAITROOM_ADMIN__TOKEN" in ended.err


@pytest.mark.parametrize("url", ["127.0.0.1:8081", "ftp://h", "http://", "http://h:x", "http://[h"])
def test_an_admin_url_that_is_none_is_a_usage_error(run: Run, url: str) -> None:
    assert run("rooms", "--admin-url", url).code == Exit.USAGE


def test_a_listener_that_cannot_be_reached_is_told_with_its_url(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    ended = run("rooms", "--admin-url", url)
    assert ended.code == Exit.UNREACHABLE
    assert f"cannot reach the admin listener at {url}: Connection refused" in ended.err


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, b"[]"), (200, b"{}"), (404, b"<html>"), (302, b"")])
def test_what_is_not_the_admin_listener_is_told_apart(ask: Run, listener: Any, answer: tuple[int, bytes]) -> None:
    listener.answers = [answer]
    ended = ask("rooms")
    assert ended.code == Exit.UNREACHABLE
    assert "is not Waitroom's admin listener" in ended.err
    assert len(listener.seen) == 1, "a redirect is not followed: it would carry the token away"


def test_a_store_that_is_away_is_a_failure_at_work(ask: Run, listener: Any) -> None:
    listener.answers = [listener.problem(503, "the store did not answer")]
    ended = ask("rooms")
    assert (ended.code, ended.err) == (Exit.FAILED, "waitroom: the store did not answer\n")


# -- rooms -------------------------------------------------------------------------------------------------


def test_rooms_lists_what_is_in_force(ask: Run) -> None:
    ended = ask("rooms")
    assert ended.code == Exit.FINE
    header, row = ended.out.splitlines()
    assert header.split()[:4] == ["room", "mode", "matches", "rate/min"]
    assert row.split() == ["shop", "on", "/*", "600", "300", "600", "s", "3", "none"]


def test_no_rooms_is_told_with_what_to_do(ask: Run, listener: Any) -> None:
    listener.rooms = {}
    assert "Add [[rooms]]" in ask("rooms").out
    assert "Add [[rooms]]" in ask("status").out


@pytest.mark.parametrize("command", ["rooms", "status"])
def test_json_is_the_document_of_the_api(ask: Run, listener: Any, command: str) -> None:
    assert ask(command, "--json").json == {"rooms": list(listener.rooms.values())}


# -- set ---------------------------------------------------------------------------------------------------


def test_set_says_from_and_to_and_asks_for_the_version_it_saw(ask: Run, listener: Any) -> None:
    ended = ask("set", "shop", "rate=900", "capacity=none", "mode=paused", "--reason", "it is fine")
    assert ended.out == "shop: rate 600 → 900\nshop: capacity 300 → none\nshop: mode on → paused\n"
    method, path, headers, body = listener.seen[-1]
    assert (method, path) == ("PATCH", "/api/v1/rooms/shop")
    assert body == {"changes": {"rate": 900, "capacity": None, "mode": "paused"}, "reason": "it is fine"}
    assert headers["if-match"] == '"3"'
    assert headers["idempotency-key"]


def test_set_goes_back_to_the_file(ask: Run, listener: Any) -> None:
    assert ask("set", "shop", "rate=file").out == "shop: rate 600 → 600 (as in the file)\n"
    assert listener.seen[-1][3]["changes"] == {"rate": "file"}


def test_set_in_json(ask: Run) -> None:
    document = ask("set", "shop", "rate=0", "--json").json
    assert document == {"name": "shop", "version": 4, "changes": {"rate": {"from": 600, "to": 0}}}


def test_set_tells_every_mistake_and_asks_nothing(ask: Run, listener: Any) -> None:
    ended = ask("set", "shop", "rate=-1", "capcity=1", "mode=pause", "rate=3", "name=b", "fast", "zzz=1", "burst=1.5")
    assert ended.code == Exit.USAGE
    assert ended.err.splitlines() == [
        "waitroom: nothing was changed:",
        '  rate: cannot be -1 (a whole number from 0 to 10000000 or "none")',
        "  'capcity' is no setting of a room (did you mean `capacity`?)",
        "  mode: cannot be 'pause' (did you mean `paused`?; one of `on`, `paused`, `closed`, `off`)",
        "  rate is given twice",
        "  name cannot change while the room runs; change it in the configuration file",
        "  'fast' is not key=value, such as rate=600",
        "  'zzz' is no setting of a room (known: " + ", ".join(LIVE_FIELDS) + ")",
        "  burst: cannot be '1.5' (a whole number from 1 to 10000000 or \"none\")",
    ]
    assert listener.seen == []


def test_what_two_settings_say_together_is_left_to_the_listener(ask: Run, listener: Any) -> None:
    ask("set", "shop", "refresh_seconds=700", "waiting_status=503")
    assert listener.seen[-1][3]["changes"] == {"refresh_seconds": 700, "waiting_status": 503}


def test_a_room_changed_meanwhile_is_refused(ask: Run, listener: Any) -> None:
    first = (200, json.dumps(listener.rooms["shop"]).encode())
    listener.answers = [first, listener.problem(412, "the room is at version 4")]
    ended = ask("set", "shop", "rate=1")
    assert ended.code == Exit.REFUSED
    assert "the room is at version 4\nNothing was changed." in ended.err


def test_mistakes_that_the_listener_finds_are_all_told(ask: Run, listener: Any) -> None:
    first = (200, json.dumps(listener.rooms["shop"]).encode())
    found = [{"where": "refresh_seconds", "what": "too long", "allowed": "at most 600"}, {"what": "no"}, "plain"]
    listener.answers = [first, listener.problem(422, "not valid", mistakes=found)]
    ended = ask("set", "shop", "refresh_seconds=700")
    assert ended.code == Exit.REFUSED
    assert ended.err == "waitroom: not valid:\n  refresh_seconds: too long (at most 600)\n  no\n  plain\n"


def test_a_single_mistake_is_told_once(ask: Run, listener: Any) -> None:
    listener.answers = [listener.problem(422, "code: is none", mistakes=[{"where": "code", "what": "is none"}])]
    assert ask("visitor", "foo").err == "waitroom: code: is none\n"


def test_what_a_room_lacks_is_not_told_as_a_room_that_is_not_there(ask: Run, listener: Any) -> None:
    first = (200, json.dumps(listener.rooms["shop"]).encode())
    listener.answers = [first, listener.problem(404, "there is no preset 'calm'; known: none")]
    assert ask("preset", "use", "shop", "calm").err == "waitroom: there is no preset 'calm'; known: none\n"
    assert "there is no room 'shpo'. Did you mean `shop`?" in ask("pause", "shpo").err


# -- message -----------------------------------------------------------------------------------------------


def test_a_message_replaces_the_one_before(ask: Run, listener: Any) -> None:
    ended = ask("message", "shop", "Sizes 38 and 40 are sold out.", "--reason", "stock")
    assert ended.out == "shop: everybody: Sizes 38 and 40 are sold out.\n"
    _, _, headers, body = listener.seen[-1]
    assert headers["if-match"] == '"3"'
    assert body == {"changes": {"message": {"*": "Sizes 38 and 40 are sold out."}}, "reason": "stock"}


def test_a_translation_is_added_to_the_message_and_ends_with_it(ask: Run, listener: Any) -> None:
    listener.rooms["shop"]["room"] |= {"message": {"*": "Hello"}, "message_until": "2026-11-27T12:00:00+01:00"}
    ended = ask("message", "shop", "שלום", "--language", "he", "--json")
    said = {"message": {"*": "Hello", "he": "שלום"}, "message_until": "2026-11-27T12:00:00+01:00"}
    assert ended.json == {"name": "shop", "version": 4, **said}
    assert listener.seen[-1][3]["changes"] == said


def test_a_message_may_end_by_itself_and_be_taken_away(ask: Run, listener: Any) -> None:
    ended = ask("message", "shop", "Back soon", "--until", "2026-11-27T12:00Z")
    assert ended.out.splitlines()[-1] == "shop: until 2026-11-27T12:00:00Z"
    before = datetime.now(UTC)
    ask("message", "shop", "Back soon", "--minutes", "15")
    until = datetime.fromisoformat(listener.seen[-1][3]["changes"]["message_until"])
    assert before + timedelta(minutes=14.9) < until <= datetime.now(UTC) + timedelta(minutes=15)
    assert ask("message", "shop", "--clear").out == "shop: no message\n"
    assert listener.seen[-1][3]["changes"] == {"message": {}}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "say the text, or --clear"),
        (["Hello", "--clear"], "say the text, or --clear"),
        (["--clear", "--language", "he"], "leave out --language"),
        (["Hello", "--until", "noon"], "is no date and time"),
        (["Hello", "--until", "2026-11-27T12:00Z", "--minutes", "5"], "--until or --minutes"),
        (["Hello", "--minutes", "0"], "--minutes"),
        (["Hello", "--until", "2026-11-27T12:00"], "distance to UTC"),
        (["Hello", "--until", "none"], "leave it out"),
    ],
)
def test_a_message_that_cannot_be_meant_asks_nothing_to_change(
    ask: Run, listener: Any, arguments: list[str], word: str
) -> None:
    ended = ask("message", "shop", *arguments)
    assert (ended.code, word in ended.err) == (Exit.USAGE, True)
    assert all(method == "GET" for method, *_ in listener.seen)


# -- pause, resume, close, open ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [("pause", "on", "paused"), ("resume", "paused", "on"), ("close", "on", "closed"), ("open", "closed", "on")],
)
def test_a_mode_verb_says_from_and_to(ask: Run, listener: Any, verb: str, before: str, after: str) -> None:
    listener.rooms["shop"]["mode"] = before
    assert ask(verb, "shop", "--reason", "why").out == f"shop: {before} → {after}\n"
    assert listener.seen[-1][:2] == ("POST", f"/api/v1/rooms/shop/{verb}")
    assert listener.seen[-1][3] == {"reason": "why"}


def test_a_mode_that_stands_already_is_no_failure(ask: Run, listener: Any) -> None:
    listener.rooms["shop"]["mode"] = "paused"
    ended = ask("pause", "shop")
    assert (ended.code, ended.out) == (Exit.FINE, "shop: paused already\n")
    assert ask("pause", "shop", "--json").json["mode"] == "paused"


def test_an_unknown_room_is_told_with_the_one_it_was_meant_to_be(ask: Run, listener: Any) -> None:
    ended = ask("pause", "shpo")
    assert (ended.code, ended.err) == (Exit.REFUSED, "waitroom: there is no room 'shpo'. Did you mean `shop`?\n")
    assert "Known: shop." in ask("pause", "../../x").err
    assert listener.seen[-2][1] == "/api/v1/rooms/..%2F..%2Fx"


# -- status ------------------------------------------------------------------------------------------------


def test_status_shows_limits_and_counts(ask: Run) -> None:
    header, row = ask("status").out.splitlines()
    assert header.split()[:4] == ["room", "mode", "rate/min", "entered/min"]
    assert row.split() == ["shop", "on", "600", "590", "250", "of", "300", "12", "3", "1", "rate"]


def test_status_says_that_the_store_is_away_and_what_was_changed_live(ask: Run, listener: Any) -> None:
    shop = listener.rooms["shop"]
    shop["room"]["capacity"] = None
    listener.rooms["b"] = shop | {
        "name": "b",
        "census": None,
        "limiting": None,
        "store_available": False,
        "live": {"rate": 1},
    }
    out = ask("status").out
    assert "250 " in out
    assert "The store cannot be reached, so nobody new is admitted: b. Places are safe." in out
    assert "Changed live, by an operator: b (rate)." in out
    assert "store away" in out


def test_names_are_shown_as_they_are_and_never_as_markup(ask: Run, listener: Any) -> None:
    listener.rooms["shop"]["limiting"] = "[red]:smile:"
    assert "[red]:smile:" in ask("status").out


# -- config show -------------------------------------------------------------------------------------------


def test_config_show_marks_what_operators_changed(ask: Run, listener: Any) -> None:
    Path("waitroom.toml").write_text('[[rooms]]\nname = "shop"\nrate = 600\n')
    listener.rooms["shop"]["live"] = {"rate": 900}
    listener.rooms["shop"]["room"]["rate"] = 900
    line = next(line for line in ask("config", "show").out.splitlines() if line.startswith("rooms.shop.rate"))
    assert line.split(maxsplit=2)[1:] == [
        "900",
        "live, set by an operator (waitroom.toml:3: 600)".ljust(len(line.split(maxsplit=2)[2])),
    ]
    document = ask("config", "show", "--json").json
    assert document["running"] is True
    assert document["settings"]["rooms.shop.rate"] == {
        "value": 900,
        "source": "live",
        "configured": 600,
        "configured_source": "waitroom.toml:3",
    }


def test_config_show_works_where_nothing_runs_and_hides_secrets(run: Run) -> None:
    environ = {"WAITROOM_KEYS__SIGNING": "k" * 40, "WAITROOM_STORE__URL": "redis://u:hush@h", "WAITROOM_DATA": "d"}
    ended = run("config", "show", **environ)
    assert ended.code == Exit.FINE
    assert "What operators changed live is not shown: no Waitroom runs" in ended.err
    assert "kkk" not in ended.out
    assert "hush" not in ended.out
    document = run("config", "show", "--json", **environ).json
    assert document["running"] is False
    assert document["config"] is None
    assert document["settings"]["keys.signing"]["value"] == ["********"]
    assert document["settings"]["data"] == {"value": "d", "source": "environment WAITROOM_DATA"}
    assert run("config", "show", "--data", "e", "--json").json["settings"]["data"]["source"] == "flag --data"
