"""A proof of work before joining: a number that a browser must look for, and that costs nothing to check.

The puzzle has the form of ALTCHA's: find `number` so that SHA-256 of `salt` and it is `challenge`. The salt holds the
room, the visitor that the solution makes, and when the puzzle ends; the challenge is a hash of the salt and is signed,
so none of them can be changed, nor a digit moved from one field to the next: the salt ends with `&`. How many numbers
must be tried was decided when the puzzle was made. A solution shown twice is the same visitor, so it is one place.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from waitroom.domain.visit import Census

ENDS_AFTER_MS: Final = 600_000
EASIEST: Final = 50_000
"""Numbers to look through, of which half are tried on average: a fraction of a second."""
HARDEST: Final = 500_000
"""Some seconds on an old phone."""
_LONGEST: Final = 1_000
_SALT: Final = re.compile(r"[0-9a-f]{24}\?room=([a-z0-9-]{1,40})&visitor=([A-Za-z0-9_-]{16,32})&expires=([0-9]{1,12})&")


class Puzzles:
    """Makes puzzles and checks solutions. The first key signs, all verify; `chance` gives random bytes."""

    def __init__(self, keys: Sequence[bytes], chance: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._chance = chance

    def make(self, room: str, visitor: str, now_ms: int, most: int) -> dict[str, Any]:
        """Return a puzzle whose number is at most `most`, for `visitor` to join `room`."""
        ends_at_seconds = (now_ms + ENDS_AFTER_MS) // 1000
        salt = f"{self._chance(12).hex()}?room={room}&visitor={visitor}&expires={ends_at_seconds}&"
        number = int.from_bytes(self._chance(8), "big") % (most + 1)
        challenge = _challenge(salt, number)
        return {
            "algorithm": "SHA-256",
            "challenge": challenge,
            "maxnumber": most,
            "salt": salt,
            "signature": _signature(self._keys[0], challenge),
        }

    def solved_by(self, text: str, room: str, now_ms: int) -> str:
        """Return the visitor that the base64 of a solution makes; raises `TokenRejected`."""
        if len(text) > _LONGEST:
            raise TokenRejected("oversized")
        try:
            facts = json.loads(base64.b64decode(text, validate=True))
            salt, number, signature = str(facts["salt"]), facts["number"], str(facts["signature"])
        except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
            raise TokenRejected("malformed") from None
        said = _SALT.fullmatch(salt)
        if said is None or type(number) is not int or not 0 <= number <= HARDEST or not is_visitor(said[2]):
            raise TokenRejected("malformed")
        challenge = _challenge(salt, number)
        signed = (hmac.compare_digest(_signature(key, challenge).encode(), signature.encode()) for key in self._keys)
        if not any(signed):
            raise TokenRejected("forged")
        if said[1] != room:
            raise TokenRejected("foreign")
        if int(said[3]) * 1000 <= now_ms:
            raise TokenRejected("expired")
        return said[2]


class JoinRate:
    """How many join a room in a minute, from the totals that this process hears of."""

    def __init__(self) -> None:
        self._heard: list[tuple[int, int]] = []
        """Moments in ms and how many had joined, oldest first: of the last minute, a second apart."""

    def a_minute(self, census: Census | None) -> float:
        """Return the rate as of `census`; 0 until there are two."""
        if census is not None:
            heard = self._heard
            if heard and (census.joined_total < heard[-1][1] or census.now_ms < heard[-1][0]):
                heard.clear()  # another memory, or another time
            if not heard or census.now_ms >= heard[-1][0] + 1_000:
                heard.append((census.now_ms, census.joined_total))
            while heard[0][0] < census.now_ms - 60_000:
                heard.pop(0)
        if len(self._heard) < 2:
            return 0.0
        (since_ms, before), (until_ms, after) = self._heard[0], self._heard[-1]
        return (after - before) * 60_000 / max(until_ms - since_ms, 10_000)


def work(when: str, joins_a_minute: float, rate: int | None) -> int:
    """Return how many numbers a newcomer must look through now; 0 for none.

    `when`: off, over_rate or always. From the room's `rate` (a minute) on, the work grows with the joins.
    """
    share = joins_a_minute / max(rate or 0, 60)
    if when == "off" or (when == "over_rate" and share <= 1):
        return 0
    return int(EASIEST * min(max(share, 1.0), HARDEST / EASIEST))


def _challenge(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def _signature(key: bytes, challenge: str) -> str:
    return hmac.digest(key, challenge.encode(), "sha256").hex()
