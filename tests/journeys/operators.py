"""Operators in a real browser before a real `waitroom serve`: accounts by link, pages, and what the browser complained of."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.journeys.witness import told_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, Page

    from tests.journeys.stage import Serving

PASSWORD = "correct horse battery staple"


def complains(text: str) -> bool:
    """Whether a line of the browser's console is more than its own word on a refusal that a journey wants."""
    return not re.search(
        r"the server responded with a status of (401|412|422) |EventSource's response has a MIME type", text
    )


class Operator:
    """Somebody at the console."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if complains(message.text) else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def opens(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def sets_password(self, link: str) -> None:
        """Open the link that sets a password, and set it."""
        await self.page.goto(link)
        await self.page.fill("[name=password]", PASSWORD)
        await self.page.fill("[name=again]", PASSWORD)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(self.url + "/")

    async def logs_in(self, name: str) -> None:
        """Fill in the log-in that is shown."""
        if await self.page.locator("[name=name]").input_value() != name:
            await self.page.fill("[name=name]", name)
        await self.page.fill("[name=password]", PASSWORD)
        await self.page.keyboard.press("Enter")


@asynccontextmanager
async def operator(
    browser: Browser, running: Serving, name: str, role: str = "operator", **options: Any
) -> AsyncIterator[Operator]:
    """Make an account, and sit down at the console with it."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    try:
        somebody = Operator(context, await context.new_page(), running.admin_url)
        made = await told_api(running, "POST", "/accounts", {"name": name, "role": role})
        await somebody.sets_password(running.admin_url + made["welcome"])
        yield somebody
        assert somebody.complaints == [], somebody.complaints
    finally:
        await context.close()
