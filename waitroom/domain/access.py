"""Who may use the admin listener: roles, accounts, API tokens, sessions, and what of each is kept."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from typing import Any, Self

ACCOUNT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?")
"""Of an account: a short name or an address of electronic mail, in small letters."""


class Role(IntEnum):
    """Who may; each may what those below may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """The role as people and JSON write it."""
        return self.name.lower()


def role_of(word: str) -> Role | None:
    """Return the role of a word; None when it is none."""
    return next((role for role in Role if role.word == word.strip().lower()), None)


class _Kept:
    """A record that is kept as JSON."""

    def as_text(self) -> str:
        """Return the record as the store keeps it."""
        return json.dumps(asdict(self), separators=(",", ":"))  # type: ignore[call-overload]

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        """Return the record of what the store kept; what another version of Waitroom has put beside it is left out."""
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        facts: dict[str, Any] = {name: value for name, value in json.loads(text).items() if name in known}
        if "role" in facts:
            facts["role"] = Role(facts["role"])
        return cls(**facts)


@dataclass(frozen=True, slots=True)
class Account(_Kept):
    """Somebody who logs in with a password."""

    name: str
    role: Role
    created_ms: int
    password: str = ""
    """Its argon2id hash; empty until the account's link was used."""
    epoch: int = 1
    """Raised by each change of password or role: sessions and links of an older one end."""
    totp_secret: str = ""
    """Base32; empty when no second factor is asked for."""
    totp_step: int = 0
    """The newest time step of which a code was used: none is taken twice."""


@dataclass(frozen=True, slots=True)
class ApiToken(_Kept):
    """A program's proof. Its text is shown once; what is kept is the digest."""

    id: str
    name: str
    role: Role
    digest: str
    """SHA-256 of the text, in hexadecimal digits."""
    made_by: str
    created_ms: int
    expires_ms: int
    """0: never."""
    used_ms: int = 0
    """When it was used last, to within a minute; 0: never."""

    def ended(self, now_ms: int) -> bool:
        return bool(self.expires_ms) and now_ms >= self.expires_ms


@dataclass(frozen=True, slots=True)
class Session(_Kept):
    """One log-in."""

    account: str
    epoch: int
    began_ms: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request to the admin listener comes from, once that is certain."""

    who: str
    role: Role
    session: str = ""
    """The session's text when a cookie proved it."""

    def may(self, role: Role) -> bool:
        return self.role >= role


BEARER_OF_THE_HOUSE = Caller("admin token", Role.ADMIN)
"""Whoever holds the token of the data directory."""
