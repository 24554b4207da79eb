"""The pages by which people come in and go: log-in, first password, log-out, and one's own account."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from waitroom.admin.access import LogInRefused, caller_of
from waitroom.admin.access.identity import session_cookie
from waitroom.admin.access.passwords import SHORTEST
from waitroom.admin.access.totp import address
from waitroom.errors import Refused, StoreUnavailable

from .forms import form, local

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope

    from waitroom.admin.access import Accounts
    from waitroom.logs import Log
    from waitroom.metrics import Metrics

    from .rendering import Pages

CARRIED: Final = "carried."
"""Fields of a form that came when its session was over begin with it while its sender logs in again."""


class Entrance:
    """`seconds` is how long a session's cookie lives, `secure` whether a request came by HTTPS."""

    def __init__(
        self,
        pages: Pages,
        accounts: Accounts,
        metrics: Metrics,
        log: Log,
        *,
        seconds: Callable[[], int],
        secure: Callable[[Request], bool],
    ) -> None:
        self._pages = pages
        self._accounts = accounts
        self._metrics = metrics
        self._log = log
        self._seconds = seconds
        self._secure = secure

    def routes(self) -> list[Route]:
        return [
            Route("/login", self.ask, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/welcome", self.welcome, methods=["GET"]),
            Route("/welcome", self.accept, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/account", self.account, methods=["GET"]),
            Route("/account/password", self.change_password, methods=["POST"]),
            Route("/account/second-factor", self.second_factor, methods=["POST"]),
        ]

    # Coming in.

    async def ask(self, request: Request) -> Response:
        return self._login(next_=local(request.query_params.get("next", "/")))

    async def log_in(self, request: Request) -> Response:
        fields = await form(request)
        next_ = local(fields.get("next", "/"))
        carried = {key: value for key, value in fields.items() if key.startswith(CARRIED)}
        name = fields.get("name", "")
        client = request.client.host if request.client else ""
        try:
            account, session = await self._accounts.log_in(
                name, fields.get("password", ""), fields.get("code", ""), client
            )
        except LogInRefused as refusal:
            self._metrics.log_in(refusal.outcome)
            self._log.warning("log_in_refused", why=refusal.outcome)
            headers = {"retry-after": str(refusal.retry_seconds)} if refusal.retry_seconds else {}
            return self._login(
                next_=next_, name=name, carried=carried, error=refusal.public, status=refusal.status, headers=headers
            )
        self._metrics.log_in("fine")
        with suppress(StoreUnavailable):
            await self._accounts.note(account.name, "logged in")
        return self._come_in(request, session, next_, carried)

    def _come_in(self, request: Request, session: str, next_: str, carried: dict[str, str]) -> Response:
        cookie = session_cookie(session, secure=self._secure(request), seconds=self._seconds())
        headers = {"set-cookie": cookie, "cache-control": "no-store"}
        if carried:
            fields = {key.removeprefix(CARRIED): value for key, value in carried.items()}
            return self._pages.show("again.html", action=next_, fields=fields, headers=headers)
        return RedirectResponse(next_, 303, headers=headers)

    def _login(
        self,
        *,
        next_: str,
        name: str = "",
        carried: dict[str, str] | None = None,
        error: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        return self._pages.show(
            "login.html", next=next_, name=name, carried=carried or {}, error=error, status=status, headers=headers
        )

    async def again(self, scope: Scope, receive: Receive) -> Response:
        """Ask somebody to log in whose form came when the session was over; what they typed comes along."""
        request = Request(scope, receive)
        fields: dict[str, str] = {}
        with suppress(Refused):
            fields = await form(request)
        carried = {f"{CARRIED}{key}": value for key, value in fields.items() if "password" not in key}
        error = "Your session is over. Log in, and you can go on with what you were doing."
        return self._login(next_=local(scope["path"]), carried=carried, error=error, status=401)

    def away(self, method: str) -> Response:
        """Say that nobody can be told from anybody else now."""
        return self._pages.show("away.html", status=503, headers={"retry-after": "5"}, sent=method == "POST")

    # The first password, and a new one.

    async def welcome(self, request: Request) -> Response:
        return await self._welcome(request.query_params.get("link", ""))

    async def accept(self, request: Request) -> Response:
        fields = await form(request)
        link, password = fields.get("link", ""), fields.get("password", "")
        if password != fields.get("again"):
            return await self._welcome(link, error="The two passwords differ.", status=422)
        try:
            account = await self._accounts.accept(link, password)
        except Refused as refusal:
            return await self._welcome(link, error=refusal.public, status=refusal.status)
        self._metrics.log_in("fine")
        return self._come_in(request, await self._accounts.open_session(account), "/", {})

    async def _welcome(self, link: str, *, error: str = "", status: int = 200) -> Response:
        invitation = await self._accounts.invited(link)
        if invitation is None and not error:
            status = 410
        return self._pages.show(
            "welcome.html", link=link, invitation=invitation, error=error, shortest=SHORTEST, status=status
        )

    # Going.

    async def log_out(self, request: Request) -> Response:
        caller = caller_of(request)
        if caller.session:
            await self._accounts.log_out(caller.session)
        cookie = session_cookie("", secure=self._secure(request), seconds=0)
        return RedirectResponse("/login", 303, headers={"set-cookie": cookie, "cache-control": "no-store"})

    # One's own account.

    async def account(self, request: Request) -> Response:
        said = {"password": "Your password is changed.", "factor-on": "Codes are asked for from now on.",
                "factor-off": "Codes are not asked for any more."}  # fmt: skip
        return await self._account(request, done=said.get(request.query_params.get("done", ""), ""))

    async def change_password(self, request: Request) -> Response:
        caller, fields = caller_of(request), await form(request)
        if fields.get("password") != fields.get("again"):
            return await self._account(request, error="The two new passwords differ.", status=422)
        try:
            account = await self._accounts.change_password(
                caller.who, fields.get("present", ""), fields.get("password", "")
            )
        except Refused as refusal:
            return await self._account(request, error=refusal.public, status=refusal.status)
        session = await self._accounts.open_session(account)
        return self._come_in(request, session, "/account?done=password", {})

    async def second_factor(self, request: Request) -> Response:
        caller, fields = caller_of(request), await form(request)
        secret = fields.get("secret", "")
        try:
            await self._accounts.set_second_factor(caller.who, secret, fields.get("code", ""))
        except Refused as refusal:
            return await self._account(request, error=refusal.public, status=refusal.status, secret=secret)
        query = urlencode({"done": "factor-on" if secret else "factor-off"})
        return RedirectResponse(f"/account?{query}", 303, headers={"cache-control": "no-store"})

    async def _account(
        self, request: Request, *, done: str = "", error: str = "", status: int = 200, secret: str = ""
    ) -> Response:
        caller = caller_of(request)
        account = await self._accounts.one(caller.who) if caller.session else None
        secret = secret or self._accounts.new_secret()
        facts: dict[str, Any] = {"account": account, "done": done, "error": error, "shortest": SHORTEST}
        return self._pages.show(
            "account.html", caller=caller, status=status, secret=secret, address=address(secret, caller.who), **facts
        )
