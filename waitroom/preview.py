"""Previews of the waiting page in every state: a web server for one person, and what the console's frames show."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from .gateway.page.preview import Preview
from .gateway.page.views import VIEWS
from .gateway.page.waiting import WaitingPage
from .words.languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .domain.room import Room


def preview_server(room: Room, port: int, template_failed: Callable[[str, str], None]) -> ThreadingHTTPServer:
    """Return a server on 127.0.0.1 that shows `room`; port 0 takes any free one. Raises OSError when it is taken."""

    def new_nonce() -> str:
        return secrets.token_urlsafe(18)

    preview = Preview(WaitingPage([room], new_nonce, template_failed), new_nonce)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            view, tag = asked.get("state", ""), asked.get("lang", "") or room.language
            found = None
            if address.path == "/":
                found = (
                    preview.view(room, view, tag, int(time.time() * 1000), scheme=asked.get("scheme", ""))
                    if "page" in asked
                    else preview.controls(room, view=view, tag=tag)
                )
            body, headers = found or (b"Nothing is here.", [(b"content-type", b"text/plain")])
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            for name, value in headers:
                self.send_header(name.decode(), value.decode("latin-1"))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass  # the terminal is for the person, not for requests

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


class WaitingPages:
    """Waiting pages for the console's preview, made anew each time: rooms and their templates change."""

    views: Sequence[str] = tuple(VIEWS)
    languages: Mapping[str, str] = {tag: row.name for tag, row in LANGUAGES.items()}

    def page(
        self, room: Room, view: str, tag: str, now_ms: int, *, scheme: str
    ) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
        """Return the page of `room` in one view and language, and its headers; None when there is no such."""

        def new_nonce() -> str:
            return secrets.token_urlsafe(18)

        waiting_page = WaitingPage([room], new_nonce, lambda name, reason: None)
        return Preview(waiting_page, new_nonce).view(room, view, tag, now_ms, scheme=scheme)
