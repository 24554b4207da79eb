"""Screenshots of the waiting page: every state, en and he, light and dark, on phone, desktop and wall, into `screenshots/`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from tests.look.pages import Gallery, a_browser
from waitroom.gateway.page.views import VIEWS

FOLDER = Path("screenshots")
LANGUAGES = ("en", "he")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SCREENS = {"phone": (390, 844), "desktop": (1280, 800), "wall": (3840, 2160)}


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    made = 0
    with a_browser() as browser:
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
    print(f"{made} screenshots in {FOLDER}/")


if __name__ == "__main__":
    main()
