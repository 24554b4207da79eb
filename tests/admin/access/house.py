"""An admin listener with people in it, over the real store; the clock is an argument."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
from pydantic import SecretStr

from waitroom import logs
from waitroom.admin.access import Access, Passwords
from waitroom.admin.app import make_app
from waitroom.admin.console.live import Live
from waitroom.admin.verbs import Verbs
from waitroom.domain.audit import Author
from waitroom.domain.room import Room
from waitroom.metrics import Metrics
from waitroom.preview import WaitingPages
from waitroom.settings import AdminSettings
from waitroom.store.access import RedisAccessRecords
from waitroom.store.connect import open_operator_store

if TYPE_CHECKING:
    from waitroom.domain.access import Role

TOKEN = "t" * 32
ORIGIN = "http://127.0.0.1:8081"
PASSWORD = "correct horse battery"
BOSS = Author("test", "r1")


@dataclass
class Clock:
    now_ms: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class House:
    def __init__(self, url: str, **settings: Any) -> None:
        self.clock = Clock()
        self.store = open_operator_store(url, [Room(name="drop", rate=600)], deadline_ms=5_000)
        self.written = io.StringIO()
        self.metrics = Metrics()
        log = logs.Log("admin", logs.Sink(self.written, style="json"))
        self.access = Access(RedisAccessRecords(self.store), self.clock, Passwords(memory_kib=64, time_cost=1))
        self.access.take(AdminSettings(token=SecretStr(TOKEN), **settings), ["k" * 32])
        self.accounts = self.access.accounts
        self.verbs = Verbs(self.store, lambda: ["drop"], self.access, self.metrics, log)
        self.app = make_app(
            self.verbs,
            self.access,
            self.metrics,
            log,
            host="127.0.0.1",
            waiting_pages=WaitingPages(),
            live=Live(self.verbs),
        )

    def browser(self, peer: str = "127.0.0.1", **headers: str) -> httpx2.AsyncClient:
        """Return a browser of its own: it keeps cookies, follows nothing, and says where its requests begin."""
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False, client=(peer, 50_000))
        said = {"accept": "text/html", "sec-fetch-site": "same-origin"} | headers
        return httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=said)

    async def someone(self, name: str, role: Role) -> None:
        """Make an account with `PASSWORD`."""
        await self.accounts.accept(await self.accounts.add(name, role, BOSS), PASSWORD)

    async def logged_in(self, name: str, role: Role) -> httpx2.AsyncClient:
        """Make an account and return a browser with its session."""
        await self.someone(name, role)
        browser = self.browser()
        answer = await browser.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return browser
