"""Passwords: argon2id, a few at a time, and the same time for an account that is not there."""

from __future__ import annotations

import asyncio
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from waitroom.errors import Refused

SHORTEST: Final = 12
LONGEST: Final = 256
_AT_ONCE: Final = 2
"""Hashes computed at the same time: each takes memory and a core, and log-ins come from anybody."""


class Passwords:
    """Hashes and verifies in threads. `memory_kib` and `time_cost` as RFC 9106 means them; OWASP's least by default."""

    def __init__(self, *, memory_kib: int = 19_456, time_cost: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1, type=Type.ID)
        self._nobody = self._hasher.hash("nobody has this password")
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str, *, account: str) -> str:
        """Return the hash to keep; raises `Refused` (422) for a password that nobody should have."""
        if len(password) < SHORTEST:
            raise Refused(
                f"the password needs at least {SHORTEST} characters, this one has {len(password)}", status=422
            )
        if len(password) > LONGEST:
            raise Refused(f"the password may have at most {LONGEST} characters", status=422)
        if account in password.lower() or len(set(password)) < 5:
            raise Refused("the password holds the account's name or few different characters; take another", status=422)
        async with self._free:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def right(self, password: str, kept: str) -> bool:
        """Whether `password` is the one kept. With none kept it takes as long, and is wrong."""
        if len(password) > LONGEST:
            return False
        async with self._free:
            return await asyncio.to_thread(self._verify, kept or self._nobody, password) and bool(kept)

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False
