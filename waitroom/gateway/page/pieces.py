"""A page made of pieces: those that many visitors share are encoded and compressed once, only the rest for each.

gzip holds DEFLATE blocks one after another (RFC 1951). A shared piece ends on a whole byte (a full flush), and refers
back to nothing but the shared piece right before it, so what is each visitor's own can go between.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NONCE: Final = "\x01"
STYLE: Final = "\x02"
SCRIPT: Final = "\x03"
DATA: Final = "\x04"
CODE: Final = "\x05"
LANGUAGES: Final = "\x06"
HERE: Final = "\x07"
GO: Final = "\x0e"
REFRESH: Final = "\x0f"
STOP: Final = "\x10"
RESTART: Final = "\x11"
"""Stand in a rendered page where pieces of their own go. No text holds them: they are no characters of HTML."""
_MARK: Final = re.compile("([\x01-\x07\x0e-\x11])")
_GZIP_HEAD: Final = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 0xFF])
_LAST_BLOCK: Final = b"\x03\x00"
_SHORT: Final = 100
"""Bytes of a visitor's own that are not worth compressing."""
_WINDOW: Final = 4_096
"""How far a visitor's own refers back: what it repeats, an address with a token in it, stood not long before."""


class Shared:
    """Text that is the same for many, as bytes and compressed."""

    __slots__ = ("deflated", "raw")

    def __init__(self, text: str, before: bytes = b"") -> None:
        """`before`: what always stands right before it."""
        self.raw = text.encode()
        press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
        self.deflated = press.compress(self.raw) + press.flush(zlib.Z_FULL_FLUSH)


class Pieces:
    """A rendered page with marks. What stands in for shared marks is filled in now, the rest for each visitor."""

    def __init__(self, page: str, shared: Mapping[str, Shared]) -> None:
        self._pieces: list[Shared | str] = []
        before = b""
        for part in filter(None, _MARK.split(page)):
            if _MARK.fullmatch(part) and part not in shared:
                self._pieces.append(part)
                before = b""
            else:
                piece = shared.get(part) or Shared(part, before)
                self._pieces.append(piece)
                before = piece.raw

    def plain(self, own: Mapping[str, bytes]) -> bytes:
        """Return the page, with `own` bytes for the marks that are left."""
        return b"".join([own[piece] if isinstance(piece, str) else piece.raw for piece in self._pieces])

    def gzipped(self, own: Mapping[str, bytes]) -> bytes:
        """Return the same as gzip."""
        blocks, checksum, length, tail = [_GZIP_HEAD], 0, 0, b""
        for piece in self._pieces:
            if isinstance(piece, str):
                raw = own[piece]
                blocks += [_short_block(raw)] if len(raw) < _SHORT else [_long_block(raw, tail)]
            else:
                raw = piece.raw
                blocks.append(piece.deflated)
            checksum = zlib.crc32(raw, checksum)
            length += len(raw)
            tail = raw[-_WINDOW:] if len(raw) >= _WINDOW else (tail + raw)[-_WINDOW:]
        blocks += [_LAST_BLOCK, checksum.to_bytes(4, "little"), (length & 0xFFFF_FFFF).to_bytes(4, "little")]
        return b"".join(blocks)


def _short_block(raw: bytes) -> bytes:
    return b"\0" + len(raw).to_bytes(2, "little") + (len(raw) ^ 0xFFFF).to_bytes(2, "little") + raw


def _long_block(raw: bytes, before: bytes) -> bytes:
    press = zlib.compressobj(1, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, before)
    return press.compress(raw) + press.flush(zlib.Z_SYNC_FLUSH)
