"""`make audit`: versions that are known to be safe, a bill of materials in `dist/`, and what an advisory service knows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from tests.audit.advisories import SERVICE, NotAsked, advisories
from tests.audit.bom import bill
from tests.audit.parts import LEAST_SAFE, parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import Distribution

OUTDATED, KNOWN, NOT_ASKED = 1, 2, 3
BILL: Final = Path("dist/waitroom.cdx.json")


def outdated(found: Mapping[str, Distribution]) -> list[str]:
    """Return a sentence for each part that is older than what is safe."""
    return [
        f"{name} {found[name].version} is older than {least}: {why}"
        for name, (least, why) in LEAST_SAFE.items()
        if name in found and Version(found[name].version) < Version(least)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when nothing is known against any part, else the number of what stands against it."""
    asked = argparse.ArgumentParser(prog="make audit", description=__doc__)
    asked.add_argument("--service", default=SERVICE, help="where advisories are asked for")
    asked.add_argument("--bill", type=Path, default=BILL, help="where the bill of materials goes")
    asked.add_argument("--must-ask", action="store_true", help=f"end with {NOT_ASKED} when the service cannot be asked")
    options = asked.parse_args(arguments)
    found = parts()

    old = outdated(found)
    print("\n".join(old) or f"versions: none of {len(found)} parts is older than what is known to be safe")

    options.bill.parent.mkdir(parents=True, exist_ok=True)
    options.bill.write_text(json.dumps(bill(found), indent=1) + "\n", encoding="utf-8")
    print(f"bill of materials: {options.bill} (CycloneDX 1.6, {len(found)} parts)")

    try:
        known = advisories(found, options.service)
    except NotAsked as error:
        print(f"advisories: NOT CHECKED. The service could not be asked, so nothing is known: {error}")
        return OUTDATED if old else NOT_ASKED if options.must_ask else 0
    for name, ids in known.items():
        print(f"advisories: {name} {found[name].version}: {', '.join(ids)}")
    if not known:
        print(f"advisories: none is known about any of {len(found)} parts")
    return OUTDATED if old else KNOWN if known else 0


if __name__ == "__main__":
    raise SystemExit(main())
