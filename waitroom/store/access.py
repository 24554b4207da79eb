"""What is kept of those who may use the admin listener, in keys of the house that belong to no room."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from waitroom.domain.access import Session

from .keys import HOUSE, key

if TYPE_CHECKING:
    from waitroom.domain.audit import Deed

    from .redis import RedisStore


class RedisAccessRecords:
    """The `AccessRecords` of `waitroom.admin.access` on Redis or Valkey, with the deadline and breaker of `store`."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def all(self, kind: str) -> dict[str, str]:
        pairs = await self._store.command("access", "HGETALL", key(HOUSE, kind))
        words = [word.decode() for word in pairs]
        return dict(zip(words[::2], words[1::2], strict=True))

    async def one(self, kind: str, name: str) -> str | None:
        text: bytes | None = await self._store.command("access", "HGET", key(HOUSE, kind), name)
        return None if text is None else text.decode()

    async def replace(self, kind: str, name: str, before: str | None, after: str | None, deed: Deed | None) -> bool:
        done = await self._store.call(
            "keep", (key(HOUSE, kind), key(HOUSE, "audit")),
            name, before or "", after or "", *(("", "") if deed is None else (deed.author.request_id, deed.as_line())),
        )  # fmt: skip
        return bool(done[0])

    async def open_session(self, text: str, session: Session, *, idle_seconds: int) -> None:
        await self._store.command("access", "SET", _session_key(text), session.as_text(), "EX", idle_seconds)

    async def session(self, text: str, *, idle_seconds: int) -> Session | None:
        kept: bytes | None = await self._store.command("access", "GETEX", _session_key(text), "EX", idle_seconds)
        return None if kept is None else Session.read(kept)

    async def close_session(self, text: str) -> None:
        await self._store.command("access", "DEL", _session_key(text))

    async def attempt(self, subject: str, *, window_seconds: int) -> tuple[int, int]:
        count, left_ms = await self._store.call("attempt", (_attempts_key(subject),), window_seconds * 1000)
        return int(count), max(1, -(-int(left_ms) // 1000))

    async def forgive(self, subject: str) -> None:
        await self._store.command("access", "DEL", _attempts_key(subject))

    async def note(self, deed: Deed) -> None:
        await self._store.call("note", (key(HOUSE, "audit"),), deed.author.request_id, deed.as_line())


def _session_key(text: str) -> str:
    """Return the key of a session: whoever reads the store does not learn the cookie."""
    return f"{key(HOUSE, 'session')}:{_digest(text)}"


def _attempts_key(subject: str) -> str:
    """Return the key of a subject's attempts: neither names nor addresses stand in the store."""
    return f"{key(HOUSE, 'attempts')}:{_digest(subject)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
