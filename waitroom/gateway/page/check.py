"""What is wrong with a shop's own template, found by rendering each view with it before a visitor is shown any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from waitroom.words.texts import Words

from .examples import example
from .pieces import SCRIPT
from .shown import Addresses, shown
from .template import TemplateBroken, in_words, own_template
from .views import VIEWS
from .waiting import Shop, variables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from waitroom.domain.room import Room

_EXAMPLE_MS = 1_800_000_000_000


def template_mistakes(room: Room) -> Iterator[str]:
    """Return what is wrong with the template that `room` names, a sentence each; nothing when it names none."""
    if not room.template:
        return
    try:
        template = own_template(Path(room.template).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TemplateBroken) as error:
        yield str(error)
        return
    language = Words().language(room.language, room.name, room.words)
    told = set()
    for view in VIEWS:
        now = shown(example(view, room, _EXAMPLE_MS), Addresses("/me", "/join", "/queue.json"), view=view)
        try:
            page = template.render(variables_of(now, room, language, Shop.of(room, "")))
        except Exception as error:  # noqa: BLE001  # whatever a template may do is what is asked here
            what = in_words(error)
            if what not in told:
                told.add(what)
                yield f"the view {view} fails: {what}"
        else:
            if SCRIPT not in page:
                yield f"the view {view} lacks {{{{ script }}}}, without which the page never goes on to the shop"
                return
