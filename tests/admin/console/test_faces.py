"""The console is a face of the table of verbs: whatever changes something has a form on one of its pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.admin.access.house import BOSS
from waitroom.admin.console.deeds import FORMS
from waitroom.admin.verbs import VERBS
from waitroom.domain.access import Role
from waitroom.domain.audit import Author
from waitroom.domain.short_code import short_code
from waitroom.store.base import Purpose

if TYPE_CHECKING:
    from tests.admin.access.house import House

pytestmark = pytest.mark.anyio

FORM_OF = {
    "create": "/rooms",
    "remove": "/rooms/flash/do/remove",
    "change": "/rooms/flash/do/setting",
    "pause": "/rooms/flash/do/pause",
    "resume": "/rooms/flash/do/resume",
    "close": "/rooms/flash/do/close",
    "open": "/rooms/flash/do/open",
    "message": "/rooms/flash/do/message",
    "ramp": "/rooms/flash/do/ramp",
    "save-preset": "/rooms/flash/do/save-preset",
    "use-preset": "/rooms/flash/do/use-preset",
    "drop-preset": "/rooms/flash/do/drop-preset",
    "admit": "/rooms/flash/do/admit",
    "reset": "/rooms/flash/do/reset",
    "release": "/rooms/flash/visitors/release",
    "revoke": "/rooms/flash/visitors/revoke",
    "front": "/rooms/flash/visitors/front",
    "undo": "/rooms/flash/do/undo",
    "add-account": "/people/add",
    "invite": "/people/invite",
    "give-role": "/people/role",
    "reset-account": "/people/reset",
    "remove-account": "/people/remove",
    "add-token": "/people/tokens/add",
    "revoke-token": "/people/tokens/revoke",
}
"""Verb that changes something → where its form is sent."""
VISITOR = "v" * 22


async def forms(house: House, role: Role) -> set[str]:
    """Return where the forms of every page are sent that somebody of `role` sees of a room made at run time."""
    browser = await house.logged_in("somebody", role)
    made = {"name": "flash", "settings": {"rate": 60, "presets": {"calm": {"rate": 6}}}}
    await house.verbs.perform("create", made, Author("test", "create"))
    await house.store.enter("flash", VISITOR, claims=None, purpose=Purpose.JOIN)
    await house.accounts.add("invited", Role.VIEWER, BOSS)
    await house.access.api_tokens.add("program", Role.VIEWER, None, BOSS)
    pages = [await browser.get(path) for path in ("/", "/people", f"/rooms/flash/visitors?code={short_code(VISITOR)}")]
    for verb in ("pause", "close", "open"):
        await house.verbs.perform(verb, {}, Author("test", verb), room="flash")
        pages.append(await browser.get("/rooms/flash"))
    return {action for page in pages for action in re.findall(r'\b(?:form)?action="([^"]+)"', page.text)}


def test_every_verb_that_changes_something_has_a_form() -> None:
    assert set(FORM_OF) == {name for name, verb in VERBS.items() if verb.changes}


def test_each_form_of_a_room_means_its_verb() -> None:
    meant = {path.rpartition("/")[2]: verb for verb, path in FORM_OF.items() if "/do/" in path}
    assert {form: FORMS[form] for form in meant} == meant
    assert set(FORMS.values()) == set(meant.values())


async def test_administrators_find_every_form_on_a_page(house: House) -> None:
    assert set(FORM_OF.values()) - await forms(house, Role.ADMIN) == set()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR], ids=lambda role: role.word)
async def test_nobody_finds_a_form_that_is_not_theirs(house: House, role: Role) -> None:
    seen = await forms(house, role)
    assert {verb for verb, path in FORM_OF.items() if path in seen} == {
        name for name, verb in VERBS.items() if verb.changes and verb.role <= role
    }
