"""Where the static files are: inside the package when installed from a wheel, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_HOMES: Final = (_PACKAGE / "static", _PACKAGE.parent / "static")


def static_path(name: str) -> Path:
    """Return the path of a static file such as `waiting/page.html`; raises `FileNotFoundError`."""
    for home in _HOMES:
        if (home / name).is_file():
            return home / name
    raise FileNotFoundError(f"static file {name!r}: neither in {_HOMES[0]} nor in {_HOMES[1]}; is Waitroom installed?")
