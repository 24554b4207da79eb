"""Who may use the admin listener: accounts, sessions, API tokens, single sign-on, and the guard in front."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from waitroom.domain.access import Role

from .accounts import Accounts, LogInRefused
from .api_tokens import ApiTokens
from .guard import Guard, caller_of, must
from .identity import Identity, SingleSignOn
from .passwords import Passwords
from .records import AccessRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from waitroom.settings import AdminSettings

__all__ = [
    "Access",
    "AccessRecords",
    "Accounts",
    "ApiTokens",
    "Guard",
    "LogInRefused",
    "Passwords",
    "caller_of",
    "must",
]


@dataclass
class Access:
    """Everything about who may, over one store; follows the settings that `take` is given."""

    records: AccessRecords
    now_ms: Callable[[], int]
    """The store's time."""
    passwords: Passwords
    accounts: Accounts = field(init=False)
    api_tokens: ApiTokens = field(init=False)
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Accounts(
            self.records, self.passwords, now_ms=self.now_ms,
            idle_seconds=lambda: self._settings.session_idle_minutes * 60,
            longest_seconds=lambda: self.session_seconds,
        )  # fmt: skip
        self.api_tokens = ApiTokens(self.records, now_ms=self.now_ms)
        self.identity = Identity(
            lambda: self._token, self.accounts, self.api_tokens, lambda: self._sign_on, self.now_ms
        )

    def take(self, settings: AdminSettings, signing_keys: Sequence[str]) -> None:
        """Follow these settings from now on."""
        assert settings.token is not None, "the supervisor fills in the token"
        self._settings = settings
        self._token = settings.token.get_secret_value()
        self._sign_on = SingleSignOn(
            settings.sso_header,
            settings.sso_role_header,
            Role[settings.sso_role.upper()],
            tuple(settings.sso_proxies),
        )
        self.accounts.sign_with(signing_keys)

    @property
    def session_seconds(self) -> int:
        """How long a log-in lasts at most."""
        return self._settings.session_hours * 3_600

    def secure(self, scheme: str) -> bool:
        """Whether cookies of a request that came by `scheme` are for HTTPS alone."""
        return self._settings.cookie_secure == "always" or scheme == "https"
