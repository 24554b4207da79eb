"""Pages put together from pieces are gzip of the very same text."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from waitroom.gateway.page.pieces import GO, HERE, REFRESH, STYLE, Pieces, Shared

LONGEST_REPEATED = 257


def text(length: int) -> str:
    return "".join(random.Random(length).choices("abcdefghijklmnopqrstuvwxyz", k=length))


@pytest.mark.parametrize("apart", [1, 4, 5, 300, 4_097, 20_000, 32_500, 40_000])
def test_what_stands_again_is_the_same_whatever_its_length_and_distance(apart: int) -> None:
    pieces = Pieces(f"{REFRESH}{text(apart)}{GO}{HERE}", {})
    for length in [1, 49, *range(50, 260), 399, 400, 5_000]:
        own = {REFRESH: text(length).encode(), GO: text(length).encode() + b"&amp;auto=0", HERE: text(length).encode()}
        page = pieces.gzipped(own)
        assert gzip.decompress(page) == pieces.plain(own)
        if 50 <= length <= LONGEST_REPEATED and apart < 32_000:
            assert len(page) < len(gzip.compress(text(apart).encode(), 9)) + length + 70


def test_the_checksum_of_a_large_shared_piece_goes_on_from_any_other() -> None:
    large = Shared(text(5_000))
    for before in [0, 1, 0xFFFF_FFFF, *(random.Random(7).getrandbits(32) for _ in range(200))]:
        assert large.checksum(before) == zlib.crc32(large.raw, before)
    pieces = Pieces(f"<p>{HERE}</p>{STYLE}{HERE}", {STYLE: large})
    assert gzip.decompress(pieces.gzipped({HERE: b"here"})) == pieces.plain({HERE: b"here"})
