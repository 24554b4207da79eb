"""Loads lua/: pastes includes once, reads the keys a script takes from its header, checks them against its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING

from .keys import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

_INCLUDE = re.compile(r"^-- include (\w+)\n", re.MULTILINE)
_KEYS = re.compile(r"^-- KEYS +([a-z ]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script: its verb, its source with includes pasted, the names of the keys it takes, in order.

    `digest` is what the server calls it.
    """

    verb: str
    source: str
    keys: tuple[str, ...]
    digest: str


@cache
def load_scripts() -> Mapping[str, Script]:
    """Return every script by verb, read once; raises ValueError when a name, a header and the key table disagree."""
    lua = files("waitroom.store") / "lua"
    library = {path.name.removesuffix(".lua"): path.read_text() for path in (lua / "lib").iterdir()}
    scripts = [_read(path, library) for path in lua.iterdir() if path.name.endswith(".lua")]
    return {script.verb: script for script in scripts}


def _read(path: Traversable, library: dict[str, str]) -> Script:
    text = path.read_text()
    verb, _, count = path.name.removesuffix(".lua").partition("-")
    header = _KEYS.search(text)
    keys = tuple(header[1].split()) if header else ()
    if str(len(keys)) != count:
        raise ValueError(f"lua/{path.name}: the name says {count} keys, the header names {len(keys)}")
    if unknown := set(keys) - set(NAMES):
        raise ValueError(f"lua/{path.name}: not in the key table: {', '.join(sorted(unknown))}")
    source = paste(text, library)
    return Script(verb, source, keys, sha1(source.encode(), usedforsecurity=False).hexdigest())


def paste(text: str, library: dict[str, str], pasted: set[str] | None = None) -> str:
    """Return `text` with every `-- include name` line replaced by that file of the library, each file once."""
    done = set() if pasted is None else pasted

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name in done:
            return ""
        done.add(name)
        return paste(library[name], library, done)

    return _INCLUDE.sub(replacement, text)
