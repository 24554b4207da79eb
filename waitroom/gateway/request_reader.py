"""llhttp under our limits: the bytes of a connection in, one request after another out, or why not.

**Sizes.** The parser reports a field when it is whole, and chunk extensions and empty lines never. So a head is
measured by its fields, and beside that the raw bytes are counted which brought neither a part of a body nor the end
of a request.

**Upgrades.** llhttp stops at any `Upgrade` and takes the body for bytes of the new protocol. A WebSocket request ends
the reading: what follows it is given back. Any other is parsed again without its `Upgrade` field, so that its body
stays a body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import httptools

from waitroom.gateway.refusals import RequestRefused
from waitroom.gateway.request_head import WATCHED, checked_head
from waitroom.logs import logger

if TYPE_CHECKING:
    from waitroom.gateway.protocol import ProtocolLimits
    from waitroom.gateway.request_head import RequestHead

log = logger("protocol")


class Requests(Protocol):
    """Who is told of each request while it is read: its head, the pieces of its body, its end."""

    def request_came(self, head: RequestHead) -> None: ...

    def body_came(self, body: bytes) -> None: ...

    def request_ended(self) -> None: ...


class RequestReader:
    """Reads the requests of one connection."""

    def __init__(self, requests: Requests, limits: ProtocolLimits) -> None:
        self._requests = requests
        self._limits = limits
        self._parser = self._new_parser()
        self.in_head = False
        """Whether a head has begun and is not whole yet."""
        self._in_body = False
        self._parse_again = False
        self._head_left_bytes = 0  # what the head being parsed may still take, as far as the parser has reported it
        self._loose_bytes = 0  # raw bytes since a head was whole, a part of a body came or a request ended
        self._moved = False  # one of the last two has happened in the bytes at hand
        self._line_bytes = limits.header_line_bytes
        self._fields = limits.header_fields

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what follows the last request is not read
        return parser

    def close(self) -> None:
        """No more will be read."""
        self._parser = self._requests = None  # type: ignore[assignment]  # both hold what holds us: break the circles

    def feed(self, data: memoryview) -> bytes:
        """Read on, and give back what follows a WebSocket request. Raises RequestRefused; then nothing may follow."""
        rest = self._parse(data)
        while rest is not None and self._parse_again:
            self._parse_again = False
            self._parser = self._new_parser()
            self._parse(memoryview(self._head_without_upgrade))
            rest = self._parse(rest)
        if self._moved:
            self._moved = False
            self._loose_bytes = 0
        else:
            self._loose_bytes += len(data)
            if self._loose_bytes > self._limits.header_bytes:
                raise RequestRefused("trailer_size" if self._in_body else "header_size")
        return b"" if rest is None else bytes(rest)

    def _parse(self, data: memoryview) -> memoryview | None:
        """What follows a request that asks for an upgrade; None if there was none."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise _refusal_of(error) from None
        return None

    # From the parser. What these raise comes out of feed_data as the context of an HttpParserError.

    def on_message_begin(self) -> None:
        self.in_head = True
        self._head_left_bytes = self._limits.header_bytes
        self._watched: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head_left_bytes -= len(url)
        if len(self._target) > self._limits.request_line_bytes:
            raise RequestRefused("request_line_size")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            return  # a trailer: never to be merged into the headers, and of no use here
        headers = self._headers
        size = len(name) + len(value) + 4
        left = self._head_left_bytes = self._head_left_bytes - size
        if size > self._line_bytes or left < 0 or len(headers) >= self._fields:
            line, head = size > self._line_bytes, left < 0
            raise RequestRefused("header_line_size" if line else "header_size" if head else "header_fields")
        name = name.lower()
        pair = name, value.rstrip(b" \t")  # llhttp leaves what stands behind a value to us
        headers.append(pair)
        if name in WATCHED:
            self._watched.append(pair)

    def on_headers_complete(self) -> None:
        parser = self._parser
        upgrading = parser.should_upgrade()
        head = checked_head(
            parser.get_method().decode("ascii"),
            parser.get_http_version(),
            self._target,
            self._headers,
            self._watched,
            upgrading,
            parser.should_keep_alive(),
        )
        if upgrading and not head.is_websocket:
            self._parse_again = True
            self._head_without_upgrade = head.without(b"upgrade")
            return
        self.in_head, self._in_body = False, True
        self._loose_bytes = 0
        self._requests.request_came(head)

    def on_body(self, body: bytes) -> None:
        self._moved = True
        self._requests.body_came(body)

    def on_message_complete(self) -> None:
        if self._parse_again:
            return
        self._moved = True
        self._in_body = False
        self._requests.request_ended()


def _refusal_of(error: httptools.HttpParserError) -> RequestRefused:
    cause = error.__context__
    if isinstance(cause, RequestRefused):
        return cause
    if isinstance(error, httptools.HttpParserCallbackError):
        log.failure("request_parsing_failed", cause or error)
    return RequestRefused("syntax")
