"""Pages put together from pieces are gzip of the very same text."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from waitroom.gateway.page.pieces import GO, HERE, STYLE, TOKEN_URL, Pieces, Shared

REFERENCES_BYTES = 100
"""What is left of what stands again, whose rest is stored."""


def text(length: int) -> str:
    return "".join(random.Random(length).choices("abcdefghijklmnopqrstuvwxyz", k=length))


@pytest.mark.parametrize("apart", [1, 4, 5, 300, 4_097, 20_000, 32_500, 40_000])
def test_what_stands_again_is_the_same_whatever_its_length_and_distance(apart: int) -> None:
    pieces = Pieces(f"{TOKEN_URL}{text(apart)}{GO}{HERE}", {})
    for length in [1, 49, *range(50, 264), 399, 400, 514, 515, 516, 517, 5_000]:
        own = {
            TOKEN_URL: text(length).encode(),
            GO: text(length).encode() + b"&amp;auto=0",
            HERE: text(length).encode(),
        }
        page = pieces.gzipped(own)
        assert gzip.decompress(page) == pieces.plain(own)
        if length >= 50 and apart < 32_000 - length:
            assert len(page) < len(gzip.compress(text(apart).encode(), 9)) + length + REFERENCES_BYTES


def test_the_checksum_of_a_large_shared_piece_goes_on_from_any_other() -> None:
    large = Shared(text(5_000))
    for before in [0, 1, 0xFFFF_FFFF, *(random.Random(7).getrandbits(32) for _ in range(200))]:
        assert large.checksum(before) == zlib.crc32(large.raw, before)
    for page in (f"<p>{HERE}</p>{STYLE}{HERE}", f"{HERE}{GO}{STYLE}", f"{STYLE}{STYLE}{GO}{HERE}<p>{HERE}{GO}"):
        pieces, own = Pieces(page, {STYLE: large}), {HERE: b"here", GO: b""}
        assert gzip.decompress(pieces.gzipped(own)) == pieces.plain(own)
