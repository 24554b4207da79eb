"""Standing: what a visitor may know of their place. The JSON of `me`, and what the page is rendered from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from waitroom.domain.admission import limiting
from waitroom.domain.room import Mode
from waitroom.domain.short_code import short_code
from waitroom.domain.view import opens_ms_of, own_view
from waitroom.domain.visit import Answer, Visit

if TYPE_CHECKING:
    from waitroom.domain.message import Message
    from waitroom.domain.room import Room
    from waitroom.domain.visit import Census
    from waitroom.store.base import RoomRecord


MOST_REMEMBERED: Final = 99_999_999
"""The largest position that a token has room for."""


class Standing(NamedTuple):
    """Where a visitor stands. Times are the store's, in ms since the epoch."""

    room: str
    state: str
    """new, waiting, called, missed, active, closed, off, challenged, blocked or reconnecting."""
    view: str
    """Which page that is (domain/view.py)."""
    mode: str
    """The mode in force: a room that opens later is paused until then."""
    reason: str
    """What keeps the next visitor out, as `domain.admission.Limit` says it; "" when that is not known."""
    wait: tuple[int, int | None] | None
    """Minutes from and to (None: open), or None when nobody can say."""
    poll_after_seconds: int
    claim_seconds_left: int
    """For called: how long the turn is kept."""
    recovering: bool
    generation: str
    opens_ms: int | None
    """When the room opens, while that is to come."""
    messages: tuple[Message, ...]
    """What the shop says, newest first."""
    # From here on a visitor's own, or not the same for long.
    position: int = 0
    """1 is next; 0 when not waiting or not known."""
    ahead: int = 0
    behind: int | None = None
    """How many came later and wait; None when that is not known."""
    admitted_per_minute: int = 0
    """As measured; 0 also while that cannot be told."""
    called_ms: int = 0
    """For called and missed: when the turn came; else 0."""
    hold_seconds_left: int = 0
    """For missed: how long the place at the front is kept."""
    score_us: int = 0
    short_code: str = ""
    """What a visitor quotes to customer service; "" without a place."""
    now_ms: int = 0
    """The store's time."""

    @property
    def lasting_position(self) -> int:
        """The position if it may be held against later ones: not while a queue is put back together from its tokens."""
        return 0 if self.recovering else min(self.position, MOST_REMEMBERED)

    def as_json(self) -> dict[str, Any]:
        document = self._asdict()
        if self.wait is not None:
            low_minutes, high_minutes = self.wait
            document["wait"] = {"low_minutes": low_minutes, "high_minutes": high_minutes}
        document["messages"] = [message.as_json() for message in self.messages]
        return document


SHARED_FACTS: Final = Standing._fields.index("position")
"""So many come first that are the same for all who are shown the same page."""


def standing_of(
    record: RoomRecord,
    state: str,
    visit: Visit | None,
    census: Census | None,
    *,
    now_ms: int,
    visitor: str,
    cookies_off: bool,
    position: int,
    wait: tuple[int, int | None] | None,
    admitted_per_minute: int,
    poll_after_seconds: int,
) -> Standing:
    """Return the standing of `visitor` (empty: of nobody known); `visit` is the store's answer about them, if any.

    Who keeps no cookies (`cookies_off`) has a place like others, and cannot take their turn: the pass is a cookie.
    """
    room = record.room
    recovering = census is not None and census.recovering_ms > 0
    left_ms = 0 if visit is None else visit.left_ms
    return Standing(
        room=room.name,
        state=state,
        view="cookies_off"
        if cookies_off and state in {"waiting", "called", "missed"}
        else own_view(state, room, now_ms, recovering=recovering, challenge="" if visit is None else visit.challenge),
        mode=room.mode_at(now_ms).value,
        reason="" if census is None else limiting(room, census).value,
        position=position,
        ahead=max(0, position - 1),
        behind=max(0, census.waiting - position) if position and census is not None else None,
        wait=wait,
        admitted_per_minute=admitted_per_minute,
        poll_after_seconds=poll_after_seconds,
        claim_seconds_left=left_ms // 1000 if state == "called" else 0,
        called_ms=0 if visit is None else called_ms(room, visit),
        hold_seconds_left=left_ms // 1000 if state == "missed" else 0,
        recovering=recovering,
        generation="" if visit is None else visit.generation,
        score_us=visit.score_us if visit is not None and state != "active" else 0,
        opens_ms=opens_ms_of(room, now_ms),
        messages=record.messages_at(now_ms),
        short_code=short_code(visitor) if visitor else "",
        now_ms=now_ms,
    )


def state_of(room: Room, visit: Visit | None, *, active: bool = False) -> str:
    """Return the state that the store's answer means; without one, of a pass holder (`active`) or of nobody known."""
    if visit is None:
        if active:
            return "active"
        return room.mode.value if room.mode in {Mode.CLOSED, Mode.OFF} else "new"
    match visit.answer:
        case Answer.ADMITTED:
            return "active"
        case Answer.REFUSED:
            return "reconnecting" if visit.provisional else "new"
        case Answer.WAITING if visit.provisional:
            return "reconnecting"
        case _:
            return visit.answer.value


def position_of(state: str, visit: Visit, least: int) -> int:
    """Return the position of somebody who waits, else 0; at most `least`, unless that is 0."""
    if state != "waiting":
        return 0
    return min(visit.position, least) if least else visit.position


def called_ms(room: Room, visit: Visit) -> int:
    """Return when a called or missed visitor was called; 0 for all others.

    It is told back from how long the turn or the place is still kept, so a pause since then makes it too late by its
    length, and a limit that was changed since then by the change.
    """
    claim_ms, hold_ms = room.claim_seconds * 1000, room.hold_minutes * 60_000
    if visit.answer is Answer.CALLED:
        return visit.now_ms - max(0, claim_ms - visit.left_ms)
    if visit.answer is Answer.MISSED:
        return visit.now_ms - max(0, hold_ms - visit.left_ms) - claim_ms
    return 0
