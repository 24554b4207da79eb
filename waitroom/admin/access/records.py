"""What the admin listener asks of the store about those who may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from waitroom.domain.access import Session
    from waitroom.domain.audit import Deed

ACCOUNTS: Final = "accounts"
API_TOKENS: Final = "tokens"


class AccessRecords(Protocol):
    """Accounts, API tokens, sessions and attempts. Every method raises `StoreUnavailable`."""

    async def all(self, kind: str) -> dict[str, str]:
        """Return every record of `accounts` or `tokens`, by name or id."""
        ...

    async def one(self, kind: str, name: str) -> str | None:
        """Return one record."""
        ...

    async def replace(self, kind: str, name: str, before: str | None, after: str | None, deed: Deed | None) -> bool:
        """Write, change or (`after` is None) remove a record if it still is what it was; with a line in the audit log.

        False, and nothing done, when it is another by now.
        """
        ...

    async def open_session(self, text: str, session: Session, *, idle_seconds: int) -> None:
        """Keep a session until it was idle for so long."""
        ...

    async def session(self, text: str, *, idle_seconds: int) -> Session | None:
        """Return the session and keep it for as long again."""
        ...

    async def close_session(self, text: str) -> None:
        """Forget a session."""
        ...

    async def attempt(self, subject: str, *, window_seconds: int) -> tuple[int, int]:
        """Count an attempt of `subject`; return how many there were in this window, and the seconds left of it."""
        ...

    async def forgive(self, subject: str) -> None:
        """Forget the attempts of `subject`."""
        ...

    async def note(self, deed: Deed) -> None:
        """Write a line to the audit log of the house."""
        ...
