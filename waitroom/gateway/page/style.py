"""The page's style sheet in a shop's colours, each as strong as it must be to be read (WCAG 2.2 AA)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from waitroom.domain.look import contrast, text_on
from waitroom.static_files import static_path

if TYPE_CHECKING:
    from waitroom.domain.room import Room

_LIGHT_CARD: Final = "#ffffff"
_DARK_CARD: Final = "#171e26"
_READABLE: Final = 5.0
"""Contrast of coloured text with the card: 4.5 is asked for, and the tint behind some of it takes a little."""
_LIGHT_TINT, _DARK_TINT = 0.08, 0.16
"""How much of the colour is in what lies behind a message."""


def style_sheet(room: Room) -> str:
    """Return the style of a room's page."""
    return static_path("waiting/page.css").read_text(encoding="utf-8").replace("\n", "") + colours(room)


def colours(room: Room) -> str:
    """Return the rules that put the room's colours in place of the page's own."""
    light: list[str] = []
    dark: list[str] = []
    if colour := room.colour:
        for rules, card, towards, share in (
            (light, _LIGHT_CARD, "#000000", _LIGHT_TINT),
            (dark, _DARK_CARD, "#ffffff", _DARK_TINT),
        ):
            tint = mixed(card, colour, share)
            rules += [
                f"--fill:{colour}",
                f"--on:{text_on(colour)}",
                f"--tint:{tint}",
                f"--hue:{readable(colour, tint, towards)}",
            ]
    if room.background:
        light += [f"--paper:{room.background}", f"--on-paper:{text_on(room.background)}"]
    css = f":root{{{';'.join(light)}}}" if light else ""
    if dark or room.background:
        dark += ["--paper:#0d1218", "--on-paper:#adb9c5"] if room.background else []
        css += f"@media (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}"
    return css


def readable(colour: str, behind: str, towards: str) -> str:
    """Return the nearest to `colour`, on the way to black or white, that can be read on `behind`."""
    for step in range(41):
        mix = mixed(colour, towards, step / 40)
        if contrast(mix, behind) >= _READABLE:
            return mix
    return towards


def mixed(one: str, other: str, share: float) -> str:
    """Return `one` with `share` (0 to 1) of `other` in it."""
    pairs = [(int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)
