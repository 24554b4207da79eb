"""What a client owes and by when, decided without a connection; times are seconds on a clock that starts at 100."""

from __future__ import annotations

import pytest

from waitroom.gateway.deadlines import NEVER, Deadline, Phase, UnreadAnswer
from waitroom.gateway.protocol import ProtocolLimits

LIMITS = ProtocolLimits(
    first_byte_seconds=1,
    header_seconds=2,
    body_grace_seconds=3,
    body_rate_bytes_per_second=10,
    body_stall_seconds=5,
    linger_seconds=4,
)


def deadline(limits: ProtocolLimits = LIMITS) -> Deadline:
    return Deadline(limits, idle_seconds=6, now=100)


def in_body(limits: ProtocolLimits = LIMITS) -> Deadline:
    began = deadline(limits)
    began.enter(Phase.BODY)
    began.start(100)
    return began


def test_a_connection_owes_its_first_byte() -> None:
    new = deadline()
    assert (new.phase, new.at) == (Phase.NEW, 101)
    assert [new.is_over(now) for now in (100, 100.9, 101, 102)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("phase", "at"),
    [(Phase.HEADER, 102), (Phase.BODY, 103), (Phase.BUSY, NEVER), (Phase.TUNNEL, NEVER), (Phase.DISCARD, NEVER)],
)
def test_a_phase_has_its_full_time_from_its_start(phase: Phase, at: float) -> None:
    entered = deadline()
    entered.enter(phase)
    assert entered.unset == (at != NEVER)
    entered.start(100)
    assert (entered.phase, entered.at) == (phase, at)


def test_an_idle_client_and_one_that_got_its_last_answer_have_some_time() -> None:
    waiting = deadline()
    waiting.enter_idle(100)
    assert (waiting.phase, waiting.at) == (Phase.IDLE, 106)
    waiting.linger(100)
    assert (waiting.phase, waiting.at) == (Phase.DISCARD, 104)


def test_every_byte_of_a_body_buys_time_up_to_what_may_be_in_hand() -> None:
    body = in_body()
    body.body_came(10, 101)
    assert body.at == 104
    body.body_came(1000, 102)
    assert body.at == 107


def test_a_rate_of_zero_sets_a_body_no_deadline() -> None:
    body = in_body(ProtocolLimits(body_rate_bytes_per_second=0))
    body.body_came(1, 101)
    assert body.at == NEVER


def test_time_stands_still_while_it_is_not_the_clients_turn() -> None:
    body = in_body()
    body.pause()
    body.body_came(10, 101)
    assert body.at == NEVER
    body.start(200)
    assert body.at == 203


def test_a_pause_does_not_undo_a_start_that_is_due() -> None:
    body = in_body()
    body.restart()
    body.pause()
    body.body_came(10, 101)
    assert body.unset
    body.stop()
    assert not body.unset


def test_an_answer_must_shrink_in_time_while_nobody_adds_to_it() -> None:
    unread = UnreadAnswer(write_stall_seconds=10)
    looks = [(None, 100), (9, 101), (9, 110), (8, 110.5), (8, 120), (9, 120.5)]
    assert [unread.is_over(unsent, now) for unsent, now in looks] == [False] * 5 + [True]
    assert unread.at == 120.5
    assert not unread.is_over(None, 121)
    assert unread.at == NEVER
