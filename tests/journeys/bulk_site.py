"""A site of large bodies, in raw bytes: it sends and takes as much as one likes, late, and tells what it was asked."""

from __future__ import annotations

import asyncio
import hashlib
import random
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from tests.journeys.compare import fields_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BLOCK_BYTES = 64 * 1024
LATE_SECONDS = 0.4
"""How long the slower end lets the other wait: what is under way meanwhile must not pile up in between."""

_NOISE = random.Random(100).randbytes(BLOCK_BYTES - 8)


def blocks(count: int) -> Iterator[bytes]:
    """A body in blocks, each unlike all others."""
    return (number.to_bytes(8, "big") + _NOISE for number in range(count))


def digest_of(count: int) -> str:
    """Return the SHA-256 of that body."""
    digest = hashlib.sha256()
    for block in blocks(count):
        digest.update(block)
    return digest.hexdigest()


def in_chunk(block: bytes) -> bytes:
    """Return a block as chunked bodies have it."""
    return b"%x\r\n%b\r\n" % (len(block), block)


async def read_body(
    reader: asyncio.StreamReader, fields: tuple[tuple[bytes, bytes], ...], rest_seconds: float = 0
) -> str:
    """Read a body to its end, with a rest after each MiB; its SHA-256."""
    digest = hashlib.sha256()
    told = dict(fields)
    if b"content-length" in told:
        left = int(told[b"content-length"])
        while left and (part := await reader.read(min(left, BLOCK_BYTES))):
            digest.update(part)
            if rest_seconds and left % 2**20 < len(part):
                await asyncio.sleep(rest_seconds)
            left -= len(part)
        assert not left
    else:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            digest.update(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
    return digest.hexdigest()


async def _serve(rest_seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    start, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    _, target, _ = start.split(b" ")
    kind, _, count = target.decode().removeprefix("/").partition("?")
    answer = head
    if kind == "up":
        await asyncio.sleep(LATE_SECONDS)
        answer = (await read_body(reader, fields_of(lines))).encode()
    elif kind == "slowly":
        answer = (await read_body(reader, fields_of(lines), rest_seconds)).encode()
    if kind in {"up", "slowly", "seen"}:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
    elif kind == "sized":
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (int(count) * BLOCK_BYTES))
        for block in blocks(int(count)):
            writer.write(block)
            await writer.drain()
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for block in blocks(int(count)):
            writer.write(in_chunk(block))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def bulk_site(rest_seconds: float = 0) -> AsyncIterator[int]:
    """Serve it; its port. What is sent to `/slowly` is read with a rest after each MiB."""
    server = await asyncio.start_server(partial(_serve, rest_seconds), "127.0.0.1", 0, limit=2**20)
    async with server:
        yield server.sockets[0].getsockname()[1]
