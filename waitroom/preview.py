"""The local preview: a web server for one person, which shows the waiting page of a room in every state."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from .gateway.page.preview import Preview
from .gateway.page.waiting import WaitingPage

if TYPE_CHECKING:
    from collections.abc import Callable

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
