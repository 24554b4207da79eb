"""What operators ask of the store, on top of what visitors need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waitroom.domain.audit import read_line

from .keys import key
from .redis import RedisStore

if TYPE_CHECKING:
    from waitroom.domain.audit import AuditLine


class RedisOperatorStore(RedisStore):
    """`OperatorStore` on Redis or Valkey."""

    async def audit(self, room: str, *, before: str = "", limit: int) -> list[AuditLine]:
        entries = await self._command("audit", "XREVRANGE", key(room, "audit"), before or "+", "-", "COUNT", limit)
        return [read_line(id_.decode(), _texts(facts), room) for id_, facts in entries]


def _texts(pairs: list[bytes]) -> dict[str, str]:
    """Return a stream entry's fields."""
    words = [word.decode() for word in pairs]
    return dict(zip(words[::2], words[1::2], strict=True))
