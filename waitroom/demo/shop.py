"""The toy shop: a small site with a real limit, run as a process of its own (`python -m waitroom.demo.shop`).

It knows nothing of Waitroom but one header: an answer that ends a session says `Waitroom-Release: 1`, which is harmless
where nobody listens. It prints its port on standard output once it is ready, and stops when standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import uvicorn

from . import pages
from .ledger import Ledger, Session
from .resources import TooBusy, WarmSessions, Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

COOKIE = "shop-session"
ORDER_STEPS = 4
"""Reserve the stock, charge the card, book the parcel, write the confirmation. The first accepts the order."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much the shop can bear."""

    sessions: int
    """Sessions that fit into memory: beyond these the shop thrashes."""
    workers: int
    line_limit: int
    patience_seconds: float = 3.0
    page_seconds: float = 0.08
    disk_seconds: float = 0.24
    """How much longer a page takes when its session has to be read from disk."""
    idle_seconds: float = 8.0

    @classmethod
    def bearing(cls, sessions: int, *, idle_seconds: float = 8.0) -> Size:
        """Return the size of a shop that serves `sessions` shoppers at once with ease, and not twice as many."""
        return cls(sessions, workers=max(2, sessions // 7), line_limit=2 * sessions, idle_seconds=idle_seconds)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    page: str
    ends: bool = False
    """The session is over."""


class Shop:
    """The ASGI app."""

    def __init__(self, size: Size, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._workers = Workers(size.workers, line_limit=size.line_limit, patience_seconds=size.patience_seconds)
        self._warm = WarmSessions(size.sessions)
        self._ledger = Ledger(size.idle_seconds)
        self._orders = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == "/stats":
            await _send(
                send, 200, json.dumps(asdict(self._ledger.figures(self._clock()))).encode(), b"application/json"
            )
            return
        name = _session_cookie(scope)
        known = self._ledger.session(name, self._clock()) is not None
        if not known:
            name = secrets.token_urlsafe(12)
        session = self._ledger.begin(name, self._clock())
        status = 500
        try:
            warm = self._warm.use(name, new=not known)
            effort = self._size.page_seconds + (0.0 if warm else self._size.disk_seconds)
            reply = await self._reply(scope, receive, session, effort)
            status = reply.status
            if reply.ends:
                self._ledger.finish(name)
                self._warm.forget(name)
        finally:
            self._ledger.end(name, self._clock(), status)
        headers = [(b"shop-page", reply.page.encode()), (b"cache-control", b"private, no-store")]
        if reply.ends:
            headers += [(b"set-cookie", f"{COOKIE}=; Path=/; Max-Age=0".encode()), (b"waitroom-release", b"1")]
        elif not known:
            headers.append((b"set-cookie", f"{COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax".encode()))
        if reply.status == 503:
            headers.append((b"retry-after", b"2"))
        await _send(send, reply.status, reply.body, b"text/html; charset=utf-8", headers)

    async def _reply(self, scope: Scope, receive: Receive, session: Session, effort: float) -> _Reply:
        match scope["method"], scope["path"]:
            case "GET" | "HEAD", "/" | "/product":
                view = pages.product(_number(scope["query_string"]), session.cart)
                return await self._page(effort, _Reply(200, view, "product"))
            case "GET" | "HEAD", "/cart":
                return await self._page(effort, _Reply(200, pages.cart(session.cart), "cart"))
            case "POST", "/cart":
                reply = await self._page(effort, _Reply(200, pages.cart(session.cart + 1), "cart"))
                session.cart += reply.status == 200
                return reply
            case "POST", "/order":
                if not session.cart:
                    return _Reply(409, pages.cart(0), "cart")
                return await self._order(receive, effort)
            case "POST", "/leave":
                return _Reply(200, pages.goodbye(), "goodbye", ends=True)
        return _Reply(404, pages.missing(), "missing")

    async def _page(self, effort: float, reply: _Reply) -> _Reply:
        try:
            await self._workers.work(effort)
        except TooBusy:
            return _Reply(503, pages.overloaded(order_lost=False), "overloaded")
        return reply

    async def _order(self, receive: Receive, effort: float) -> _Reply:
        accepted = False
        gone = asyncio.create_task(_gone(receive))
        try:
            for _ in range(ORDER_STEPS):
                await self._workers.work(effort)
                accepted = True
        except TooBusy:
            if accepted:
                self._ledger.order_lost()
            return _Reply(503, pages.overloaded(order_lost=accepted), "overloaded")
        else:
            await asyncio.sleep(0)  # lets `gone` hear of a connection that was lost in this very moment
            if gone.done():
                self._ledger.order_lost()
            else:
                self._ledger.order_placed()
            self._orders += 1
            return _Reply(200, pages.ordered(self._orders), "confirmation", ends=True)
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(
    send: Send, status: int, body: bytes, content_type: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    sized = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": sized + (headers or [])})
    await send({"type": "http.response.body", "body": body})


def _session_cookie(scope: Scope) -> str:
    for field, value in scope["headers"]:
        if field == b"cookie":
            for part in value.decode("latin-1").split(";"):
                name, _, text = part.strip().partition("=")
                if name == COOKIE:
                    return str(text)
    return ""


def _number(query: bytes) -> int:
    text = parse_qs(query.decode("latin-1")).get("n", ["0"])[0]
    return int(text) if text.isdecimal() and len(text) < 6 else 0


class _Announcing(uvicorn.Server):
    """A server that prints its port when it is ready, and stops when whoever started it is gone."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say where."""
        await super().startup(sockets)
        assert sockets
        sys.stdout.write(f"{sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self._starter_spoke, loop)

    def _starter_spoke(self, loop: asyncio.AbstractEventLoop) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            self.should_exit = True


def main(arguments: list[str] | None = None) -> None:
    """Serve the shop until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m waitroom.demo.shop", description="A toy shop with a real limit.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes any free one")
    parser.add_argument("--sessions", type=int, default=60, help="how many shoppers at once it bears")
    parser.add_argument("--idle-seconds", type=float, default=8.0, help="silence after which a session is over")
    options = parser.parse_args(arguments)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=2048)
    config = uvicorn.Config(
        Shop(Size.bearing(options.sessions, idle_seconds=options.idle_seconds)),
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    with listener:
        _Announcing(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
