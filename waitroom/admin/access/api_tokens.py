"""API tokens: what programs prove themselves with. The text is shown once; its digest is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from waitroom.domain.access import ApiToken, Caller, Role
from waitroom.domain.audit import Author, Deed
from waitroom.errors import Refused

from .records import API_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .records import AccessRecords

PREFIX: Final = "wrt"
_TEXT: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_[A-Za-z0-9_-]{{43}}")
_USE_NOTED_MS: Final = 60_000
_LONGEST_NAME: Final = 80
DAY_MS: Final = 86_400_000


class ApiTokens:
    """The API tokens of a house. `now_ms` is the store's time."""

    def __init__(self, records: AccessRecords, *, now_ms: Callable[[], int]) -> None:
        self._records = records
        self._now_ms = now_ms

    async def all(self) -> list[ApiToken]:
        """Return every token, the newest first."""
        kept = await self._records.all(API_TOKENS)
        return sorted((ApiToken.read(text) for text in kept.values()), key=lambda token: -token.created_ms)

    async def add(self, name: str, role: Role, days: int | None, author: Author) -> tuple[ApiToken, str]:
        """Make a token that ends after so many days (None: never); return it and its text, which nobody sees again."""
        name = name.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise Refused(f"a token's name has 1 to {_LONGEST_NAME} characters: say what uses it", status=422)
        now_ms, id_ = self._now_ms(), secrets.token_hex(6)
        text = f"{PREFIX}_{id_}_{secrets.token_urlsafe(32)}"
        expires_ms = 0 if days is None else now_ms + days * DAY_MS
        token = ApiToken(id_, name, role, _digest(text), author.who, now_ms, expires_ms)
        deed = Deed(author, "token added", {"token": [None, f"{id_} {name}"], "role": [None, role.word]})
        await self._records.replace(API_TOKENS, id_, None, token.as_text(), deed)
        return token, text

    async def revoke(self, id_: str, author: Author) -> None:
        """Remove a token; what uses it is refused from now on."""
        while True:
            text = await self._records.one(API_TOKENS, id_)
            if text is None:
                raise Refused(f"there is no token {id_!r}", status=404)
            deed = Deed(author, "token revoked", {"token": [f"{id_} {ApiToken.read(text).name}", None]})
            if await self._records.replace(API_TOKENS, id_, text, None, deed):
                return

    async def caller(self, text: str) -> Caller | None:
        """Return who a bearer's text proves, or None."""
        match = _TEXT.fullmatch(text)
        kept = await self._records.one(API_TOKENS, match[1]) if match else None
        if kept is None:
            return None
        token, now_ms = ApiToken.read(kept), self._now_ms()
        if not hmac.compare_digest(token.digest, _digest(text)) or token.ended(now_ms):
            return None
        if now_ms - token.used_ms > _USE_NOTED_MS:
            await self._records.replace(API_TOKENS, token.id, kept, replace(token, used_ms=now_ms).as_text(), None)
        return Caller(f"token {token.name}", token.role)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
