"""Who a request comes from: a bearer's token, a name that an authenticating proxy gives, or a session's cookie."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from waitroom.domain.access import BEARER_OF_THE_HOUSE, Caller, Role, role_of
from waitroom.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Network, IPv6Network

    from .accounts import Accounts
    from .api_tokens import ApiTokens

COOKIE: Final = "waitroom-console"
SECURE_COOKIE: Final = f"__Host-{COOKIE}"
_REMEMBERED_MS: Final = 600_000
_MOST_REMEMBERED: Final = 1_000
_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """What an authenticating proxy says of the people it lets through, and which proxies are believed."""

    header: str = ""
    role_header: str = ""
    role: Role = Role.VIEWER
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    def caller(self, peer: str, headers: Iterable[tuple[str, str]]) -> Caller | None:
        """Return who `peer` says it asks for; None when it is not believed, or does not say it plainly.

        A header that some servers read as the same name (`X_User` for `X-User`), or one given twice, is no plain word.
        """
        if not self.header or not self._believed(peer):
            return None
        names = [(name, value) for name, value in headers if _plain(name) == _plain(self.header)]
        roles = [
            (name, value) for name, value in headers if self.role_header and _plain(name) == _plain(self.role_header)
        ]
        if len(names) != 1 or names[0][0] != self.header.lower() or len(roles) > 1:
            return None
        who, role = names[0][1].strip(), self.role
        if roles:
            said = role_of(roles[0][1])
            if said is None or roles[0][0] != self.role_header.lower():
                return None
            role = said
        if not who or len(who) > _LONGEST_NAME or not who.isprintable():
            return None
        return Caller(who, role)

    def _believed(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.proxies)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


@dataclass(slots=True)
class Identity:
    """Finds the caller of a request."""

    token: Callable[[], str]
    """The token of the data directory."""
    accounts: Accounts
    api_tokens: ApiTokens
    sign_on: Callable[[], SingleSignOn]
    now_ms: Callable[[], int]
    _seen: dict[str, tuple[Caller, int]] = field(default_factory=dict)
    """Sessions and when they were last certain, for the time in which the store is away."""

    async def caller(self, peer: str, headers: list[tuple[str, str]]) -> Caller | None:
        """Return who asks, or None. Raises `StoreUnavailable` when that cannot be told now."""
        given = [value for name, value in headers if name == "authorization"]
        if given:
            return await self._bearer(given[0]) if len(given) == 1 else None
        caller = self.sign_on().caller(peer, headers)
        if caller is not None:
            return caller
        text = session_text(headers)
        return await self._session(text) if text else None

    async def _bearer(self, authorization: str) -> Caller | None:
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer":
            return None
        if hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.token().encode()):
            return BEARER_OF_THE_HOUSE
        return await self.api_tokens.caller(text)

    async def _session(self, text: str) -> Caller | None:
        """Return who holds a session; while the store is away, who held it a short while ago."""
        try:
            caller = await self.accounts.caller(text)
        except StoreUnavailable:
            known, seen_ms = self._seen.get(text, (None, 0))
            if known is None or self.now_ms() - seen_ms > _REMEMBERED_MS:
                raise
            return known
        if caller is None:
            self._seen.pop(text, None)
        else:
            if len(self._seen) >= _MOST_REMEMBERED:
                self._seen.clear()
            self._seen[text] = caller, self.now_ms()
        return caller


def session_text(headers: Iterable[tuple[str, str]]) -> str:
    """Return what the session's cookie holds; empty when there is none, or more than one."""
    texts = set()
    for name, value in headers:
        if name == "cookie":
            try:
                cookies = SimpleCookie(value)
            except CookieError:
                continue
            texts |= {cookies[kind].value for kind in (SECURE_COOKIE, COOKIE) if kind in cookies}
    return texts.pop() if len(texts) == 1 else ""


def session_cookie(text: str, *, secure: bool, seconds: int) -> str:
    """Return the `Set-Cookie` that brings a session; with an empty text the one that takes it away.

    Browsers take a `__Host-` cookie over HTTPS alone, so a listener reached by plain HTTP, which is loopback unless
    somebody configured otherwise, has a plain name.
    """
    name = SECURE_COOKIE if secure else COOKIE
    end = f"; Max-Age={seconds if text else 0}"
    return f"{name}={text}; Path=/; HttpOnly; SameSite=Strict{end}" + ("; Secure" if secure else "")
