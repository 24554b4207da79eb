"""The page on which administrators say who may: accounts, roles, API tokens."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from waitroom.admin.access import must
from waitroom.domain.access import Role, role_of
from waitroom.domain.audit import Author, Source
from waitroom.errors import Refused

from .forms import form

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from waitroom.admin.access import Accounts, ApiTokens

    from .rendering import Pages

_LONGEST_DAYS: Final = 3_650


class People:
    """The accounts and API tokens as forms."""

    def __init__(
        self,
        pages: Pages,
        accounts: Accounts,
        api_tokens: ApiTokens,
        now_ms: Callable[[], int],
        *,
        secure: Callable[[Request], bool],
    ) -> None:
        self._pages = pages
        self._accounts = accounts
        self._api_tokens = api_tokens
        self._now_ms = now_ms
        self._secure = secure

    def routes(self) -> list[Route]:
        changes: dict[str, Callable[[Request, dict[str, str], Author], Awaitable[dict[str, str]]]] = {
            "/people/add": self._add,
            "/people/invite": self._invite,
            "/people/role": self._role,
            "/people/reset": self._reset,
            "/people/remove": self._remove,
            "/people/tokens/add": self._add_token,
            "/people/tokens/revoke": self._revoke_token,
        }
        return [
            Route("/people", self.show, methods=["GET"]),
            *(Route(path, self._changing(change), methods=["POST"]) for path, change in changes.items()),
        ]

    async def show(self, request: Request) -> Response:
        return await self._show(request)

    def _changing(
        self, change: Callable[[Request, dict[str, str], Author], Awaitable[dict[str, str]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            caller = must(request, Role.ADMIN)
            fields = await form(request)
            author = Author(caller.who, secrets.token_hex(8), Source.CONSOLE)
            try:
                shown_once = await change(request, fields, author)
            except Refused as refusal:
                return await self._show(request, error=refusal.public, status=refusal.status, typed=fields)
            if shown_once:
                return await self._show(request, shown_once=shown_once)
            return RedirectResponse("/people", 303, headers={"cache-control": "no-store"})

        return endpoint

    async def _show(
        self,
        request: Request,
        *,
        error: str = "",
        status: int = 200,
        shown_once: dict[str, str] | None = None,
        typed: dict[str, str] | None = None,
    ) -> Response:
        caller = must(request, Role.ADMIN)
        return self._pages.show(
            "people.html", caller=caller, status=status, error=error, shown_once=shown_once or {}, typed=typed or {},
            accounts=await self._accounts.all(), tokens=await self._api_tokens.all(), roles=list(Role),
            now_ms=self._now_ms(), date=_date,
        )  # fmt: skip

    def _welcome_url(self, request: Request, link: str) -> str:
        scheme = "https" if self._secure(request) else "http"
        return f"{scheme}://{request.headers.get('host', '')}/welcome?link={link}"

    async def _add(self, request: Request, fields: dict[str, str], author: Author) -> dict[str, str]:
        name = fields.get("name", "").strip().lower()
        link = await self._accounts.add(name, _role(fields), author)
        return {"kind": "link", "of": name, "text": self._welcome_url(request, link)}

    async def _invite(self, request: Request, fields: dict[str, str], author: Author) -> dict[str, str]:
        name = fields.get("name", "")
        return {"kind": "link", "of": name, "text": self._welcome_url(request, await self._accounts.invite(name))}

    async def _role(self, request: Request, fields: dict[str, str], author: Author) -> dict[str, str]:
        await self._accounts.give_role(fields.get("name", ""), _role(fields), author)
        return {}

    async def _reset(self, request: Request, fields: dict[str, str], author: Author) -> dict[str, str]:
        name = fields.get("name", "")
        return {
            "kind": "link", "of": name, "text": self._welcome_url(request, await self._accounts.reset(name, author)),
        }  # fmt: skip

    async def _remove(self, request: Request, fields: dict[str, str], author: Author) -> dict[str, str]:
        await self._accounts.remove(fields.get("name", ""), author)
        return {}

    async def _add_token(self, request: Request, fields: dict[str, str], author: Author) -> dict[str, str]:
        token, text = await self._api_tokens.add(fields.get("name", ""), _role(fields), _days(fields), author)
        return {"kind": "token", "of": token.name, "text": text}

    async def _revoke_token(self, request: Request, fields: dict[str, str], author: Author) -> dict[str, str]:
        await self._api_tokens.revoke(fields.get("id", ""), author)
        return {}


def _role(fields: dict[str, str]) -> Role:
    role = role_of(fields.get("role", ""))
    if role is None:
        raise Refused(f"a role is one of {', '.join(role.word for role in Role)}", status=422)
    return role


def _days(fields: dict[str, str]) -> int | None:
    text = fields.get("days", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _LONGEST_DAYS):
        raise Refused(f"days: a number from 1 to {_LONGEST_DAYS}, or nothing for a token without end", status=422)
    return int(text)


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
