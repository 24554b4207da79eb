"""One-time links by which somebody sets a password.

A link is signed and names the account and its epoch. Setting a password raises the epoch, so a link works once, and
nothing has to be kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from itsdangerous import BadData, URLSafeSerializer

from waitroom.domain.access import ACCOUNT_NAME, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

LIFETIME_SECONDS: Final = 86_400
_LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who may set the password of an account."""

    account: str
    role: Role
    epoch: int
    """The account's when the link was made; 0 when there was none."""
    expires_ms: int


class Links:
    """Signs with the first key, verifies with all of them."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._serializer = URLSafeSerializer(
            list(reversed(keys)),
            salt="waitroom account link 1",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, invitation: Invitation) -> str:
        """Return the text of a link."""
        text = self._serializer.dumps(
            [invitation.account, int(invitation.role), invitation.epoch, invitation.expires_ms]
        )
        return text if isinstance(text, str) else text.decode()

    def read(self, text: str, now_ms: int) -> Invitation | None:
        """Return what a link says, or None when it is not ours or too old."""
        if len(text) > _LONGEST:
            return None
        try:
            account, role, epoch, expires_ms = self._serializer.loads(text)
            invitation = Invitation(account, Role(role), epoch, expires_ms)
        except (BadData, TypeError, ValueError):
            return None
        if now_ms >= invitation.expires_ms or not ACCOUNT_NAME.fullmatch(account):
            return None
        return invitation
