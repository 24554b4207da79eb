"""What the proxy says itself when there is no answer of the shop's to pass on.

Somebody who opened a page gets the hold page: it loads itself again, by GET, until the shop is back. Cookies are not
touched, so a session goes on where it was. Scripts get a problem document, and nothing that was sent to be carried out
is ever sent again.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from waitroom.errors import BackendBusy, BackendError, WaitroomError
from waitroom.proxy.headers import ALLOWED_METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from waitroom.proxy.headers import Header

HOLD_TITLE = "The shop is catching up"
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))

_UNKNOWN_OUTCOME = (
    "We cannot tell whether what you sent was carried out. "
    "Please check, for instance your orders, before you send it again."
)
_NOT_SENT = "What you sent has not reached the shop. You can send it again."
_COMES_BACK = "You need not do anything: this page tries again by itself, in about {seconds} seconds."

_STYLE = (
    "body{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem;"
    "color:#222;background:#fff}h1{font-size:1.5rem}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#1a1a1a}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'".encode()
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">{refresh}<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>{paragraphs}</main></body></html>
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: list[Header]
    body: bytes


def is_navigation(headers: Iterable[Header]) -> bool:
    """Whether a person looks at the answer: browsers say that they navigate, older ones name text/html then."""
    html = False
    for name, value in headers:
        if name == b"sec-fetch-mode":
            return value.lower() == b"navigate"
        if name == b"x-requested-with":
            return False
        html = html or (name == b"accept" and b"text/html" in value.lower())
    return html


def own_answer(
    error: WaitroomError, *, method: str, navigation: bool, sent: bool, unread: bool, retry_seconds: int
) -> Answer:
    """The answer to a request that ended in an error.

    `sent`: some of it may have reached the backend. `unread`: not all of it was received, so none can follow it.
    `retry_seconds`: when to ask again, where that is safe.
    """
    status = error.status
    title = error.public
    sentences = []
    hold = isinstance(error, BackendError) and navigation and method == "GET"
    if isinstance(error, BackendError) and method not in _SAFE:
        sentences.append(_UNKNOWN_OUTCOME if sent else _NOT_SENT)
    headers: list[Header] = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    if hold or isinstance(error, BackendBusy):
        headers.append((b"retry-after", str(retry_seconds).encode()))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", ALLOWED_METHODS.encode()))
    if unread:
        headers.append((b"connection", b"close"))
    if navigation:
        if hold:
            body = _page(HOLD_TITLE, [title, _COMES_BACK.format(seconds=retry_seconds)], retry_seconds)
        else:
            body = _page(title, sentences)
        headers += [(b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", _PAGE_POLICY)]
    else:
        problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
        body = json.dumps(problem | {"detail": " ".join([title, *sentences])}).encode()
        headers.append((b"content-type", b"application/problem+json"))
    headers.append((b"content-length", str(len(body)).encode()))
    return Answer(status, headers, body)


def _page(title: str, sentences: list[str], refresh_seconds: int | None = None) -> bytes:
    return _PAGE.format(
        title=html.escape(title),
        style=_STYLE,
        refresh=f'<meta http-equiv="refresh" content="{refresh_seconds}">' if refresh_seconds is not None else "",
        paragraphs="".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences),
    ).encode()
