"""Which messages are shown, and since when."""

from __future__ import annotations

from waitroom.domain.message import Message, said

FIRST, SECOND = {"*": "Size 38 is sold out."}, {"*": "Size 40 is sold out."}


def test_a_new_message_comes_first_and_three_are_kept() -> None:
    messages: tuple[Message, ...] = ()
    for at_ms in (1_000, 2_000, 3_000, 4_000):
        messages = said(messages, {"*": f"message of {at_ms}"}, at_ms)
    assert [message.at_ms for message in messages] == [4_000, 3_000, 2_000]


def test_the_same_message_again_is_no_new_one() -> None:
    messages = said((), FIRST, 1_000)
    assert said(messages, FIRST, 2_000) == messages


def test_a_translation_more_leaves_the_message_its_time_and_id() -> None:
    before = said(said((), FIRST, 1_000), SECOND, 2_000)
    after = said(before, SECOND | {"de": "Größe 40 ist ausverkauft."}, 3_000)
    assert [message.at_ms for message in after] == [2_000, 1_000]
    assert after[0].id == before[0].id
    assert after[0].text["de"] == "Größe 40 ist ausverkauft."


def test_a_corrected_text_is_a_new_message() -> None:
    assert [message.at_ms for message in said(said((), FIRST, 1_000), SECOND, 2_000)] == [2_000, 1_000]


def test_no_message_takes_all_of_them_away() -> None:
    assert said(said(said((), FIRST, 1_000), SECOND, 2_000), {}, 3_000) == ()
