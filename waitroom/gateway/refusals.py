"""Why a request is refused, and the bytes of the refusal: one table, in plain text, nothing of the client's in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from waitroom.gateway.response_head import response_head

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Refusal:
    """How one kind of unacceptable request is answered."""

    status: int
    text: str


REFUSALS: dict[str, Refusal] = {
    "connections": Refusal(429, "Too many connections are open from your network."),
    "first_byte_timeout": Refusal(408, "No request arrived in time."),
    "header_timeout": Refusal(408, "The request head did not arrive in time."),
    "body_timeout": Refusal(408, "The request body arrived too slowly."),
    "request_line_size": Refusal(414, "The request target is too long."),
    "header_line_size": Refusal(431, "A header field is too long."),
    "header_size": Refusal(431, "The request head is too large."),
    "header_fields": Refusal(431, "The request has too many header fields."),
    "trailer_size": Refusal(431, "The request has too much chunk or trailer data beside its body."),
    "syntax": Refusal(400, "This is not a valid HTTP/1.1 request."),
    "version": Refusal(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here."),
    "framing": Refusal(400, "The Transfer-Encoding of a request must be 'chunked', in HTTP/1.1 only."),
    "host_missing": Refusal(400, "The request has no Host header field; send the name of the site."),
    "host_repeated": Refusal(400, "The request has more than one Host header field; send one."),
    "host_malformed": Refusal(400, "The Host header field is not of the form 'name' or 'name:port'."),
    "host_differs": Refusal(400, "The request target names another host than the Host header field."),
    "target": Refusal(400, "The request target must be a path, or an http:// or https:// URL without a fragment."),
    "method": Refusal(405, "This method is not allowed here."),
    "expect": Refusal(417, "Only 'Expect: 100-continue' can be met."),
}
"""Every reason for which a request is refused before the application sees it, or cut while it is read."""

WRITE_STALL = "write_stall"
"""The one reason without an answer: the client does not read what was sent, and is cut off."""

REASONS: tuple[str, ...] = (*REFUSALS, WRITE_STALL)
"""All that `on_refused` may be called with."""

_ALLOWED_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


class RequestRefused(Exception):
    """Leaves the parser with the reason why a request is not taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refusal_response(reason: str, defaults: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole response to a request refused for `reason`, after which the connection is closed."""
    refusal = REFUSALS[reason]
    text = refusal.text.encode("ascii") + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"cache-control", b"no-store"),
    ]
    if refusal.status == 405:
        headers.append((b"allow", _ALLOWED_METHODS))
    head = response_head(refusal.status, headers, defaults, method="GET", version="1.1", keep_alive=False)
    return head.data + text
