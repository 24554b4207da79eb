"""What a shop says to those who wait: one text in some languages, when it was said, and which ones are still shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .look import check_language

LONGEST_MESSAGE: Final = 500
MOST_SHOWN: Final = 3
EVERYBODY: Final = "*"
"""The language of a text for whoever reads none of the others."""

Texts = dict[str, str]
"""Language tag or `*` → text. Empty: there is no message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message and when it was said."""

    at_ms: int
    """The store's time."""
    text: Texts

    def __hash__(self) -> int:
        return hash(self.at_ms)  # a table of texts has no hash

    @property
    def id(self) -> str:
        """Tells messages apart; a translation that is added later leaves it as it is."""
        return f"{self.at_ms:x}"

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "at_ms": self.at_ms, "text": self.text}


def read_texts(value: Any) -> Any:
    """Return what is written in place of a table of texts as that table; what is neither, as it came."""
    if isinstance(value, str):
        return {EVERYBODY: value} if value.strip() else {}
    return value


def check_texts(texts: Texts) -> Texts:
    """Return `texts` when each can be shown; raises ValueError."""
    for tag, text in texts.items():
        if tag != EVERYBODY:
            check_language(tag)
        if not text.strip():
            raise ValueError(f"the text for {tag!r} is empty: take it out")
        if len(text) > LONGEST_MESSAGE:
            raise ValueError(f"the text for {tag!r} has {len(text)} characters, at most {LONGEST_MESSAGE} are shown")
        if any(character < " " and character != "\n" for character in text):
            raise ValueError(f"the text for {tag!r} holds a control character")
    return texts


def said(messages: tuple[Message, ...], text: Texts, now_ms: int) -> tuple[Message, ...]:
    """Return what is shown, newest first, once `text` is the message.

    The same text again changes nothing, a translation more is no new message, and no text takes all messages away: who
    says something wrong must be able to unsay it.
    """
    if not text:
        return ()
    newest = messages[0] if messages else None
    if newest is not None and newest.text.items() <= text.items():
        return (Message(newest.at_ms, text), *messages[1:])
    return (Message(now_ms, text), *messages)[:MOST_SHOWN]
