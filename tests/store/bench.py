"""What the tests of the store say in one word each, with a clock that the test holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from waitroom.domain.audit import Author
from waitroom.domain.claims import PassClaims, QueueClaims
from waitroom.domain.room import Room
from waitroom.domain.visit import Answer, Census, Visit
from waitroom.store.base import Purpose
from waitroom.store.operators import RedisOperatorStore

if TYPE_CHECKING:
    from waitroom.store.client import Client
    from waitroom.store.redis import RedisStore

START_US = 1_800_000_000_000_000


class Bench:
    """One store's memory, any number of gateways on it, and the store's clock.

    `admin` may do everything on the same store; by default gateways' own client does.
    """

    def __init__(self, client: Client, admin: Client | None = None) -> None:
        self.client = client
        self.admin = admin or client
        self.now_us = START_US
        self._stores: list[RedisOperatorStore] = []

    def gateway(self, **room: Any) -> RedisOperatorStore:
        """Another gateway process: it remembers nothing yet."""
        store = RedisOperatorStore(self.client, [Room(name="sale", **room)], store_time_us=lambda: self.now_us)
        self._stores.append(store)
        return store

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass with nobody asking."""
        self.now_us += int(seconds * 1_000_000)

    async def run(self, store: RedisStore, seconds: float, step_seconds: float = 1.0) -> Census:
        """Let time pass with a beat each step, as gateways do."""
        end_us = self.now_us + int(seconds * 1_000_000)
        census = await store.beat("sale")
        while self.now_us < end_us:
            self.now_us = min(end_us, self.now_us + int(step_seconds * 1_000_000))
            census = await store.beat("sale")
        return census

    async def keys(self) -> list[str]:
        """The names of all keys in the store."""
        found: list[Any] = [key for master in await self.admin.masters() for key in await master.command("KEYS", "*")]
        return [key.decode() for key in found]

    async def journal(self) -> list[tuple[str, str, int]]:
        """What happened: kind, visitor, score."""
        entries: Any = await self.admin.command("XRANGE", "waitroom:{sale}:journal", "-", "+")
        facts = [dict(zip(pairs[::2], pairs[1::2], strict=True)) for _, pairs in entries]
        return [(f[b"kind"].decode(), f[b"visitor"].decode(), int(f[b"score"])) for f in facts]

    async def copy(self) -> dict[str, Any]:
        """What the store knows now, by key."""
        return {key: await self.admin.command("DUMP", key) for key in await self.keys()}

    async def go_back(self, copy: dict[str, Any]) -> None:
        """The store comes back with what it knew then."""
        await self.forget()
        for key, value in copy.items():
            await self.admin.command("RESTORE", key, 0, value)

    async def forget(self) -> None:
        """The store loses its memory."""
        for master in await self.admin.masters():
            await master.command("FLUSHALL")


async def arrive(store: RedisStore, visitor: str, purpose: Purpose = Purpose.CLAIM) -> Visit:
    """A visitor without a token."""
    return await store.enter("sale", name(visitor), claims=None, purpose=purpose)


async def come_back(store: RedisStore, token: QueueClaims, purpose: Purpose = Purpose.CLAIM) -> Visit:
    """A visitor with a token."""
    return await store.enter("sale", token.visitor, claims=token, purpose=purpose)


def name(visitor: str) -> str:
    """A visitor's id that reads well in a failing test."""
    return visitor.rjust(16, "_")


def by(request_id: str) -> Author:
    """An operator who asks for a change."""
    return Author("dana", request_id)


def token_of(visit: Visit, **changes: Any) -> QueueClaims:
    """The queue token that a gateway signs for this answer."""
    facts: dict[str, Any] = {
        "room": "sale",
        "visitor": visit.visitor,
        "score_us": visit.score_us,
        "epoch": visit.epoch,
        "generation": visit.generation,
    }
    return QueueClaims(**facts | changes)


def pass_of(visit: Visit, **changes: Any) -> PassClaims:
    """The pass that a gateway signs for this answer."""
    assert visit.answer is Answer.ADMITTED, visit
    facts: dict[str, Any] = {
        "room": "sale",
        "visitor": visit.visitor,
        "issued_ms": visit.now_ms,
        "session_end_ms": visit.session_end_ms,
        "generation": visit.generation,
    }
    return PassClaims(**facts | changes)
