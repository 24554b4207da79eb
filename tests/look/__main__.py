"""Screenshots into `screenshots/`, light and dark, on phone, desktop and wall.

The waiting page: every state, en and he. The console: every page, in the middle of a sale.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.look import sale
from tests.look.pages import Gallery, a_browser
from waitroom.gateway.page.views import VIEWS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path("screenshots")
LANGUAGES = ("en", "he")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SCREENS = {"phone": (390, 844), "desktop": (1280, 800), "wall": (3840, 2160)}


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    with a_browser() as browser, tempfile.TemporaryDirectory(prefix="waitroom-look-") as directory:
        made = waiting_pages(browser) + console_pages(browser, Path(directory))
    print(f"{made} screenshots in {FOLDER}/")


def waiting_pages(browser: Browser) -> int:
    made = 0
    for screen, (width, height) in SCREENS.items():
        for scheme in SCHEMES:
            with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}) as context:
                gallery = Gallery(context)
                for tag in LANGUAGES:
                    folder = FOLDER / f"{screen}-{scheme}-{tag}"
                    folder.mkdir(parents=True)
                    for view in VIEWS:
                        gallery.show(view, tag).screenshot(path=folder / f"{view}.png", full_page=True)
                        made += 1
    return made


def console_pages(browser: Browser, directory: Path) -> int:
    made = 0
    with sale.a_sale(directory) as sold:
        for screen, (width, height) in SCREENS.items():
            for scheme in SCHEMES:
                folder = FOLDER / f"console-{screen}-{scheme}"
                folder.mkdir(parents=True)
                with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}) as context:
                    page = sold.log_in(context)
                    for view, show in sale.VIEWS.items():
                        show(page, sold)
                        page.screenshot(path=folder / f"{view}.png", full_page=screen != "wall")
                        made += 1
    return made


if __name__ == "__main__":
    main()
