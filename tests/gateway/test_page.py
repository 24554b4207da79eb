"""The waiting page: what it says in each view, and what it may load."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.gateway.front import NOW_MS
from waitroom.gateway.page.waiting import ENGLISH, VIEWS, WaitingPage, rough
from waitroom.gateway.standing import Standing
from waitroom.static_files import static_path


def standing(**changes: object) -> Standing:
    known: dict[str, object] = {
        "room": "default", "state": "waiting", "view": "waiting", "mode": "on", "position": 12, "ahead": 11,
        "wait": {"low_minutes": 2, "high_minutes": 5}, "admitted_last_minute": 60, "poll_after_seconds": 2,
        "claim_seconds_left": 0, "recovering": False, "generation": "g1", "score_us": NOW_MS * 1000,
        "reason": "rate", "behind": 40, "called_ms": 0, "hold_seconds_left": 0, "opens_ms": None, "messages": [],
        "short_code": "7F3K-92QD", "now_ms": NOW_MS,
    }  # fmt: skip
    return Standing(**(known | changes))  # type: ignore[arg-type]


def render(language: str = "en", **changes: Any) -> str:
    page = WaitingPage(lambda: "n0nce", ENGLISH, language)
    return page.render(standing(**changes), me="/.waitroom/default/me", reload=True)[0].decode()


class Seen(HTMLParser):
    """The words a person sees, and every address the page names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self._hidden: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [named[key] or "" for key in ("href", "src", "action") if key in named]
        if tag in {"meta", "link"}:
            return
        if self._hidden or "hidden" in named or tag in {"script", "style", "head", "noscript"}:
            self._hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.words.append(data.strip())


def words(**changes: Any) -> str:
    return " ".join(Seen(render(**changes)).words)


def test_a_waiting_visitor_is_told_place_range_speed_and_that_closing_is_safe() -> None:
    assert words() == (
        "You are in the queue Many people are here at once, so everybody enters in the order they came. "
        "Your place 12 Estimated wait 2 to 5 minutes About 60 people enter each minute. "
        "Check my place This page updates by itself. You can refresh or close it; your place is kept. "
        "Come back with the same browser."
    )


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"position": 1}, "You are next", "<bdi>1</bdi>"),
        ({"position": 12_437}, "about 12,400", "12,437"),
        ({"wait": None}, "not known yet", "minutes"),
        ({"wait": {"low_minutes": 60, "high_minutes": None}}, "more than an hour", "minutes"),
        ({"admitted_last_minute": 0}, "Your place", "each minute"),
        ({"admitted_last_minute": 1}, "About one person", "people enter"),
        ({"view": "paused"}, "Entry is paused", "Estimated wait"),
        (
            {"view": "called", "state": "called", "position": 0, "claim_seconds_left": 90},
            "for 90 seconds",
            "Your place",
        ),
        ({"view": "called", "state": "called", "position": 0}, "It is your turn", "updates by itself"),
        ({"view": "closed", "state": "closed", "position": 0}, "Closed", "refresh or close"),
        ({"view": "closed", "state": "closed", "position": 0}, "Check again", "my place"),
        ({"view": "reconnecting", "position": 0}, "Your place is safe", "Estimated wait"),
        ({"view": "recovering"}, "old order", "Estimated wait"),
        ({"view": "new", "position": 0}, "Go on", "Estimated wait"),
        ({"view": "active", "position": 0}, "Go on", "Estimated wait"),
    ],
)
def test_each_view_says_what_is_true(changes: dict[str, object], said: str, unsaid: str) -> None:
    shown = words(**changes)
    assert said in shown
    assert unsaid not in shown


def test_the_title_counts() -> None:
    assert "<title>(12) You are in the queue</title>" in render()


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_is_small_and_loads_nothing(view: str) -> None:
    html = render(view=view)
    assert len(html) < 14_000
    assert [address for address in Seen(html).addresses if not address.startswith("data:")] == [""]
    assert "url(" not in html
    assert "@import" not in html


def test_every_style_and_script_bears_the_nonce_and_nothing_is_inline_elsewhere() -> None:
    html = render()
    assert re.findall(r"<(?:style|script)(?![^>]*nonce=\"n0nce\")", html) == []
    assert re.findall(r"\sstyle=|\son\w+=", html) == []


def test_the_policy_forbids_all_but_our_own() -> None:
    headers = dict(WaitingPage(lambda: "n0nce").render(standing(), me="/", reload=True)[1])
    assert headers[b"content-security-policy"] == (
        b"default-src 'none'; style-src 'nonce-n0nce'; script-src 'nonce-n0nce'; img-src data:; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )
    assert headers[b"cache-control"] == b"no-store"


def test_visitors_who_are_shown_the_same_have_their_own_nonce_place_and_address_in_it() -> None:
    nonces = iter(["n0nce-a", "n0nce-b"])
    page = WaitingPage(lambda: next(nonces))
    one, _ = page.render(standing(position=12_345, score_us=1), me="/a/me", reload=True)
    other, _ = page.render(standing(position=12_346, score_us=2), me="/b/me", reload=False)
    assert [(html.count(b"n0nce-a"), html.count(b"n0nce-b")) for html in (one, other)] == [(4, 0), (0, 4)]
    assert [re.findall(rb'"position": (\d+)', html) for html in (one, other)] == [[b"12345"], [b"12346"]]
    assert [(b'"/a/me"' in html, b'"/b/me"' in html) for html in (one, other)] == [(True, False), (False, True)]
    assert one.count(b"about <bdi>12,300</bdi>") == other.count(b"about <bdi>12,300</bdi>") == 1


def test_without_scripts_the_page_asks_again_by_itself_unless_there_is_nothing_to_wait_for() -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in render()
    assert 'content="40"' in render(poll_after_seconds=40, view="paused")
    assert 'content="2"' in render(view="called")
    assert "http-equiv" not in render(view="closed")


def test_nothing_in_the_data_can_end_its_script() -> None:
    assert "</script><b>" not in render(generation="</script><b>")


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("he", "rtl"), ("ar-EG", "rtl"), ("pt-BR", "ltr")])
def test_the_page_runs_in_the_direction_of_its_language(language: str, direction: str) -> None:
    assert f'<html lang="{language}" dir="{direction}">' in render(language)


@pytest.mark.parametrize(("number", "shown"), [(999, 999), (1_000, 1_000), (12_437, 12_400), (1_239_999, 1_230_000)])
def test_large_numbers_are_told_roughly_and_never_as_more(number: int, shown: int) -> None:
    assert rough(number) == shown


def test_a_static_file_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"waiting/nothing\.html"):
        static_path("waiting/nothing.html")
