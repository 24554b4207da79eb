"""Finds what the tests need beside Python, or installs it: a browser (Debian's Chromium as root, else Playwright's own) and, as
root on Debian, the nginx that the proxy is compared with, a Redis as a second make of store, openssl for certificates, faketime for
a clock that is off, and Prometheus for the files of deploy/prometheus.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
NAMES = ("chromium", "chromium-browser", "google-chrome")
BESIDE = {
    "nginx": "nginx",
    "redis-server": "redis-server",
    "openssl": "openssl",
    "prometheus": "promtool",
    "faketime": "faketime",
}
"""Debian's packages, and the program that each brings."""
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


def is_debian_root() -> bool:
    """Whether Debian's packages can be installed."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install packages of Debian's."""
    print(f"installing {', '.join(packages)} …", file=sys.stderr)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, stdout=subprocess.DEVNULL, check=False)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)


def main() -> int:
    needs_browser = system_browser() is None and playwright_browser() is None
    if is_debian_root():
        missing = ["chromium"] * needs_browser
        missing += [package for package, program in BESIDE.items() if shutil.which(program, path=SYSTEM_PATH) is None]
        if missing:
            install(*missing)
    elif needs_browser:
        print("installing a browser …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    try:
        browser()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
