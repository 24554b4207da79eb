"""A CAPTCHA's service on a real port, whose answers the test decides, and a stand-in for the script that it gives browsers."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from waitroom.settings import CaptchaSettings

if TYPE_CHECKING:
    import ssl

SECRET = "s-e-c-r-e-t-0123456789"
SITE_KEY = "1x00000000000000000000AA"
HOST = "shop.example"
SCRIPT = """
window.turnstile = {
  render(box, options) {
    this.tries = 0;
    const frame = document.createElement("iframe");
    frame.title = "Are you a person?";
    frame.width = options.size === "compact" ? 130 : 300;
    frame.height = 65;
    frame.src = "ORIGIN/frame?" + new URLSearchParams({key: options.sitekey, action: options.action, language: options.language});
    box.append(frame);
    onmessage = ({origin}) => { if (origin === "ORIGIN") options.callback("response-" + this.tries++); };
    return "widget-1";
  },
  reset() {},
};
window[new URL(document.currentScript.src).searchParams.get("onload")]();
"""
FRAME = """<!doctype html><html lang="en"><title>Are you a person?</title>
<main><button type="button" onclick="parent.postMessage('pressed', '*')">I am a person</button></main></html>"""


class Verifier:
    """Knows the `good` responses, each once, and what it says of them; `whole` is an answer in place of its own."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.good: dict[str, dict[str, Any]] = {}
        self.whole: bytes | None = None
        self.script = True
        self.asked: list[dict[str, str]] = []
        self.go_on = threading.Event()
        """While it is not set, nothing is answered."""
        self.go_on.set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                service.asked.append(dict(parse_qsl(body.decode("ascii"), strict_parsing=True)))
                self._send(service.verdict(service.asked[-1]))

            def do_GET(self) -> None:
                if self.path.startswith("/api.js") and service.script:
                    self._send(of(200, SCRIPT.replace("ORIGIN", service.origin), "text/javascript"))
                elif self.path.startswith("/frame?"):
                    self._send(of(200, FRAME, "text/html"))
                else:
                    self._send(of(404, "", "text/plain"))

            def _send(self, answer: bytes) -> None:
                service.go_on.wait(30)
                with suppress(OSError):  # whoever asked may be gone
                    self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def verdict(self, form: dict[str, str]) -> bytes:
        """Answer to `siteverify` as the services do."""
        if self.whole is not None:
            return self.whole
        if form.get("secret") != SECRET:
            return of(200, json.dumps({"success": False, "error-codes": ["invalid-input-secret"]}))
        facts = self.good.pop(form.get("response", ""), None)
        if facts is None:
            return of(200, json.dumps({"success": False, "error-codes": ["timeout-or-duplicate"]}))
        return of(200, json.dumps({"success": True, "error-codes": [], "hostname": HOST, **facts}))

    def settings(self, **changes: Any) -> CaptchaSettings:
        """Return settings that lead here."""
        known: dict[str, Any] = {
            "provider": "turnstile", "site_key": SITE_KEY, "secret": SECRET, "deadline_ms": 10_000,
            "verify_url": f"{self.origin}/siteverify", "script_url": f"{self.origin}/api.js",
        }  # fmt: skip
        return CaptchaSettings(**(known | changes))

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


def of(status: int, body: str, kind: str = "application/json") -> bytes:
    """Return an answer as it travels."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
    return head.encode() + body.encode()
