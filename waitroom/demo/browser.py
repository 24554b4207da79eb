"""Browser: one shopper's cookies and one keep-alive HTTP/1.1 connection, as little as a simulated crowd needs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

BODY_LIMIT_BYTES = 1_000_000


class Unanswered(Exception):
    """The site gave no whole answer: refused, cut, malformed, or silent for too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the first header of that lower-case name, or nothing."""
        return next((value for field, value in self.headers if field == name), "")


class Browser:
    """Opens pages of one site, keeping its cookies. One request at a time."""

    def __init__(self, host: str, port: int, *, timeout_seconds: float = 10.0) -> None:
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.cookies: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Open nothing yet: the first request connects."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def navigate(self, path: str, *, method: str = "GET") -> Answer:
        """Open a page as somebody does who clicks; raises `Unanswered`."""
        return await self._request(method, path, {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate"})

    async def fetch(self, path: str, *, method: str = "GET") -> Answer:
        """Ask as a page's script does; raises `Unanswered`."""
        return await self._request(method, path, {"accept": "application/json", "sec-fetch-mode": "cors"})

    async def close(self) -> None:
        """Drop the connection; the cookies stay."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with suppress(OSError):  # it was broken already
                await writer.wait_closed()

    async def _request(self, method: str, path: str, fields: dict[str, str]) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._exchange(self._head(method, path, fields), has_body=method != "HEAD")
        except (TimeoutError, OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            await self.close()
            raise Unanswered(f"{method} {path}: {type(error).__name__}") from error
        except asyncio.CancelledError:
            await self.close()
            raise
        self._keep_cookies(answer)
        if answer.header("connection").lower() == "close":
            await self.close()
        return answer

    def _head(self, method: str, path: str, fields: dict[str, str]) -> bytes:
        origin = f"{self._host}:{self._port}"
        lines = [f"{method} {path} HTTP/1.1", f"host: {origin}", "user-agent: crowd", "sec-fetch-site: same-origin"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        if self.cookies:
            lines.append("cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if method == "POST":
            lines += [f"origin: http://{origin}", "content-length: 0"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def _exchange(self, head: bytes, *, has_body: bool) -> Answer:
        if self._reader is not None and self._reader.at_eof():
            await self.close()  # the site closed it while nobody asked
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(head)
        return await _read_answer(self._reader, has_body=has_body)

    def _keep_cookies(self, answer: Answer) -> None:
        for field, value in answer.headers:
            if field == "set-cookie":
                pair, *attributes = (part.strip() for part in value.split(";"))
                name, _, text = pair.partition("=")
                if "max-age=0" in (attribute.lower() for attribute in attributes):
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = text


async def _read_answer(reader: asyncio.StreamReader, *, has_body: bool) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    status = int(first.removeprefix("HTTP/1.1 ")[:3])
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in (s.partition(":") for s in lines if s))
    answer = Answer(status, headers, b"")
    if not has_body or status in {204, 304}:
        return answer
    if answer.header("transfer-encoding").lower() == "chunked":
        return Answer(status, headers, await _read_chunks(reader))
    size = int(answer.header("content-length") or 0)
    if size > BODY_LIMIT_BYTES:
        raise ValueError(f"a page of {size} bytes")
    return Answer(status, headers, await reader.readexactly(size))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        if len(body) + size > BODY_LIMIT_BYTES:
            raise ValueError("a page without end")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)
