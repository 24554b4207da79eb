"""`waitroom preview`: the page on this machine, and the link for colleagues."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest

from waitroom.cli.outcome import Exit
from waitroom.domain.room import Room
from waitroom.preview import preview_server
from waitroom.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., Any]

KEY = "k" * 40
CONFIG = f"""
[keys]
signing = ["{KEY}"]
[[rooms]]
name = "sale"
language = "he"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "waitroom.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def url() -> Iterator[str]:
    with preview_server(Room(name="sale", shop_name="Maison"), 0, lambda room, reason: None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fetched(url: str) -> tuple[int, str]:
    with urlopen(Request(url)) as answer:  # of this test
        return answer.status, answer.read().decode()


def test_the_local_preview_shows_controls_and_each_page(url: str) -> None:
    status, controls = fetched(f"{url}/?state=called&lang=fr")
    assert (status, "<option selected>called</option>" in controls) == (200, True)
    status, page = fetched(f"{url}/?page=1&state=called&lang=fr")
    assert (status, '<html lang="fr"' in page, "Preview: nobody" in page) == (200, True, False)


@pytest.mark.parametrize("target", ["/nothing", "/?page=1&state=nothing", "/?page=1&state=waiting&lang=xx"])
def test_what_is_not_there_is_not_found(url: str, target: str) -> None:
    with pytest.raises(OSError, match="404"):
        fetched(url + target)


def test_the_link_is_signed_with_the_first_key_and_names_what_to_show(run: Run, config: Path) -> None:
    out = run(
        "preview", "sale", str(config), "--link", "--url", "https://shop.example", "--state", "missed"
    ).out.strip()
    parts = urlsplit(out)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.netloc, parts.path) == ("shop.example", "/.waitroom/sale/preview")
    assert (asked["state"], asked["lang"]) == ("missed", "he")
    Tokens([KEY]).check_preview(asked["token"], "sale", 0)


def test_without_keys_of_its_own_the_link_is_signed_with_those_that_are_kept(run: Run, tmp_path: Path) -> None:
    config, data = tmp_path / "waitroom.toml", tmp_path / "data"
    config.write_text('[[rooms]]\nname = "sale"\n')
    (data / "run").mkdir(parents=True)
    (data / "run" / "gateway.json").write_text(json.dumps({"url": "http://127.0.0.1:8080", "pid": 1}))
    ended = run("preview", "sale", str(config), "--link", "--data", str(data))
    assert (ended.code, "no signing keys" in ended.err) == (Exit.FAILED, True)
    (data / "signing-keys").write_text(KEY + "\n")
    out = run("preview", "sale", str(config), "--link", "--data", str(data)).out.strip()
    assert out.startswith("http://127.0.0.1:8080/.waitroom/sale/preview?")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["sael"], Exit.USAGE, "There is no room 'sael'"),
        (["sale", "--state", "nothing"], Exit.USAGE, "There is no state 'nothing'"),
        (["sale", "--lang", "xx"], Exit.USAGE, "There is no language 'xx'"),
        (["sale", "--link", "--url", "shop"], Exit.USAGE, "is no URL"),
        (["sale", "--link"], Exit.UNREACHABLE, "no Waitroom runs here"),
    ],
)
def test_what_cannot_be_shown_is_said(
    run: Run, config: Path, tmp_path: Path, arguments: list[str], code: Exit, said: str
) -> None:
    name, *options = arguments
    ended = run("preview", name, str(config), "--data", str(tmp_path / "none"), *options)
    assert (ended.code, said in ended.err) == (code, True), ended.err


def test_a_port_that_is_taken_is_named(run: Run, config: Path, url: str) -> None:
    ended = run("preview", "sale", str(config), "--port", url.rsplit(":", 1)[1])
    assert (ended.code, "cannot be listened on" in ended.err) == (Exit.FAILED, True)


def test_check_tells_what_is_wrong_with_a_template(run: Run, tmp_path: Path) -> None:
    config, template = tmp_path / "waitroom.toml", tmp_path / "own.html"
    template.write_text("{{ script }}{{ nothing }}")
    config.write_text(f'[gateway]\nbackend = "http://127.0.0.1:1"\n[[rooms]]\nname = "sale"\ntemplate = "{template}"\n')
    ended = run("check", str(config))
    assert ended.code == Exit.USAGE
    assert f"{template}: the view before fails: line 1: 'nothing' is undefined" in ended.err
