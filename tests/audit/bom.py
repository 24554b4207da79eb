"""A bill of materials: CycloneDX 1.6 of the product and all that it needs to run, the same bytes for the same versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.audit.parts import PRODUCT, needs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import Distribution


def bill(parts: Mapping[str, Distribution]) -> dict[str, Any]:
    """Return the document as JSON has it."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**_component(PRODUCT, parts[PRODUCT]), "type": "application"}},
        "components": [_component(name, part) for name, part in parts.items() if name != PRODUCT],
        "dependencies": [
            {"ref": _url(name, part), "dependsOn": [_url(one, parts[one]) for one in needs(part)]}
            for name, part in parts.items()
        ],
    }


def _component(name: str, part: Distribution) -> dict[str, Any]:
    url = _url(name, part)
    facts: dict[str, Any] = {"bom-ref": url, "type": "library", "name": name, "version": part.version, "purl": url}
    if "License-Expression" in part.metadata:
        facts["licenses"] = [{"expression": part.metadata["License-Expression"]}]
    return facts


def _url(name: str, part: Distribution) -> str:
    return f"pkg:pypi/{name}@{part.version}"
