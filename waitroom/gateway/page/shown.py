"""What the page says of a visitor: rough enough to be the same for many who come one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from waitroom.domain.message import EVERYBODY
from waitroom.words.texts import isolated

from ..standing import SHARED_FACTS, Standing
from .pieces import CODE, GO, HERE, NUMBER, POSITION, RESTART, STOP, TOKEN_URL
from .views import VIEWS, view_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waitroom.domain.message import Message
    from waitroom.domain.room import Room
    from waitroom.words.texts import Language


_EXACT_BELOW: Final = 1_000
_LONGEST_MINUTES: Final = 60
_SOONEST_REFRESH_SECONDS: Final = {"called": 2, "missed": 15}
_REFRESH_SECONDS: Final = 5
_STILL: Final = frozenset({"closed", "ended", "admitted", "new", "joining", "checking", "blocked", "missed"})
"""Views in which a page without script does not load itself again: nothing comes of it, or the visitor must act."""


class Addresses(NamedTuple):
    """Where the page's script asks, and where its links lead; all are paths of this site."""

    # Those of a room, the same for all.
    me: str
    join: str
    queue: str
    language: str = ""
    """Where a language is chosen; "" where it cannot be."""
    scripts: str = ""
    """Below it are the scripts that deal with challenges."""
    refresh: bool = True
    """Whether the page loads itself again when there is no script."""
    # A visitor's own.
    place: str = ""
    """What follows `me` and `join`: the place of a browser that brings no cookies. "" for all others."""
    here: str = ""
    """This page: path and query."""
    go: str = ""
    """The page first asked for; "" when it is this address itself."""
    token_url: str = ""
    """Where the page loads itself again without scripts: an address with the place in it, until the browser has shown
    that it keeps cookies; then "".
    """
    stop_url: str = ""
    """Where it does not load itself again; "" when there is no such page."""
    restart_url: str = ""
    """Where it does again. These three are `waiting_address`es."""


class Said(NamedTuple):
    """A message as one visitor reads it."""

    text: str
    lang: str
    """Of the text, "" when it is for everybody."""
    time: str


class Shown(NamedTuple):
    """What the page depends on, but for what is each visitor's own. Numbers are rough, as they are shown."""

    view: str
    shared: tuple[Any, ...]
    """The facts of a standing that are not a visitor's own."""
    addresses: Addresses
    """Marks in place of the visitor's own; "" for those that there are not."""
    placed: bool
    large: bool
    """Whether there is a position to show, and whether it is more than a number."""
    rate: int
    behind: int
    called_minute: int
    kept_until_minute: int
    """In minutes since 1970; 0 when the visitor missed nothing."""
    coded: bool
    reload: bool
    """Whether loading the page again is safe."""
    preview: bool
    """A page that asks for nothing and goes nowhere."""
    banner: bool
    """Whether it says so."""

    @property
    def facts(self) -> Standing:
        """The standing, without what is a visitor's own."""
        return Standing(*self.shared)


def shown(
    standing: Standing, addresses: Addresses, *, view: str = "", banner: bool = False, reload: bool = True
) -> Shown:
    """Return what the page says of a visitor. `view`: of a preview, whatever their standing asks for."""
    seen = view or view_of(standing)
    missed = seen == "missed"
    kept_ms = standing.hold_seconds_left * 1000
    # While places are put back, one among those that are back already would be told as less than it is.
    position = 0 if seen == "recovering" else standing.position
    return Shown(
        view=seen,
        shared=standing[:SHARED_FACTS],
        addresses=Addresses(
            addresses.me,
            addresses.join,
            addresses.queue,
            addresses.language,
            addresses.scripts,
            addresses.refresh,
            here=TOKEN_URL if addresses.here and addresses.here == addresses.token_url else HERE,
            go=GO if addresses.go else "",
            token_url=TOKEN_URL if addresses.token_url else "",
            stop_url=STOP if addresses.stop_url else "",
            restart_url=RESTART if addresses.restart_url else "",
        ),
        placed=position > 0,
        large=position == 1 or position >= _EXACT_BELOW,
        rate=rough(standing.admitted_per_minute),
        behind=rough(standing.behind or 0),
        called_minute=standing.called_ms // 60_000 if missed else 0,
        kept_until_minute=(standing.now_ms + kept_ms) // 60_000 if missed and kept_ms else 0,
        coded=bool(standing.short_code),
        reload=reload,
        preview=bool(view),
        banner=banner,
    )


