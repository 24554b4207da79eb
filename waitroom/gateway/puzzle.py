"""A proof of work before joining: a number that a browser must look for, and that costs nothing to check.

The puzzle has the form of ALTCHA's: find `number` so that SHA-256 of `salt` and it is `challenge`. The salt holds the
room, the visitor that the solution makes, what it is worth, and when the puzzle ends; the challenge is a hash of the
salt and is signed, so none of them can be changed, nor a digit moved from one field to the next: the salt ends with
`&`. How many numbers must be tried was decided when the puzzle was made. A solution shown twice is the same visitor, so
it is one place. Who passed another challenge gets a solution as well: it is the one form of such proof.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any, Final

from waitroom.domain.claims import is_visitor
from waitroom.errors import TokenRejected

from .challenge import Kind, Passed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENDS_AFTER_MS: Final = 600_000
EASIEST: Final = 50_000
"""Numbers to look through, of which half are tried on average: a fraction of a second."""
HARDEST: Final = 500_000
"""Some seconds on an old phone."""
_LONGEST: Final = 1_000
_WORTH: Final = {kind.word: kind for kind in Kind}
_SALT: Final = re.compile(
    r"[0-9a-f]{24}\?room=([a-z0-9-]{1,40})&visitor=([A-Za-z0-9_-]{16,32})&for=([a-z]+)&expires=([0-9]{1,12})&"
)


class Puzzles:
    """Makes puzzles and checks solutions. The first key signs, all verify; `chance` gives random bytes."""

    def __init__(self, keys: Sequence[bytes], chance: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._chance = chance

    def make(self, room: str, visitor: str, now_ms: int, most: int, worth: Kind = Kind.WORK) -> dict[str, Any]:
        """Return a puzzle whose number is at most `most`, for `visitor` to join `room`."""
        ends_at_seconds = (now_ms + ENDS_AFTER_MS) // 1000
        salt = f"{self._chance(12).hex()}?room={room}&visitor={visitor}&for={worth.word}&expires={ends_at_seconds}&"
        number = int.from_bytes(self._chance(8), "big") % (most + 1)
        challenge = _challenge(salt, number)
        return {
            "algorithm": "SHA-256",
            "challenge": challenge,
            "maxnumber": most,
            "salt": salt,
            "signature": _signature(self._keys[0], challenge),
        }

    def solved(self, room: str, passed: Passed, now_ms: int) -> str:
        """Return a solution for who has passed something else: proof of it in the same form."""
        puzzle = self.make(room, passed.visitor, now_ms, 0, passed.kind)
        return base64.b64encode(json.dumps({**puzzle, "number": 0}).encode()).decode("ascii")

    def solved_by(self, text: str, room: str, now_ms: int) -> Passed:
        """Return the visitor that the base64 of a solution makes, and its worth; raises `TokenRejected`."""
        if len(text) > _LONGEST:
            raise TokenRejected("oversized")
        try:
            facts = json.loads(base64.b64decode(text, validate=True))
            salt, number, signature = str(facts["salt"]), facts["number"], str(facts["signature"])
        except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
            raise TokenRejected("malformed") from None
        said = _SALT.fullmatch(salt)
        if said is None or type(number) is not int or not 0 <= number <= HARDEST:
            raise TokenRejected("malformed")
        if not is_visitor(said[2]) or said[3] not in _WORTH:
            raise TokenRejected("malformed")
        challenge = _challenge(salt, number)
        signed = (hmac.compare_digest(_signature(key, challenge).encode(), signature.encode()) for key in self._keys)
        if not any(signed):
            raise TokenRejected("forged")
        if said[1] != room:
            raise TokenRejected("foreign")
        if int(said[4]) * 1000 <= now_ms:
            raise TokenRejected("expired")
        return Passed(said[2], _WORTH[said[3]])


def work(share: float) -> int:
    """Return how many numbers a newcomer must look through: the more join for each that the rate lets in, the more."""
    return int(EASIEST * min(max(share, 1.0), HARDEST / EASIEST))


def _challenge(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def _signature(key: bytes, challenge: str) -> str:
    return hmac.digest(key, challenge.encode(), "sha256").hex()
