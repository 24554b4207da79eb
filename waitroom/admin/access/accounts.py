"""Accounts: who they are, how they log in, how they come and go. Every change is in the audit log."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from waitroom.domain.access import ACCOUNT_NAME, Account, Caller, Role, Session
from waitroom.domain.audit import Author, Deed, Source
from waitroom.errors import Refused

from .links import LIFETIME_SECONDS, Invitation, Links
from .records import ACCOUNTS
from .totp import new_secret, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .passwords import Passwords
    from .records import AccessRecords

FIRST_ACCOUNT: Final = "admin"
_ATTEMPTS: Final = 5
_WINDOW_SECONDS: Final = 900
MOST_ATTEMPTS: Final = {"account and address": 10, "address": 40, "account": 200}
"""Log-ins tried in a quarter of an hour. The account alone has the highest limit, so that nobody can be locked out by
somebody elsewhere."""


class LogInRefused(Refused):
    """A log-in that is not. `outcome` names it in metrics: wrong, throttled."""

    def __init__(self, reason: str, outcome: str, *, status: int = 401, retry_seconds: int = 0) -> None:
        super().__init__(reason, status=status)
        self.outcome = outcome
        self.retry_seconds = retry_seconds


class Accounts:
    """The accounts of a house. `now_ms` is the store's time, `keys` those that sign."""

    def __init__(
        self,
        records: AccessRecords,
        passwords: Passwords,
        *,
        now_ms: Callable[[], int],
        idle_seconds: Callable[[], int],
        longest_seconds: Callable[[], int],
    ) -> None:
        self._records = records
        self._passwords = passwords
        self._now_ms = now_ms
        self._idle_seconds = idle_seconds
        self._longest_seconds = longest_seconds
        self._links = Links(["no key yet"])

    def sign_with(self, keys: Sequence[str]) -> None:
        """Take the keys that sign links; the first signs, all verify."""
        self._links = Links(keys)

    # Reading.

    async def all(self) -> list[Account]:
        """Return every account, by name."""
        kept = await self._records.all(ACCOUNTS)
        return [Account.read(kept[name]) for name in sorted(kept)]

    async def one(self, name: str) -> Account | None:
        text = await self._records.one(ACCOUNTS, name)
        return None if text is None else Account.read(text)

    async def nobody_yet(self) -> bool:
        """Whether no account has a password: only then the first link is given out."""
        return not any(account.password for account in await self.all())

    # Coming and going.

    def first_link(self) -> str:
        """Return the text of the link that sets the first password; it works while nobody has one."""
        return self._link(FIRST_ACCOUNT, Role.ADMIN, 0)

    async def add(self, name: str, role: Role, author: Author) -> str:
        """Make an account without a password, and return the text of the link that sets it."""
        if not ACCOUNT_NAME.fullmatch(name):
            raise Refused(
                f"{name!r}: 1 to 64 small letters, digits and . _ @ + -, no such sign at the ends", status=422
            )
        account = Account(name, role, self._now_ms())
        deed = Deed(author, "account added", {"account": [None, name], "role": [None, role.word]})
        if not await self._records.replace(ACCOUNTS, name, None, account.as_text(), deed):
            raise Refused(f"there is an account {name!r} already", status=409)
        return self._link(name, role, account.epoch)

    async def invite(self, name: str) -> str:
        """Return the text of the link that sets the password of an account without one; the first needs no account."""
        account = await self.one(name)
        if account is None and name == FIRST_ACCOUNT and await self.nobody_yet():
            return self.first_link()
        if account is None:
            raise _unknown(name)
        if account.password:
            raise Refused(f"{name!r} has a password; reset the account to give a new link", status=409)
        return self._link(name, account.role, account.epoch)

    async def remove(self, name: str, author: Author) -> None:
        """Remove an account; its sessions end."""
        deed = Deed(author, "account removed", {"account": [name, None]})
        await self._change(name, lambda account: None, deed)

    async def give_role(self, name: str, role: Role, author: Author) -> Account:
        """Change what an account may; its sessions end."""
        before = await self._known(name)
        deed = Deed(author, "role changed", {"account": [name, name], "role": [before.role.word, role.word]})
        return await self._changed(name, lambda account: replace(account, role=role, epoch=account.epoch + 1), deed)

    async def reset(self, name: str, author: Author) -> str:
        """Take password and second factor away, end the sessions, and return the text of the link to set a new one."""

        def without(account: Account) -> Account:
            return replace(account, password="", totp_secret="", totp_step=0, epoch=account.epoch + 1)

        deed = Deed(author, "account reset", {"account": [name, name]})
        account = await self._changed(name, without, deed)
        return self._link(name, account.role, account.epoch)

    # Passwords and second factors.

    async def invited(self, text: str) -> Invitation | None:
        """Return what a link is good for, or None when it was used, is too old, or is none of ours."""
        invitation = self._links.read(text, self._now_ms())
        if invitation is None:
            return None
        account = await self.one(invitation.account)
        if invitation.epoch == 0:
            return invitation if await self.nobody_yet() else None
        return invitation if account is not None and account.epoch == invitation.epoch else None

    async def accept(self, text: str, password: str) -> Account:
        """Set the password that a link allows; raises `Refused` (410) when it allows none any more."""
        invitation = await self.invited(text)
        if invitation is None:
            raise Refused("this link was used or is too old; ask for another", status=410)
        name = invitation.account
        hashed = await self._passwords.hash(password, account=name)
        before = await self._records.one(ACCOUNTS, name)
        known = Account(name, invitation.role, self._now_ms()) if before is None else Account.read(before)
        if invitation.epoch not in {0, known.epoch} or (invitation.epoch == 0 and known.password):
            raise Refused("this link was used meanwhile; ask for another", status=410)
        account = replace(known, password=hashed, epoch=known.epoch + 1)
        deed = Deed(_self(name), "password set", {"account": [None if before is None else name, name]})
        if not await self._records.replace(ACCOUNTS, name, before, account.as_text(), deed):
            raise Refused("this link was used meanwhile; ask for another", status=410)
        return account

    async def change_password(self, name: str, old: str, new: str) -> Account:
        """Give an account another password; its sessions end. Raises `Refused` (403) when the old one is wrong."""
        account = await self._known(name)
        if not await self._passwords.right(old, account.password):
            raise Refused("the present password is another", status=403)
        hashed = await self._passwords.hash(new, account=name)
        deed = Deed(_self(name), "password changed", {"account": [name, name]})
        return await self._changed(
            name, lambda account: replace(account, password=hashed, epoch=account.epoch + 1), deed
        )

    async def set_second_factor(self, name: str, secret: str, code: str) -> Account:
        """Ask for codes from now on; `code` shows that the app has the secret. An empty secret ends it."""
        deed = Deed(_self(name), "second factor set" if secret else "second factor removed", {"account": [name, name]})
        if not secret:
            return await self._changed(name, lambda account: replace(account, totp_secret="", totp_step=0), deed)
        step = step_of(secret, code, self._now_ms(), used_step=0)
        if step is None:
            raise Refused("the code does not fit; scan again and see that the phone's clock is right", status=422)
        return await self._changed(name, lambda account: replace(account, totp_secret=secret, totp_step=step), deed)

    new_secret = staticmethod(new_secret)

    # Logging in.

    async def log_in(self, name: str, password: str, code: str, address: str) -> tuple[Account, str]:
        """Return the account and the text of a new session; raises `LogInRefused`, which never says what was wrong."""
        name = name.strip().lower()
        pair = f"account and address\0{name}\0{address}"
        for kind, subject in (
            ("account and address", pair), ("address", f"address\0{address}"), ("account", f"account\0{name}"),
        ):  # fmt: skip
            count, left_seconds = await self._records.attempt(subject, window_seconds=_WINDOW_SECONDS)
            if count > MOST_ATTEMPTS[kind]:
                raise LogInRefused(
                    f"too many log-ins were tried; wait {-(-left_seconds // 60)} min", "throttled", status=429,
                    retry_seconds=left_seconds,
                )  # fmt: skip
        account = await self.one(name) if ACCOUNT_NAME.fullmatch(name) else None
        right = await self._passwords.right(password, account.password if account is not None else "")
        if account is None or not right or not await self._second_factor(account, code):
            raise LogInRefused("name, password or code is wrong", "wrong")
        await self._records.forgive(pair)
        return account, await self.open_session(account)

    async def _second_factor(self, account: Account, code: str) -> bool:
        if not account.totp_secret:
            return True
        step = step_of(account.totp_secret, code, self._now_ms(), used_step=account.totp_step)
        before = await self._records.one(ACCOUNTS, account.name)
        if step is None or before is None or Account.read(before) != account:
            return False
        used = replace(account, totp_step=step)
        return await self._records.replace(ACCOUNTS, account.name, before, used.as_text(), None)

    async def open_session(self, account: Account) -> str:
        """Return the text of a new session of an account."""
        text = secrets.token_urlsafe(32)
        session = Session(account.name, account.epoch, self._now_ms())
        await self._records.open_session(text, session, idle_seconds=self._idle_seconds())
        return text

    async def caller(self, text: str) -> Caller | None:
        """Return who holds a session, or None when it is over."""
        session = await self._records.session(text, idle_seconds=self._idle_seconds())
        if session is None:
            return None
        account = await self.one(session.account)
        too_old = self._now_ms() - session.began_ms > self._longest_seconds() * 1000
        if account is None or account.epoch != session.epoch or too_old:
            await self._records.close_session(text)
            return None
        return Caller(account.name, account.role, text)

    async def log_out(self, text: str) -> None:
        """End a session."""
        await self._records.close_session(text)

    async def note(self, who: str, action: str) -> None:
        """Write to the audit log that somebody came, or tried to."""
        await self._records.note(Deed(_self(who), action))

    # Inside.

    def _link(self, name: str, role: Role, epoch: int) -> str:
        return self._links.sign(Invitation(name, role, epoch, self._now_ms() + LIFETIME_SECONDS * 1000))

    async def _known(self, name: str) -> Account:
        account = await self.one(name)
        if account is None:
            raise _unknown(name)
        return account

    async def _changed(self, name: str, change: Callable[[Account], Account], deed: Deed) -> Account:
        account = await self._change(name, change, deed)
        assert account is not None
        return account

    async def _change(self, name: str, change: Callable[[Account], Account | None], deed: Deed) -> Account | None:
        for _ in range(_ATTEMPTS):
            before = await self._records.one(ACCOUNTS, name)
            if before is None:
                raise _unknown(name)
            after = change(Account.read(before))
            if await self._records.replace(ACCOUNTS, name, before, None if after is None else after.as_text(), deed):
                return after
        raise Refused(f"the account {name!r} changed meanwhile; look and try again", status=409)


def _unknown(name: str) -> Refused:
    return Refused(f"there is no account {name!r}", status=404)


def _self(name: str) -> Author:
    return Author(name, secrets.token_hex(8), Source.CONSOLE)
