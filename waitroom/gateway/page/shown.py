"""What the page says of a visitor: rough enough to be the same for many who come one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from waitroom.domain.message import EVERYBODY
from waitroom.words.texts import isolated

from .pieces import CODE, GO, HERE, LANGUAGES, NUMBER, POSITION, REFRESH, RESTART, STOP
from .views import VIEWS, view_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from waitroom.domain.room import Room
    from waitroom.words.texts import Language

    from ..standing import Standing

_EXACT_BELOW: Final = 1_000
_LONGEST_MINUTES: Final = 60
_SOONEST_REFRESH_SECONDS: Final = {"called": 2, "missed": 15}
_REFRESH_SECONDS: Final = 5
_STILL: Final = frozenset({"closed", "ended", "admitted", "new", "joining", "blocked", "missed"})
"""Views in which a page without script does not load itself again: nothing comes of it, or the visitor must act."""


class Addresses(NamedTuple):
    """Where the page's script asks, and where its links lead; all are paths of this site."""

    me: str
    join: str
    queue: str
    language: str = ""
    """Where a language is chosen; "" where it cannot be."""
    solver: str = ""
    """The script that solves puzzles."""
    here: str = ""
    """This page: path and query."""
    go: str = ""
    """The page first asked for; "" when it is this address itself."""
    token_url: str = ""
    """Where the page loads itself again without scripts: an address with the place in it, until the browser has shown
    that it keeps cookies. "" when that is this address itself.
    """
    refresh: bool = True
    """Whether the page loads itself again when there is no script."""
    stop_url: str = ""
    """The same page without that; "" when there is none."""
    restart_url: str = ""


class Said(NamedTuple):
    """A message as one visitor reads it."""

    text: str
    lang: str
    """Of the text, "" when it is for everybody."""
    time: str


class Shown(NamedTuple):
    """What the page's markup depends on, but for the position. Numbers are rough, as they are shown."""

    view: str
    placed: bool
    large: bool
    """Whether there is a position to show, and whether it is more than a number."""
    low_minutes: int | None
    high_minutes: int | None
    rate: int
    full: bool
    """The room's capacity is what keeps visitors out."""
    behind: int
    opens_ms: int
    claim_seconds_left: int
    called_minute: int
    kept_until_minute: int
    """In minutes since 1970; 0 when the visitor missed nothing."""
    messages: tuple[Said, ...]
    coded: bool
    refresh_seconds: int
    """0: the page does not load itself again."""
    language_url: str
    refreshes_elsewhere: bool
    stops: bool
    restarts: bool
    """Which of the addresses there are."""
    preview: bool


def shown(
    standing: Standing, language: Language, addresses: Addresses, *, view: str = "", preview: bool = False
) -> Shown:
    """Return what the page says of a visitor, in `view` or the one that their standing asks for."""
    view = view or view_of(standing)
    wait = standing.wait or {"low_minutes": None, "high_minutes": None}
    kept_ms = standing.hold_seconds_left * 1000
    return Shown(
        view=view,
        placed=standing.position > 0,
        large=standing.position == 1 or standing.position >= _EXACT_BELOW,
        low_minutes=wait["low_minutes"],
        high_minutes=wait["high_minutes"],
        rate=rough(standing.admitted_last_minute),
        full=standing.reason == "capacity",
        behind=rough(standing.behind or 0),
        opens_ms=standing.opens_ms or 0,
        claim_seconds_left=standing.claim_seconds_left,
        called_minute=(standing.called_ms or 0) // 60_000 if view == "missed" else 0,
        kept_until_minute=(standing.now_ms + kept_ms) // 60_000 if view == "missed" and kept_ms else 0,
        messages=tuple(said(message, language) for message in standing.messages),
        coded=bool(standing.short_code),
        refresh_seconds=_refresh_seconds(view, standing.poll_after_seconds) if addresses.refresh else 0,
        language_url=addresses.language,
        refreshes_elsewhere=bool(addresses.token_url),
        stops=bool(addresses.stop_url),
        restarts=bool(addresses.restart_url),
        preview=preview,
    )


