"""Claims ⇄ signed text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitroom.domain.claims import QUEUE_TOKEN_SECONDS, PassClaims, QueueClaims
from waitroom.errors import TokenRejected
from waitroom.tokens import MAX_TEXT, Tokens, is_pass

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_MS = 1_763_756_603_000
KEY = "a" * 40
TOKENS = Tokens([KEY])
PLACE = QueueClaims("default", "A" * 22, NOW_MS * 1000, 3, "gen", provisional=True)
ADMISSION = PassClaims("default", "A" * 22, NOW_MS, NOW_MS + 600_000, "gen")


def kind_of(read: Callable[[], object]) -> str:
    """Why a token is rejected; "accepted" when it is not."""
    try:
        read()
    except TokenRejected as rejection:
        return rejection.kind
    return "accepted"


def read_either(tokens: Tokens, text: str) -> set[str]:
    """What becomes of a text shown as a queue token and as a pass."""
    return {
        kind_of(lambda: tokens.read_queue(text, "default", NOW_MS)),
        kind_of(lambda: tokens.read_pass(text, "default")),
    }


identifiers = st.text("abcXYZ019_-", min_size=16, max_size=32)
rooms = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
numbers = st.integers(0, 10**16)
generations = st.text("abcXYZ019_-", max_size=32)


ranges = st.sampled_from([None, (0, 1), (2, 10), (30, 60), (60, None)])


@given(
    rooms, identifiers, numbers, st.integers(0, 10**9), generations, st.booleans(), ranges, st.integers(0, 10**8 - 1)
)
@settings(deadline=None)
def test_a_place_is_read_as_it_was_signed(
    room: str,
    visitor: str,
    score_us: int,
    epoch: int,
    generation: str,
    provisional: bool,
    told: tuple[int, int | None] | None,
    least: int,
) -> None:
    claims = QueueClaims(room, visitor, score_us, epoch, generation, provisional, told, least)
    text = TOKENS.sign_queue(claims)
    assert len(text) <= MAX_TEXT
    assert TOKENS.read_queue(text, room, score_us // 1000) == claims
    assert not is_pass(text)


@given(rooms, identifiers, st.integers(0, 10**14), st.integers(0, 10**14), generations, st.booleans())
@settings(deadline=None)
def test_a_pass_is_read_as_it_was_signed_fresh_or_not(
    room: str, visitor: str, issued_ms: int, end_ms: int, generation: str, provisional: bool
) -> None:
    claims = PassClaims(room, visitor, issued_ms, end_ms, generation, provisional)
    text = TOKENS.sign_pass(claims)
    assert len(text) <= MAX_TEXT
    assert TOKENS.read_pass(text, room) == claims
    assert TOKENS.read_pass(text, room) is TOKENS.read_pass(text, room), "verified once"
    assert is_pass(text)


@pytest.mark.parametrize("text", [TOKENS.sign_queue(PLACE), TOKENS.sign_pass(ADMISSION)])
def test_no_character_may_change_not_even_the_spare_bits_of_the_signature(text: str) -> None:
    for at, character in enumerate(text):
        for other in {"A", "B", "0", "1", "~", ".", "-", chr(ord(character) ^ 1)} - {character}:
            changed = text[:at] + other + text[at + 1 :]
            assert read_either(TOKENS, changed) <= {"malformed", "forged"}, changed


@pytest.mark.parametrize("text", [TOKENS.sign_queue(PLACE), TOKENS.sign_pass(ADMISSION)])
def test_no_character_may_move_across_a_boundary_of_fields(text: str) -> None:
    payload, _, signature = text.rpartition(".")
    boundaries = [at for at, character in enumerate(payload) if character == "~"]
    assert len(boundaries) == 7
    for at in boundaries:
        for moved in (
            payload[: at - 1] + "~" + payload[at - 1] + payload[at + 1 :],
            payload[:at] + payload[at + 1] + "~" + payload[at + 2 :],
            payload[:at] + payload[at + 1 :],
        ):
            assert read_either(TOKENS, f"{moved}.{signature}") <= {"malformed", "forged"}


def test_a_place_is_no_pass_and_a_pass_no_place() -> None:
    assert kind_of(lambda: TOKENS.read_pass(TOKENS.sign_queue(PLACE), "default")) == "forged"
    assert kind_of(lambda: TOKENS.read_queue(TOKENS.sign_pass(ADMISSION), "default", NOW_MS)) == "forged"


def test_a_token_of_another_room_is_foreign() -> None:
    assert kind_of(lambda: TOKENS.read_pass(TOKENS.sign_pass(ADMISSION), "other")) == "foreign"
    assert kind_of(lambda: TOKENS.read_queue(TOKENS.sign_queue(PLACE), "other", NOW_MS)) == "foreign"


def test_a_place_expires_a_day_after_it_was_given() -> None:
    text = TOKENS.sign_queue(PLACE)
    end_ms = NOW_MS + QUEUE_TOKEN_SECONDS * 1000
    assert kind_of(lambda: TOKENS.read_queue(text, "default", end_ms - 1)) == "accepted"
    assert kind_of(lambda: TOKENS.read_queue(text, "default", end_ms)) == "expired"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "malformed"),
        ("A" * 221, "oversized"),
        ("A" * 100_000, "oversized"),
        ("1~p~default", "malformed"),
        (".", "malformed"),
        ("1~p~default~é." + "A" * 43, "malformed"),
        ("\n" + TOKENS.sign_pass(ADMISSION), "malformed"),
        (TOKENS.sign_pass(ADMISSION) + "\n", "malformed"),
        (TOKENS.sign_pass(ADMISSION)[:-1], "malformed"),
        (TOKENS.sign_pass(ADMISSION) + "=", "malformed"),
        (Tokens(["b" * 40]).sign_pass(ADMISSION), "forged"),
    ],
)
def test_what_is_wrong_with_a_text_is_told(text: str, kind: str) -> None:
    assert kind_of(lambda: TOKENS.read_pass(text, "default")) == kind


@given(st.text(max_size=230))
@settings(deadline=None)
def test_any_text_at_all_is_rejected_and_nothing_else_happens(text: str) -> None:
    assert read_either(TOKENS, text) <= {"malformed", "forged", "oversized"}


@pytest.mark.parametrize("version", ["0", "2", "10", "999999"])
def test_a_format_that_is_not_known_counts_as_none_even_when_signed_and_is_told_from_the_malformed(
    version: str,
) -> None:
    place = TOKENS._queue.sign(version + TOKENS.sign_queue(PLACE).rpartition(".")[0][1:]).decode()
    pass_ = TOKENS._pass.sign(version + TOKENS.sign_pass(ADMISSION).rpartition(".")[0][1:]).decode()
    assert kind_of(lambda: TOKENS.read_queue(place, "default", NOW_MS)) == "version"
    assert kind_of(lambda: TOKENS.read_pass(pass_, "default")) == "version"
    assert kind_of(lambda: TOKENS.read_pass(version + TOKENS.sign_pass(ADMISSION)[1:], "default")) == "forged"


@pytest.mark.parametrize("more", ["~a", "~z42", "~bhigh_tide-3~c"])
@pytest.mark.parametrize("told", [None, (2, 10), (60, None)])
@pytest.mark.parametrize("least", [0, 7])
def test_what_another_version_put_behind_the_fields_is_passed_over(
    more: str, told: tuple[int, int | None] | None, least: int
) -> None:
    claims = PLACE._replace(told=told, least_position=least)
    place = TOKENS._queue.sign(TOKENS.sign_queue(claims).rpartition(".")[0] + more).decode()
    pass_ = TOKENS._pass.sign(TOKENS.sign_pass(ADMISSION).rpartition(".")[0] + more).decode()
    assert TOKENS.read_queue(place, "default", NOW_MS) == claims
    assert TOKENS.read_pass(pass_, "default") == ADMISSION


@pytest.mark.parametrize("more", ["~", "~5", "~Z", "~é", "~p0", "~~a", "~-"])
def test_nothing_else_may_stand_behind_the_fields_even_when_signed(more: str) -> None:
    text = TOKENS._pass.sign(TOKENS.sign_pass(ADMISSION).rpartition(".")[0] + more).decode()
    assert kind_of(lambda: TOKENS.read_pass(text, "default")) == "malformed"


def test_numbers_have_one_spelling() -> None:
    text = TOKENS._pass.sign("1~p~default~" + "A" * 22 + "~01~2~gen~0").decode()
    assert kind_of(lambda: TOKENS.read_pass(text, "default")) == "malformed"


def test_the_first_key_signs_and_all_verify() -> None:
    old, new = Tokens(["o" * 40]), Tokens(["n" * 40, b"o" * 40])
    assert new.read_pass(old.sign_pass(ADMISSION), "default") == ADMISSION
    assert Tokens(["n" * 40]).read_pass(new.sign_pass(ADMISSION), "default") == ADMISSION
    assert kind_of(lambda: old.read_pass(new.sign_pass(ADMISSION), "default")) == "forged"


def test_without_a_key_nothing_starts() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Tokens([])


@pytest.mark.parametrize(
    "claims",
    [
        ADMISSION._replace(room="a~b"),
        ADMISSION._replace(visitor="short"),
        ADMISSION._replace(generation="a.b"),
        ADMISSION._replace(issued_ms=-1),
    ],
)
def test_claims_that_do_not_fit_are_not_signed(claims: PassClaims) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        TOKENS.sign_pass(claims)
