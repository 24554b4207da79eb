"""The data directory: one owner, secrets made once, nothing readable by others."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from waitroom.datadir import LONGEST_SOCKET_PATH, DataDirectory, Paths, write_private
from waitroom.errors import StartError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_this_user_alone(tmp_path: Path) -> None:
    root = tmp_path / "a" / "data"
    with DataDirectory(root) as data:
        data.announce("gateway", "http://127.0.0.1:1")
        data.hand_over({"a": 1})
        assert mode(root) == 0o700
        assert {mode(path) for path in root.rglob("*") if path.is_file()} == {0o600}
        assert {mode(path) for path in root.rglob("*") if path.is_dir()} == {0o700}
        assert json.loads(data.paths.settings.read_text()) == {"a": 1}


def test_a_second_owner_is_refused_and_told_the_first(tmp_path: Path) -> None:
    with DataDirectory(tmp_path), pytest.raises(StartError, match=rf"in use by process {os.getpid()};.*--data"):
        DataDirectory(tmp_path)
    DataDirectory(tmp_path).close()


def test_run_files_last_as_long_as_the_run(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as data:
        data.announce("admin", "http://127.0.0.1:2")
        assert json.loads(Paths(tmp_path).listener("admin").read_text()) == {
            "url": "http://127.0.0.1:2",
            "pid": os.getpid(),
        }
        (data.paths.metrics / "counter_1.db").write_bytes(b"")
    assert not data.paths.run.exists()
    data.paths.run.mkdir()
    (data.paths.run / "gateway.json").write_text("of a run that was killed")
    with DataDirectory(tmp_path) as again:
        assert list(again.paths.run.iterdir()) == [again.paths.metrics]


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as data:
        keys, token = data.signing_keys(), data.admin_token()
        assert len(keys) == 1
        assert len(keys[0]) >= 43
        assert token != keys[0]
    with DataDirectory(tmp_path) as again:
        assert (again.signing_keys(), again.admin_token()) == (keys, token)
    assert mode(data.paths.signing_keys) == mode(data.paths.admin_token) == 0o600


def test_a_key_file_may_hold_several_keys_and_is_closed_to_others(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as data:
        data.paths.signing_keys.write_text("n" * 40 + "\n\n" + "o" * 40 + "\n")
        data.paths.signing_keys.chmod(0o644)
        assert data.signing_keys() == ("n" * 40, "o" * 40)
        assert mode(data.paths.signing_keys) == 0o600


def test_a_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as data:
        data.paths.signing_keys.write_text("n" * 40 + "\nshort\n")
        with pytest.raises(StartError, match=r"signing-keys: key 2 .* `waitroom keys new`"):
            data.signing_keys()


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as data:
        data.paths.signing_keys.write_bytes(b"\xff\xfe")
        with pytest.raises(StartError, match="signing-keys: not text"):
            data.signing_keys()
        data.paths.admin_token.mkdir()
        with pytest.raises(StartError, match="admin-token: "):
            data.admin_token()


def test_a_place_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"file/data: .*--data"):
        DataDirectory(tmp_path / "file" / "data")
    (tmp_path / "store").write_text("")
    with pytest.raises(StartError, match="store"):
        DataDirectory(tmp_path)


def test_the_stores_socket_lies_in_the_run_directory_or_where_its_path_is_short_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not below tmp_path, whose own length is nobody's choice.
    with tempfile.TemporaryDirectory() as temporary:
        monkeypatch.setattr("tempfile.tempdir", temporary)
        check_store_sockets(Path(temporary) / "s", tmp_path)


def check_store_sockets(short: Path, tmp_path: Path) -> None:
    with DataDirectory(short) as data:
        assert data.store_socket() == data.paths.run / "store.sock"
    with DataDirectory(tmp_path / ("long" * 30)) as data:
        socket = data.store_socket()
        assert len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH
        assert socket == data.store_socket()
        assert mode(socket.parent) == 0o700
        socket.parent.chmod(0o755)
        with pytest.raises(StartError, match="not a private directory"):
            data.store_socket()
    assert not socket.parent.exists()


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "one")
    (tmp_path / f".file.{os.getpid()}").write_text("left by a crash")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
