"""Claims ⇄ signed text.

A text is one canonical line of fields, then a dot and its HMAC-SHA-256 under a key derived for that purpose alone:

- `1~q~room~visitor~score_us~epoch~generation~provisional` of a queue token, with `~from~to` where a range of minutes
  was told (a `to` of 0 is open), and `~p` and the least position where a page has shown one;
- `1~p~room~visitor~issued_ms~session_end_ms~generation~provisional` of a pass;
- `1~v~room~ends_at_seconds` of a look at the page.

Another version of Waitroom that runs beside this one may put more behind the fields of the first two: `~`, a small
letter of its own, a value. What this one does not know is passed over. The leading 1 is the version of the format; a
text of another counts as none.

`~` and `.` can stand in no field, so a text reads one way only; numbers have no leading zeros and the signature's spare
bits must be zero, so claims have one text only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from itsdangerous import BadSignature, Signer
from itsdangerous.signer import SigningAlgorithm

from .domain.claims import PassClaims, QueueClaims
from .errors import TokenRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT: Final = 220
"""Characters of the longest text, so that its cookie stays under 300 bytes."""

_REMEMBERED_PASSES: Final = 4_096
"""As many as of the cookies they come in: who asks for a page and what belongs to it does so within seconds."""
_REMEMBERED_PLACES: Final = 16
"""One answer may name a place's token several times."""
_SIGNATURE: Final = r"\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
_WHO: Final = r"([a-z0-9-]{1,40})~([A-Za-z0-9_-]{16,32})"
_NUMBER: Final = r"(0|[1-9][0-9]{0,16})"
_GENERATION: Final = r"([A-Za-z0-9_-]{0,32})"
_MINUTES: Final = r"(0|[1-9][0-9]?)"
_LEAST: Final = r"(?:~p([1-9][0-9]{0,7}))?"
_MORE: Final = r"(?:~[a-oq-z][A-Za-z0-9_-]*)*"
_QUEUE: Final = re.compile(
    rf"1~q~{_WHO}~{_NUMBER}~{_NUMBER}~{_GENERATION}~([01])(?:~{_MINUTES}~{_MINUTES})?{_LEAST}{_MORE}"
)
_PASS: Final = re.compile(rf"1~p~{_WHO}~{_NUMBER}~{_NUMBER}~{_GENERATION}~([01]){_MORE}")
_PREVIEW: Final = re.compile(rf"1~v~([a-z0-9-]{{1,40}})~{_NUMBER}")
_SHAPE: Final = re.compile(rf"[0-9]+~[a-z]~[A-Za-z0-9_~-]+{_SIGNATURE}")


