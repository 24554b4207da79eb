"""A shop's own template: what it may do, what is said of a broken one, and what visitors see then."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.front import NOW_MS, Front
from waitroom.domain.room import Room
from waitroom.gateway.page.check import template_mistakes
from waitroom.gateway.page.examples import example
from waitroom.gateway.page.shown import Addresses, shown
from waitroom.gateway.page.waiting import Shop, WaitingPage, variables_of
from waitroom.words.texts import Words

RoomWith = Callable[[str], Room]
pytestmark = pytest.mark.anyio
PART = '{% extends "page.html" %}{% block header %}<header>{{ shop.name }} winter</header>{% endblock %}'
WHOLE = '<html lang="{{ lang }}"><h1>{{ say(view ~ "_heading") }}</h1><p id="position">{{ position }}</p>{{ script }}</html>'
DOCS = Path("docs/page.md").read_text(encoding="utf-8")


@pytest.fixture
def room_with(tmp_path: Path) -> RoomWith:
    def make(template: str) -> Room:
        path = tmp_path / "own.html"
        path.write_text(template)
        return Room(name="default", shop_name="<Maison>", template=str(path))

    return make


async def test_a_template_may_change_a_part_of_the_page(room_with: RoomWith) -> None:
    front = Front(room_with(PART))
    body = (await front.ask()).body
    assert b"<header>&lt;Maison&gt; winter</header>" in body
    assert b"You are in the queue</h1>" in body


async def test_the_template_of_the_docs_works(room_with: RoomWith) -> None:
    room = room_with(DOCS.partition("```html+jinja\n")[2].partition("```")[0])
    assert list(template_mistakes(room)) == []
    body = (await Front(room).ask()).body
    assert "&lt;Maison&gt; · Winter sale".encode() in body
    assert b'<style nonce="nonce">h1 { font-family' in body


async def test_a_template_may_be_a_page_of_its_own_under_the_same_policy(room_with: RoomWith) -> None:
    room = room_with(WHOLE)
    assert list(template_mistakes(room)) == []
    reply = await Front(room).ask()
    assert reply.body.startswith(b'<html lang="en"><h1>')
    assert "script-src 'nonce-nonce'" in (reply.one("content-security-policy") or "")


@pytest.mark.parametrize(
    ("template", "mistakes"),
    [
        ("{% if %}{{ script }}", ["line 1: Expected an expression, got 'end of statement block'"]),
        ("{{ script }}\n{{ placce }}", ["the view before fails: line 2: 'placce' is undefined"]),
        ("{{ script }}{{ say('nothing') }}", ["the view before fails: line 1: 'nothing'"]),
        ("{{ script }}{{ ''.__class__.__mro__ }}", ["the view before fails: line 1: access to attribute '__class__' of 'str' object is unsafe."]),
        ("{% include 'secrets.html' %}{{ script }}", ["the view before fails: line 1: secrets.html"]),
        (
            "<h1>{{ say(view ~ '_heading') }}</h1>",
            ["the view before lacks {{ script }}, without which the page never goes on to the shop"],
        ),
        ("{{ script }}{% if view == 'missed' %}{{ 1 / 0 }}{% endif %}", ["the view missed fails: line 1: division by zero"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_template_is_told_before_anybody_sees_it(
    room_with: RoomWith, template: str, mistakes: list[str]
) -> None:
    assert list(template_mistakes(room_with(template))) == mistakes


def test_a_room_without_a_template_has_nothing_wrong_with_it() -> None:
    assert list(template_mistakes(Room(name="default"))) == []
    assert len(list(template_mistakes(Room(name="default", template="/nowhere.html")))) == 1


@pytest.mark.parametrize("template", ["{% if %}", "{{ 1 / 0 }}{{ script }}"])
async def test_while_people_wait_the_default_page_stands_in_for_a_broken_template(
    room_with: RoomWith, template: str
) -> None:
    front = Front(room_with(template))
    for place in (7, 8):
        front.store.position = place
        assert b"You are in the queue</h1>" in (await front.ask()).body
    assert front.lines.count("template_failed") == 1


async def test_a_logo_that_is_gone_is_told_and_missed_by_nobody_who_waits() -> None:
    front = Front(Room(name="default", logo="/nowhere/logo.svg"))
    assert b"You are in the queue</h1>" in (await front.ask()).body
    assert front.lines.count("template_failed") == 1


def test_every_variable_of_a_template_is_documented() -> None:
    room = Room(name="default")
    now = shown(example("waiting", room, NOW_MS), Addresses("", "", ""))
    variables = variables_of(now, room, Words().language("en", "default", {}), Shop.of(room, ""))
    named = set(
        re.findall(
            r"`(\w+)(?:\([^`]*)?`", "\n".join(line.split("|")[1] for line in DOCS.splitlines() if line.startswith("|"))
        )
    )
    assert set(variables) - named == set()


def test_every_id_that_the_script_fills_is_documented() -> None:
    script = Path("static/waiting/page.js").read_text(encoding="utf-8")
    used = set(re.findall(r'(?:\$|put|reveal)\("(\w+)"', script)) - {"data"}
    assert used - set(re.findall(r"`(\w+)`", DOCS.partition("The script finds")[2])) == set()


async def test_a_page_of_a_room_made_anew_has_its_new_look() -> None:
    page = WaitingPage([], lambda: "nonce", lambda room, reason: None)
    old, new = Room(name="default", colour="#c8102e"), Room(name="default", colour="#00a651")
    for room in (old, new):
        body, _ = page.render(room, example("waiting", room, NOW_MS), "en", Addresses("", "", ""), reload=True)
        assert f"--fill:{room.colour}".encode() in body
