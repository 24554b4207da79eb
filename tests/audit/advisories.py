"""Asks an advisory service, in one request, whether a weakness of any part is known; says so when it cannot be asked."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import Distribution

SERVICE: Final = "https://api.osv.dev/v1/querybatch"
WITHIN_SECONDS: Final = 20.0


class NotAsked(Exception):
    """The service could not be asked: nothing is known of the parts, good or bad."""


def advisories(parts: Mapping[str, Distribution], service: str = SERVICE) -> dict[str, list[str]]:
    """Return the ids of the advisories about each part that has any; raises `NotAsked`."""
    questions = [
        {"package": {"ecosystem": "PyPI", "name": name}, "version": part.version} for name, part in parts.items()
    ]
    request = urllib.request.Request(
        service, json.dumps({"queries": questions}).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=WITHIN_SECONDS) as answer:
            found: list[dict[str, Any]] = json.load(answer)["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAsked(f"{service}: {type(error).__name__}: {error}") from error
    if len(found) != len(questions):
        raise NotAsked(f"{service}: {len(found)} answers to {len(questions)} questions")
    known = {
        name: [str(one["id"]) for one in result.get("vulns", [])] for name, result in zip(parts, found, strict=True)
    }
    return {name: ids for name, ids in known.items() if ids}