class Tokens:
    """Signs with the first key, verifies with all of them. Remembers verified passes, and places signed just now."""

    def __init__(self, keys: Sequence[bytes | str]) -> None:
        if not keys:
            raise ValueError("no signing key: at least one is needed")
        oldest_first = [key.encode() if isinstance(key, str) else key for key in reversed(keys)]
        self._queue = _Signer(oldest_first, "waitroom queue token 1")
        self._pass = _Signer(oldest_first, "waitroom pass 1")
        self._preview = _Signer(oldest_first, "waitroom preview 1")
        self._puzzle_keys = [_Signer([key], "waitroom puzzle 1").derive_key() for key in reversed(oldest_first)]
        self._blind_key = self._preview.derive_key() + b"waitroom network 1"
        self._signed = lru_cache(_REMEMBERED_PLACES)(self._sign_queue)
        self._verified = lru_cache(_REMEMBERED_PASSES)(self._verify_pass)

    def sign_queue(self, claims: QueueClaims) -> str:
        """Return the text of a queue token."""
        return self._signed(claims)

    def _sign_queue(self, claims: QueueClaims) -> str:
        fields: tuple[int | str, ...] = (claims.score_us, claims.epoch, claims.generation, int(claims.provisional))
        if claims.told is not None:
            low, high = claims.told
            fields += (low, high or 0)
        if claims.least_position:
            fields += (f"p{claims.least_position}",)
        return _sign(self._queue, _QUEUE, f"1~q~{claims.room}~{claims.visitor}", *fields)

    def sign_pass(self, claims: PassClaims) -> str:
        """Return the text of a pass."""
        fields = (claims.issued_ms, claims.session_end_ms, claims.generation, int(claims.provisional))
        return _sign(self._pass, _PASS, f"1~p~{claims.room}~{claims.visitor}", *fields)

    def read_queue(self, text: str, room: str, now_ms: int) -> QueueClaims:
        """Return what a queue token of `room` says; raises `TokenRejected`."""
        name, visitor, score_us, epoch, generation, provisional, low, high, least = _read(self._queue, _QUEUE, text)
        told = None if low is None else (int(low), int(high) or None)
        claims = QueueClaims(
            name, visitor, int(score_us), int(epoch), generation, provisional == "1", told, int(least or 0)
        )
        if name != room:
            raise TokenRejected("foreign")
        if claims.ended(now_ms):
            raise TokenRejected("expired")
        return claims

    def read_pass(self, text: str, room: str) -> PassClaims:
        """Return what a pass of `room` says, ended or not; raises `TokenRejected`."""
        claims = self._verified(text)
        if claims.room != room:
            raise TokenRejected("foreign")
        return claims

    def sign_preview(self, room: str, ends_at_seconds: int) -> str:
        """Return the text that lets its holder look at a room's page until then; it proves no place."""
        return _sign(self._preview, _PREVIEW, f"1~v~{room}", ends_at_seconds)

    def check_preview(self, text: str, room: str, now_ms: int) -> None:
        """Raise `TokenRejected` unless `text` lets its holder look at the page of `room` now."""
        name, ends_at_seconds = _read(self._preview, _PREVIEW, text)
        if name != room:
            raise TokenRejected("foreign")
        if int(ends_at_seconds) * 1000 <= now_ms:
            raise TokenRejected("expired")

    @property
    def puzzle_keys(self) -> list[bytes]:
        """The keys that sign puzzles, the first first."""
        return self._puzzle_keys

    def blinded(self, text: str) -> str:
        """Return a name for `text` that tells nothing of it to whoever has no key; it changes with the first key."""
        return hmac.digest(self._blind_key, text.encode(), "sha256").hex()[:32]

    def _verify_pass(self, text: str) -> PassClaims:
        name, visitor, issued_ms, end_ms, generation, provisional = _read(self._pass, _PASS, text)
        return PassClaims(name, visitor, int(issued_ms), int(end_ms), generation, provisional == "1")


def is_pass(text: str) -> bool:
    """Whether `text` says that it is a pass, and no queue token."""
    return text[1:4] == "~p~"


class _Sha256(SigningAlgorithm):
    """HMAC-SHA-256, begun once for each of the few keys: half of its time is the key's."""

    def __init__(self) -> None:
        self._begun: dict[bytes, hmac.HMAC] = {}

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        begun = self._begun.get(key)
        if begun is None:
            begun = self._begun[key] = hmac.new(key, digestmod="sha256")
        mac = begun.copy()
        mac.update(value)
        return mac.digest()


class _Signer(Signer):
    """A signer that derives its keys once; of several keys itsdangerous signs with the last."""

    def __init__(self, keys: list[bytes], salt: str) -> None:
        super().__init__(keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256, algorithm=_Sha256())
        self._derived = {key: super(_Signer, self).derive_key(key) for key in self.secret_keys}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        return self._derived[self.secret_keys[-1] if secret_key is None else cast("bytes", secret_key)]


def _sign(signer: Signer, shape: re.Pattern[str], head: str, *fields: int | str) -> str:
    payload = "~".join([head, *map(str, fields)])
    if not shape.fullmatch(payload):
        raise ValueError("these claims do not fit into a token: a field has characters or a length it may not have")
    return signer.sign(payload).decode("ascii")


def _read(signer: Signer, shape: re.Pattern[str], text: str) -> tuple[str, ...]:
    """Return the fields of a text that `signer` signed. What is cheap to see is looked at first."""
    if len(text) > MAX_TEXT:
        raise TokenRejected("oversized")
    if not _SHAPE.fullmatch(text):
        raise TokenRejected("malformed")
    try:
        payload = signer.unsign(text).decode("ascii")
    except BadSignature:
        raise TokenRejected("forged") from None
    fields = shape.fullmatch(payload)
    if fields is None:
        raise TokenRejected("malformed" if payload.startswith("1~") else "version")
    return fields.groups()
