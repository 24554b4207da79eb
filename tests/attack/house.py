"""The gate on a real store whose clock the test holds, and who comes to it: honest browsers and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.gateway.front import Front, Reply
from waitroom.domain.room import Room
from waitroom.gateway.visitor import make_visitor
from waitroom.store.operators import RedisOperatorStore

if TYPE_CHECKING:
    from tests.store.bench import Bench
    from waitroom.settings import CaptchaSettings, GatewaySettings

PASS, QUEUE = "waitroom-pass-sale", "waitroom-queue-sale"


class House:
    """Rooms are opened by `open`; visitors' ids are numbers that read well."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._visitors = 0

    async def open(
        self, gateway: GatewaySettings | None = None, service: CaptchaSettings | None = None, **limits: Any
    ) -> Front:
        """Return a gate in front of the room `sale`; `service` is the CAPTCHA's."""
        # The gateway's clock goes as the store's does, or it would not notice that time passed.
        self.store = RedisOperatorStore(
            self.bench.client,
            [Room(name="sale", **limits)],
            clock=lambda: self.bench.now_us / 1_000_000,
            store_time_us=lambda: self.bench.now_us,
        )
        await self.store.beat("sale")
        self.front = Front(
            Room(name="sale", **limits),
            store=self.store,
            gateway=gateway,
            new_visitor=self._new_visitor,
            captcha=service,
        )
        return self.front

    def _new_visitor(self) -> str:
        self._visitors += 1
        return make_visitor(lambda size: self._visitors.to_bytes(size, "big"))

    async def active(self) -> list[str]:
        """The visitors of all active sessions."""
        members: list[bytes] = await self.bench.admin.command("ZRANGE", "waitroom:{sale}:active", 0, -1)
        return [member.decode() for member in members]

    async def someone(self, target: str = "/", **how: Any) -> Browser:
        """Return a browser that was never here before and has just asked for a page."""
        browser = Browser(self.front)
        await browser.go(target, **how)
        return browser


class Browser:
    """Keeps the cookies it is given, as browsers do."""

    def __init__(self, front: Front, jar: dict[str, str] | None = None) -> None:
        self._front = front
        self.jar = dict(jar or {})

    async def go(self, target: str = "/", **how: Any) -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        reply = await self._front.ask(target, cookie=cookie, **how)
        for name, value in reply.cookies.items():
            self.jar.pop(name, None)
            if value:
                self.jar[name] = value
        return reply

    async def is_in(self) -> bool:
        """Whether the page asked for comes from the shop."""
        return (await self.go()).body == b"the shop"

    async def stands(self) -> tuple[str, int]:
        """State and position."""
        facts = (await self.go("/.waitroom/sale/me")).json
        return facts["state"], facts["position"]
