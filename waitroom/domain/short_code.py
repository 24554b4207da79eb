"""What a visitor can quote to customer service: eight characters that tell visitors apart and lead back to none."""

from __future__ import annotations

import hashlib
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that nothing is read for something else."""
_MEANT: Final = str.maketrans("ILO", "110", "- ")
_BITS: Final = 40


def short_code(visitor: str) -> str:
    """Return the code of a visitor's id, such as `7F3K-92QD`: the first 40 bits of its SHA-256."""
    number = int.from_bytes(hashlib.sha256(visitor.encode("ascii")).digest()[: _BITS // 8], "big")
    characters = "".join(ALPHABET[number >> shift & 31] for shift in range(_BITS - 5, -1, -5))
    return f"{characters[:4]}-{characters[4:]}"


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
