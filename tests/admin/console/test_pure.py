"""What the console decides and draws without asking anybody."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from waitroom.admin.console.deeds import FORMS, beside, deed, making, others
from waitroom.admin.console.friction import question
from waitroom.admin.console.tables import cell, rows
from waitroom.admin.report.document import document, incidents, totals
from waitroom.admin.report.lines import told, what
from waitroom.admin.report.moments import ago, wait_words
from waitroom.admin.report.svg import CHARTS, draw
from waitroom.admin.verbs import VERBS, Mistaken, RoomState
from waitroom.admin.verbs.figures import figures
from waitroom.domain.room import LIVE_FIELDS, Room
from waitroom.errors import Mistake


def state(**changes: Any) -> RoomState:
    room = Room(name="drop", rate=100, capacity=50).changed(changes)
    return RoomState("drop", 3, room, {}, None, store_available=True)


def point(at_s: int, **changes: Any) -> dict[str, Any]:
    return {
        "at_ms": at_s * 1000, "arrivals_per_minute": 60.0, "admitted_per_minute": 30.0, "missed_per_minute": 0.0,
        "left_per_minute": 0.0, "rate": 100, "capacity": 50, "waiting": at_s, "called": 1, "active": 20,
        "requests_per_second": 5.0, "shop_p50_ms": 10.0, "shop_p95_ms": 40.0, "shop_error_share": 0.0,
        "waited_seconds": None, "shown_low_seconds": None, "shown_high_seconds": None, "estimates_held_share": 1.0,
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "given", "asks"),
    [
        ("pause", {}, None),
        ("resume", {}, None),
        ("undo", {}, None),
        ("change", {"changes": {"rate": 10}}, None),
        ("change", {"changes": {"rate": 200}}, None),
        ("change", {"changes": {"rate": 201}}, "2.0 times the rate, for 1,234 visitors"),
        ("change", {"changes": {"rate": None}}, "No rate at all"),
        ("change", {"changes": {"capacity": 500}}, "10.0 times the capacity"),
        ("admit", {"count": 49}, None),
        ("admit", {"count": 50}, "calls 1,234 visitors at once"),
        ("close", {}, "sends 1,234 visitors away"),
    ],
)
def test_what_calms_asks_nothing_and_what_touches_many_says_how_many(
    verb: str, given: dict[str, Any], asks: str | None
) -> None:
    asked = question(verb, given, state(), 1234)
    if asks is None:
        assert asked is None
    else:
        assert asked is not None
        assert asks in asked.words
        assert not asked.typed


@pytest.mark.parametrize(("verb", "given"), [("reset", {}), ("remove", {}), ("change", {"changes": {"mode": "off"}})])
def test_what_cannot_be_taken_back_asks_for_the_rooms_name(verb: str, given: dict[str, Any]) -> None:
    asked = question(verb, given, state(), 1)
    assert asked is not None
    assert asked.typed


@pytest.mark.parametrize("form", FORMS)
def test_every_form_means_a_verb_that_there_is(form: str) -> None:
    fields = {"rate": "1,200", "capacity": "none", "to": "5", "minutes": "2.5", "count": "7", "preset": "calm",
              "setting": "burst", "value": "9", "text.*": "hi", "text.he": " ", "language": "he", "in_language": "שלום", "of": "3"}  # fmt: skip
    verb, given = deed(form, fields)
    VERBS[verb].arguments.model_validate(given)


def test_forms_are_read_as_people_write() -> None:
    assert deed("rate", {"rate": " 1,200 "}) == ("change", {"changes": {"rate": 1200}})
    assert deed("capacity", {"capacity": "None"}) == ("change", {"changes": {"capacity": None}})
    said = {"text.*": "Back soon", "language": "he", "in_language": "מיד", "until": ""}
    assert deed("message", said) == ("message", {"message": {"*": "Back soon", "he": "מיד"}, "until": None})
    assert deed("message", {"text.*": " "}) == ("message", {"message": "", "until": None})
    assert deed("message", {"text.*": "hi", "until": "30 min"}) == ("message", {"message": {"*": "hi"}, "minutes": 30})
    with pytest.raises(Mistaken, match="'many' is no number"):
        deed("rate", {"rate": "many"})
    assert deed("setting", {"setting": "burst", "value": " none "}) == ("change", {"changes": {"burst": "none"}})


@pytest.mark.parametrize("name", ["rate", "capacity", "mode", "name", "match", ""])
def test_a_setting_with_a_form_that_asks_first_is_set_by_no_other_form(name: str) -> None:
    with pytest.raises(Mistaken, match="is not set here"):
        deed("setting", {"setting": name, "value": "9"})


def test_every_other_live_setting_is_shown_as_it_would_be_typed() -> None:
    shown = others(state(sound=False, burst=None, shop_name="Maison").room)
    with_forms = {"rate", "ramp", "capacity", "mode", "message", "message_until", "presets"}
    assert set(shown) == set(LIVE_FIELDS) - with_forms
    assert (shown["sound"], shown["burst"], shown["shop_name"], shown["home_url"]) == ("false", "none", "Maison", "")


def test_a_room_is_made_of_what_was_typed_and_never_of_the_whole_site_unsaid() -> None:
    typed = {"name": " flash ", "match": "/flash*\r\n\r\n POST /cart*", "rate": "1,200", "capacity": ""}
    settings = {"match": ["/flash*", "POST /cart*"], "rate": "1200", "capacity": ""}
    assert making(typed) == {"name": "flash", "settings": settings}
    assert making({"shop_name": " Maison "})["settings"]["shop_name"] == "Maison"
    assert making({"match": " \n"})["settings"]["match"] == [""]


def test_each_mistake_stands_beside_its_field() -> None:
    mistakes = [Mistake("match.0", "wrong"), Mistake("match.3", "odd"), Mistake("rate", "many", "a number"),
                Mistake("room", "all of it")]  # fmt: skip
    assert beside(mistakes) == {"match": "wrong; odd", "rate": "many (a number)", "": "all of it"}


def test_latencies_are_read_at_a_glance() -> None:
    shown = figures(state(), None, None, point(1, shop_p50_ms=4.6, shop_p95_ms=1_234.5), now_ms=0)
    assert (shown["shop_p50_ms"], shown["shop_p95_ms"]) == (4.6, 1_234)


def test_figures_are_there_without_a_store() -> None:
    shown = figures(state(), None, None, None, now_ms=0)
    assert (shown["waiting"], shown["wait"], shown["queueing"]) == (None, "not known", "Nothing is known yet")
    assert [wait_words((0, 1)), wait_words((0, 2)), wait_words((5, 10)), wait_words((60, None))] == [
        "under 1 min", "under 2 min", "5 to 10 min", "over 60 min",
    ]  # fmt: skip


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.id)
def test_charts_are_drawn_with_gaps_where_nothing_is_known_and_marks_where_something_was_done(chart: Any) -> None:
    points = [point(at, shop_p95_ms=None if at == 5 else 40.0) for at in range(1, 1_500)]
    svg = draw(chart, points, [(700_000, 'Dana <b> "60" → 90'), (9_000_000, "later")])
    drawn = ET.fromstring(svg)  # our own text
    titles = [title.text for title in drawn.iter("title")]
    assert titles == ['Dana <b> "60" → 90']
    assert len(svg) < 60_000
    assert "nothing to draw" in draw(chart, points[:1])


@pytest.mark.parametrize(("name", "figure", "joined"), [("waits", "waited_seconds", 4), ("latency", "shop_p95_ms", 0)])
def test_what_is_told_now_and_then_is_a_line_and_a_shop_that_nobody_asks_leaves_a_gap(
    name: str, figure: str, joined: int
) -> None:
    known = {"shop_p50_ms": None, "shop_p95_ms": None}
    points = [point(at, **(known | {figure: 60.0 if at % 5 == 0 else None})) for at in range(1, 26)]
    chart = next(chart for chart in CHARTS if chart.id == name)
    lines = [path for path in draw(chart, points).split("<path") if 'class="line' in path]
    assert sum(path.count("L") for path in lines) == joined


def test_the_report_needs_nothing_but_itself_and_tells_sums_incidents_and_deeds() -> None:
    points = [point(60 * at) for at in range(1, 60)]
    for bad in points[10:15]:
        bad["shop_error_share"] = 0.2
    line = {"at_ms": 600_000, "who": "<dana>", "action": "change", "steps": {"rate": [60, None]}, "reason": "sold out",
            "subject": "", "people": 5}  # fmt: skip
    html = document("drop", points, [line], [told(line)])
    assert dict(totals(points))["Arrivals"] == f"{58 * 60:,}"
    assert [words for _, _, words in incidents(points)] == ["the shop answered with errors"]
    assert "&lt;dana&gt;: change: rate 60 → none (5 visitors) — sold out" in html
    assert "http" not in html.replace("http-equiv", "")
    assert "<script" not in html
    assert "Nothing is known of this time" in document("drop", [], [], [])


def test_what_was_done_is_told_in_one_way() -> None:
    """To whom, from what to what, and how many it touched."""
    line = {"action": "remove-account", "subject": "noa", "steps": {}, "people": 0}
    assert what(line) == "remove-account noa"
    assert what(line | {"action": "reset", "subject": "", "people": 1_200}) == "reset (1,200 visitors)"
    steps = {
        "message": [None, {"en": "Hello", "de": "Hallo"}],
        "presets": [{}, {"calm": {"rate": 1_000}}],
        "off": [True, 1],
    }
    assert what(line | {"action": "change", "subject": "", "steps": steps, "people": 1}) == (
        "change: message none → en: Hello, de: Hallo, presets none → calm: rate: 1,000, off true → 1 (one visitor)"
    )


def test_spans_are_told_roughly() -> None:
    assert [ago(4_000), ago(600_000), ago(20_000_000)] == ["4 s ago", "10 min ago", "5 h ago"]


def test_a_table_tells_the_newest_points_one_by_one_and_the_others_in_even_steps() -> None:
    times = [row["at_ms"] for row in rows([{"at_ms": at} for at in range(900)])]
    assert times[:20] == list(range(899, 879, -1))
    assert times[20:23] == [879, 857, 835]
    assert len(times) == 60
    assert rows([]) == []
    assert [row["at_ms"] for row in rows([{"at_ms": 1}, {"at_ms": 2}])] == [2, 1]
    assert [cell(None), cell(12_431), cell(0.0), cell(90, 1 / 60), cell(0.0123, 100)] == [
        "—",
        "12,431",
        "0",
        "1.5",
        "1.2",
    ]
