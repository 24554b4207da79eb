"""One question to a service elsewhere: a form sent by POST, and its answer.

A small client of its own: the proxy's connections are made for the one site and speak for visitors, and a client in a
thread could not be ended at a deadline.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import httptools

from .errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_ANSWER_BYTES: Final = 65_536
"""Head and body together; a verdict has some hundred."""
_READ_BYTES: Final = 16_384


class _Answer:
    """What has arrived so far, told by the parser."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.complete = True


async def post_form(
    url: str, form: Mapping[str, str], *, deadline_seconds: float, tls: ssl.SSLContext | None = None
) -> tuple[int, bytes]:
    """Return the status and the body of the answer to `form` at `url` (http or https).

    `tls` verifies the service; by default against the system's certificates. Raises `ServiceUnavailable` when there is
    no whole answer of at most LARGEST_ANSWER_BYTES within the deadline, which is of everything together.
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            return await _asked(url, urlencode(form).encode("ascii"), tls)
    except TimeoutError:
        raise ServiceUnavailable(f"no answer in {deadline_seconds:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise ServiceUnavailable(f"its certificate is not accepted: {error.verify_message}") from None
    except OSError as error:
        raise ServiceUnavailable(f"cannot be reached: {error.strerror or type(error).__name__}") from None
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        raise ServiceUnavailable("its answer is not HTTP") from None


async def _asked(url: str, body: bytes, tls: ssl.SSLContext | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: waitroom\r\nAccept: application/json\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if secure else 80), ssl=(tls or _system_tls()) if secure else None
    )
    try:
        with suppress(ConnectionError):  # a service may answer and close before it has read all
            writer.write(head.encode("ascii") + body)
            await writer.drain()
        return await _answer(reader)
    finally:
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    answer, read_bytes = _Answer(), 0
    parser = httptools.HttpResponseParser(answer)
    while not answer.complete:
        data = await reader.read(_READ_BYTES)
        read_bytes += len(data)
        if read_bytes > LARGEST_ANSWER_BYTES:
            raise ServiceUnavailable(f"its answer is larger than {LARGEST_ANSWER_BYTES} bytes")
        if not data:
            raise ServiceUnavailable("it closed before its answer was whole")
        parser.feed_data(data)
    return parser.get_status_code(), answer.body


@cache
def _system_tls() -> ssl.SSLContext:
    """Reading all certificates takes some ms, so it is done once."""
    return ssl.create_default_context()