def rough(number: int) -> int:
    """Return a number that people can take in: exact below 1,000, then two or three leading digits."""
    if number < _EXACT_BELOW:
        return number
    step: int = 10 ** (len(str(number)) - 3)
    return number - number % step


def said(message: Message, language: Language) -> Said:
    """Return a message in the reader's language, or as it is meant for everybody, or in any language it has."""
    texts = message.text
    at = isolated(language.time(message.at_ms))
    for tag in (language.tag, language.tag.partition("-")[0]):
        if tag in texts:
            return Said(texts[tag], tag, at)
    text = texts[EVERYBODY] if EVERYBODY in texts else next(iter(texts.values()))
    return Said(text, "", at)


def _refresh_seconds(now: Shown) -> int:
    """Return how soon the page loads itself again where there is no script; 0: it does not."""
    if now.view in _STILL or not now.addresses.refresh:
        return 0
    return max(now.facts.poll_after_seconds, _SOONEST_REFRESH_SECONDS.get(now.view, _REFRESH_SECONDS))


def words_of(now: Shown, room: Room, language: Language) -> dict[str, Any]:
    """Return the variables of a template that hold what `now` says."""
    say, view = language.say, VIEWS[now.view]
    facts, addresses, full = now.facts, now.addresses, now.facts.reason == "capacity"
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
        "wait": wait_in_words(facts.wait, language),
        "rate": say("rate_full") if full else say("rate", n=now.rate),
        "behind": say("behind", n=now.behind),
        "opens_at": say("opens_at", time=language.date_time(facts.opens_ms or 0)),
        "claim_left": clock(facts.claim_seconds_left, language),
        "missed": missed_in_words(now, language),
        "messages": tuple(said(message, language) for message in facts.messages),
        "short_code": CODE,
        "here": addresses.here,
        "language_url": addresses.language,
        "action": view.action,
        "main": view.main,
        "go_url": addresses.go or addresses.token_url,
        "refresh_seconds": _refresh_seconds(now),
        "refresh_url": addresses.token_url or addresses.go,
        "stop_url": addresses.stop_url,
        "restart_url": addresses.restart_url,
        "preview": now.banner,
        "has": {
            "place": "place" in parts and now.placed,
            "waits": "waits" in parts and (facts.wait is not None or now.view == "waiting"),
            "rate": "rate" in parts and (now.rate > 0 or full),
            "behind": "behind" in parts and now.behind > 0,
            "opens": "opens" in parts and facts.opens_ms is not None,
            "claim": "claim" in parts and facts.claim_seconds_left > 0,
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


def wait_in_words(wait: tuple[int, int | None] | None, language: Language) -> str:
    """Return a range of minutes; None when it is not known, an end of None when it is open."""
    if wait is None:
        return language.say("wait_unknown")
    low, high = wait
    if high is None:
        return language.say("wait_over_hour") if low >= _LONGEST_MINUTES else language.say("wait_over", n=low)
    return language.say("wait_range", n=high, low=low) if low else language.say("wait_under", n=high)


def missed_in_words(now: Shown, language: Language) -> str:
    times: Sequence[tuple[str, int]] = (("missed_at", now.called_minute), ("missed_until", now.kept_until_minute))
    return " ".join(language.say(key, time=language.time(minute * 60_000)) for key, minute in times if minute)


def clock(seconds: int, language: Language) -> str:
    """Return minutes and seconds, such as 01:45."""
    return language.row.in_digits(f"{seconds // 60:02}:{seconds % 60:02}")
