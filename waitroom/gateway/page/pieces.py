"""A page made of pieces: those that many visitors share are encoded and compressed once, only the rest for each.

gzip holds DEFLATE blocks one after another (RFC 1951). A shared piece ends on a whole byte (a full flush), and refers
back to nothing but the shared piece right before it, so what is each visitor's own can go between.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Mapping

NONCE: Final = "\x01"
STYLE: Final = "\x02"
SCRIPT: Final = "\x03"
DATA: Final = "\x04"
CODE: Final = "\x05"
HERE: Final = "\x06"
GO: Final = "\x0e"
TOKEN_URL: Final = "\x0f"  # noqa: S105  # a mark
STOP: Final = "\x10"
RESTART: Final = "\x11"
NUMBER: Final = "\x12"
POSITION: Final = "\x13"
"""Stand in a rendered page where pieces of their own go. No text holds them: they are no characters of HTML."""
_MARK: Final = re.compile("([\x01-\x06\x0e-\x13])")
_GZIP_HEAD: Final = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 0xFF])
_LAST_BLOCK: Final = b"\x03\x00"
_REPEATED: Final = 50
"""Bytes of a visitor's own from which on it is remembered, and referred to where it stands again."""
_SHORTEST_MATCH, _LONGEST_MATCH = 3, 257
_FARTHEST: Final = 32_768
"""Of DEFLATE's references: bytes repeated by one (258 is written in a way of its own) and distance."""
_LONG: Final = 400
"""Bytes of a visitor's own from which on it is worth compressing: less is an address with a token, which is chance."""
_REMEMBERED_REFERENCES: Final = 4_096
_LARGE: Final = 2_048
"""Bytes of a shared piece whose part in the checksum is worth a table."""


class Shared:
    """Text that is the same for many, as bytes and compressed."""

    __slots__ = ("begun", "deflated", "raw", "tables")

    def __init__(self, text: str, before: bytes = b"") -> None:
        """`before`: what always stands right before it."""
        self.raw = text.encode()
        press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
        self.deflated = press.compress(self.raw) + press.flush(zlib.Z_FULL_FLUSH)
        self.begun = self.deflated[:-4]
        """The same with a stored block begun at its end in place of the empty one of the flush."""
        self.tables = _checksum_tables(self.raw) if len(self.raw) >= _LARGE and not before else None
        """For `checksum`, of large ones; the others are cheaper to read."""

    def checksum(self, before: int) -> int:
        """Return the CRC-32 of what stands before, whose own is `before`, and this; by `tables` alone."""
        assert self.tables is not None
        a, b, c, d = self.tables
        return a[before & 0xFF] ^ b[before >> 8 & 0xFF] ^ c[before >> 16 & 0xFF] ^ d[before >> 24]


def _checksum_tables(raw: bytes) -> list[list[int]]:
    """Return for each byte of a CRC-32, and each of its values, what it adds to the CRC-32 that goes on over `raw`.

    The latter is linear in the bits of the former, but for a constant, which the first table holds.
    """
    constant = crc32(raw)
    tables = []
    for shift in range(0, 32, 8):
        bits = [crc32(raw, 1 << shift + bit) ^ constant for bit in range(8)]
        table = [0 if shift else constant]
        for bit in bits:
            table += [value ^ bit for value in table]
        tables.append(table)
    return tables


class Pieces:
    """A rendered page with marks. What stands in for shared marks is filled in now, the rest for each visitor."""

    def __init__(self, page: str, shared: Mapping[str, Shared]) -> None:
        # Before each visitor's own stands a shared piece, were it an empty one.
        self._pieces: list[Shared | str] = []
        before: Shared | None = None
        for part in filter(None, _MARK.split(page)):
            if _MARK.fullmatch(part) and part not in shared:
                self._pieces += [part] if before is not None else [Shared(""), part]
                before = None
            else:
                before = shared.get(part) or Shared(part, b"" if before is None else before.raw)
                self._pieces.append(before)

    def plain(self, own: Mapping[str, bytes]) -> bytes:
        """Return the page, with `own` bytes for the marks that are left."""
        return b"".join([own[piece] if isinstance(piece, str) else piece.raw for piece in self._pieces])

    def gzipped(self, own: Mapping[str, bytes]) -> bytes:
        """Return the same as gzip."""
        blocks, checksum, length = [_GZIP_HEAD], 0, 0
        unsummed: list[bytes] = []
        known, known_at = b"", 0
        for piece in self._pieces:
            if isinstance(piece, Shared):
                raw, before = piece.raw, piece
                blocks.append(piece.deflated)
                if piece.tables:
                    checksum = piece.checksum(crc32(b"".join(unsummed), checksum))
                    unsummed.clear()
                else:
                    unsummed.append(raw)
            else:
                raw = own[piece]
                unsummed.append(raw)
                if known and raw.startswith(known) and length - known_at <= _FARTHEST:
                    rest = raw[len(known) :]
                    blocks += (_reference(len(known), length - known_at), _stored(len(rest)), rest)
                else:
                    if not known and len(raw) >= _REPEATED:
                        known, known_at = raw, length
                    if len(raw) >= _LONG:
                        blocks.append(_compressed(raw))
                    else:
                        blocks[-1] = before.begun
                        blocks += (_stored(len(raw)), raw)
            length += len(raw)
        checksum = crc32(b"".join(unsummed), checksum)
        blocks += (_LAST_BLOCK, checksum.to_bytes(4, "little"), (length & 0xFFFF_FFFF).to_bytes(4, "little"))
        return b"".join(blocks)


@lru_cache(_LONG)
def _stored(length: int) -> bytes:
    """Return the head of a stored block of `length` bytes, less the byte that begins it."""
    return length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")


def _compressed(raw: bytes) -> bytes:
    """Return blocks with `raw`; fixed codes take half the time of own ones."""
    press = zlib.compressobj(4, zlib.DEFLATED, -12, 5, zlib.Z_FIXED)
    return press.compress(raw) + press.flush(zlib.Z_SYNC_FLUSH)


@lru_cache(_REMEMBERED_REFERENCES)
def _reference(length: int, distance: int) -> bytes:
    """Return a block that repeats `length` bytes from `distance` bytes ago, and the first byte of a stored one."""
    block, bits = 0b010, 3  # not the last; fixed codes

    def add(value: int, width: int) -> None:
        nonlocal block, bits
        block |= value << bits
        bits += width

    while length:
        match = min(length, _LONGEST_MATCH)
        if 0 < length - match < _SHORTEST_MATCH:
            match -= _SHORTEST_MATCH
        length -= match
        value = match - _SHORTEST_MATCH
        spare = max(0, value.bit_length() - 3)
        code = 1 + 4 * spare + (value >> spare)
        if code < 24:
            add(_turned(code, 7), 7)
        else:
            add(_turned(0b11000000 + code - 24, 8), 8)
        add(value & (1 << spare) - 1, spare)
        value = distance - 1
        spare = max(0, value.bit_length() - 2)
        add(_turned(2 * spare + (value >> spare), 5), 5)
        add(value & (1 << spare) - 1, spare)
    bits += 7 + 3  # the end of the block; a stored one, not the last
    return block.to_bytes((bits + 7) // 8, "little")


def _turned(code: int, width: int) -> int:
    """Return a Huffman code as it stands in a block: its first bit lowest."""
    return int(f"{code:0{width}b}"[::-1], 2)
