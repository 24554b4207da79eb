"""Finds a browser for the journeys, or installs one: Debian's Chromium as root, else Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = """\
No browser for the journeys. Install one of:
  as root on Debian or Ubuntu:   apt-get install chromium
  elsewhere:                     .venv/bin/playwright install chromium
"""


def system_browser() -> str | None:
    """Return the path of an installed Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def playwright_browser() -> str | None:
    """Return the path of the Chromium that Playwright downloaded, if it did."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def browser() -> str:
    """Return the path of a browser; raises RuntimeError that says what to install."""
    found = system_browser() or playwright_browser()
    if found is None:
        raise RuntimeError(MISSING)
    return found


def install() -> None:
    """Install Debian's Chromium where root can, Playwright's own elsewhere."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ):
            subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def main() -> int:
    if system_browser() is None and playwright_browser() is None:
        print("installing a browser for the journeys …", file=sys.stderr)
        install()
    try:
        browser()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
