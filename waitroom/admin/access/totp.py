"""One-time codes of a second factor: RFC 6238 as authenticator apps do it (SHA-1, six digits, 30 s)."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Final
from urllib.parse import quote

STEP_SECONDS: Final = 30
_DIGITS: Final = 6
_DRIFT: Final = 1
"""Steps before and after that count, for a phone whose clock is off."""


def new_secret() -> str:
    """Return 160 random bits in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int) -> str:
    """Return the code of a time step (RFC 4226 §5.3)."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}}"


def step_of(secret: str, code: str, now_ms: int, *, used_step: int) -> int | None:
    """Return the time step that `code` belongs to, or None: it is wrong, or one like it was used before."""
    said = "".join(code.split())
    step = now_ms // 1000 // STEP_SECONDS
    for near in range(step - _DRIFT, step + _DRIFT + 1):
        try:
            same = hmac.compare_digest(code_at(secret, near).encode(), said.encode())
        except (binascii.Error, UnicodeEncodeError):
            return None
        if same and near > used_step:
            return near
    return None


def address(secret: str, account: str) -> str:
    """Return the `otpauth` address that authenticator apps read."""
    return f"otpauth://totp/Waitroom:{quote(account)}?secret={secret}&issuer=Waitroom"
