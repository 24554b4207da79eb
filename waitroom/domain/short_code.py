"""What a visitor can quote to customer service: eight characters that tell visitors apart and lead back to none."""

from __future__ import annotations

import hashlib
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that nothing is read for something else."""
_MEANT: Final = str.maketrans("ILO", "110", "- ")
_BITS: Final = 40
_PAIRS: Final = [one + other for one in ALPHABET for other in ALPHABET]
"""Ten bits in two characters."""


def short_code(visitor: str) -> str:
    """Return the code of a visitor's id, such as `7F3K-92QD`: the first 40 bits of its SHA-256."""
    bits = int.from_bytes(mark_of(visitor.encode("ascii")), "big")
    return f"{_PAIRS[bits >> 30]}{_PAIRS[bits >> 20 & 1_023]}-{_PAIRS[bits >> 10 & 1_023]}{_PAIRS[bits & 1_023]}"


def read_short_code(text: str) -> str:
    """Return the code that somebody wrote or typed, as `short_code` writes it; raises ValueError."""
    characters = text.upper().translate(_MEANT)
    if len(characters) != _BITS // 5 or any(character not in ALPHABET for character in characters):
        raise ValueError(f"{text!r} is no code: it has eight letters and digits, such as 7F3K-92QD")
    return f"{characters[:4]}-{characters[4:]}"


def mark_of(visitor: bytes) -> bytes:
    """Return the bits of a visitor's id that the code writes; cheaper to compare than the code."""
    return hashlib.sha256(visitor).digest()[: _BITS // 8]


def mark_of_code(code: str) -> bytes:
    """Return the bits that `code`, as `short_code` writes it, stands for."""
    number = 0
    for character in code.replace("-", ""):
        number = number << 5 | ALPHABET.index(character)
    return number.to_bytes(_BITS // 8, "big")