def rough(number: int) -> int:
    """Return a number that people can take in: exact below 1,000, then two or three leading digits."""
    if number < _EXACT_BELOW:
        return number
    step: int = 10 ** (len(str(number)) - 3)
    return number - number % step


def said(message: Mapping[str, Any], language: Language) -> Said:
    """Return a message in the reader's language, or as it is meant for everybody, or in any language it has."""
    texts: Mapping[str, str] = message["text"]
    at = isolated(language.time(message["at_ms"]))
    for tag in (language.tag, language.tag.partition("-")[0]):
        if tag in texts:
            return Said(texts[tag], tag, at)
    text = texts[EVERYBODY] if EVERYBODY in texts else next(iter(texts.values()))
    return Said(text, "", at)


def _refresh_seconds(view: str, poll_after_seconds: int) -> int:
    if view in _STILL:
        return 0
    return max(poll_after_seconds, _SOONEST_REFRESH_SECONDS.get(view, _REFRESH_SECONDS))


def words_of(now: Shown, room: Room, language: Language) -> dict[str, Any]:
    """Return the variables of a template that hold what `now` says."""
    say, view = language.say, VIEWS[now.view]
    parts = view.parts.split()
    title = say(f"{now.view}_title")
    if "place" in parts and now.placed and now.view != "paused":
        title = f"({NUMBER}) {title}"
    return {
        "lang": language.tag,
        "dir": language.direction,
        "say": say,
        "view": now.view,
        "title": f"{title} – {room.shop_name}" if room.shop_name else title,
        "lead": "called_full" if now.view == "called" else f"{now.view}_lead",
        "position": POSITION,
        "large": now.large,
        "wait": wait_in_words(now.low_minutes, now.high_minutes, language),
        "rate": say("rate_full") if now.full else say("rate", n=now.rate),
        "behind": say("behind", n=now.behind),
        "opens_at": say("opens_at", time=language.date_time(now.opens_ms)),
        "claim_left": f"{clock(now.claim_seconds_left, language)}",
        "missed": missed_in_words(now, language),
        "messages": now.messages,
        "short_code": CODE,
        "here": HERE,
        "languages": LANGUAGES,
        "language_url": now.language_url,
        "action": view.action,
        "main": view.main,
        "go_url": GO,
        "refresh_seconds": now.refresh_seconds,
        "refresh_url": REFRESH if now.refreshes_elsewhere else "",
        "stop_url": STOP if now.stops else "",
        "restart_url": RESTART if now.restarts else "",
        "preview": now.preview,
        "has": {
            "place": "place" in parts and now.placed,
            "waits": "waits" in parts and (now.low_minutes is not None or now.view == "waiting"),
            "rate": "rate" in parts and (now.rate > 0 or now.full),
            "behind": "behind" in parts and now.behind > 0,
            "opens": "opens" in parts and now.opens_ms > 0,
            "claim": "claim" in parts and now.claim_seconds_left > 0,
            "missed": "missed" in parts,
            "keep": "keep" in parts,
            "turn": "turn" in parts,
            "links": "links" in parts,
            "code": "code" in parts and now.coded,
            "go": bool(view.action),
        },
    }


def position_in_words(position: int, language: Language) -> str:
    if position == 1:
        return language.say("next")
    return language.number(position) if position < _EXACT_BELOW else language.say("about", n=position)


def wait_in_words(low: int | None, high: int | None, language: Language) -> str:
    """Return a range of minutes; None and None when it is not known, a high of None when it is open."""
    if low is None:
        return language.say("wait_unknown")
    if high is None:
        return language.say("wait_over_hour") if low >= _LONGEST_MINUTES else language.say("wait_over", n=low)
    return language.say("wait_range", n=high, low=low) if low else language.say("wait_under", n=high)


def missed_in_words(now: Shown, language: Language) -> str:
    times: Sequence[tuple[str, int]] = (("missed_at", now.called_minute), ("missed_until", now.kept_until_minute))
    return " ".join(language.say(key, time=language.time(minute * 60_000)) for key, minute in times if minute)


def clock(seconds: int, language: Language) -> str:
    """Return minutes and seconds, such as 01:45."""
    return language.row.in_digits(f"{seconds // 60:02}:{seconds % 60:02}")
