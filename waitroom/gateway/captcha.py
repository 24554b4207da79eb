"""A CAPTCHA before joining: a service elsewhere shows it in the visitor's browser, and is asked what came of it.

The browser brings the service's response; one POST tells whether it was passed here. A response makes one visitor: it
is remembered for as long as the service might still know it, so bringing it twice, or fifty times at once, is one
question and one place. What the service says of another host or another use of the same keys does not count.

Who cannot be judged because the service is away is not refused: `on_loss` decides. Its answers are believed to be a
failure only when they are no verdict, or say that *we* are at fault, so that no response that somebody makes up looks
like an outage.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from waitroom.domain.routing import normal_host
from waitroom.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from waitroom.logs import Log
    from waitroom.metrics import Metrics
    from waitroom.settings import CaptchaSettings

AT_ONCE: Final = 64
"""Questions that one process has open; others wait for one of them to end."""
FAILURES_TO_OPEN: Final = 3
"""So many failed questions in a row mean that the service is away."""
AWAY_SECONDS: Final = 10.0
"""For how long it then counts as away before it is asked again."""
REMEMBERED_SECONDS: Final = 600.0
"""Longer than any service knows its responses."""
REMEMBERED_RESPONSES: Final = 65_536
_RESPONSE: Final = re.compile(r"[A-Za-z0-9._~+/=:-]{1,8192}")
"""What services' responses are made of. Other text never gets to the service, where it could provoke anything."""
_OUR_FAULT: Final = frozenset({"missing-input-secret", "invalid-input-secret", "internal-error"})
"""Error codes that say nothing of the visitor."""
_LONGEST_ACTION: Final = 32
_SAY_FAILURE_SECONDS: Final = 1.0


class Provider(NamedTuple):
    """Where a service is, and what its widget must be allowed in the page: directives of a policy, with origins."""

    verify_url: str
    script_url: str
    directives: tuple[str, ...]
    origins: str


PROVIDERS: Final = {
    "turnstile": Provider(
        "https://challenges.cloudflare.com/turnstile/v0/siteverify",
        "https://challenges.cloudflare.com/turnstile/v0/api.js",
        ("script-src", "frame-src", "connect-src"),
        "https://challenges.cloudflare.com",
    ),
    "hcaptcha": Provider(
        "https://api.hcaptcha.com/siteverify",
        "https://js.hcaptcha.com/1/api.js",
        ("script-src", "frame-src", "connect-src", "style-src"),
        "https://hcaptcha.com https://*.hcaptcha.com",
    ),
}
"""As https://developers.cloudflare.com/turnstile and https://docs.hcaptcha.com give them."""


class Outcome(StrEnum):
    """What became of a response."""

    PASSED = "passed"
    REFUSED = "refused"
    """It was not passed, not here, or is used up."""
    AWAY = "away"
    """The service gave no verdict."""
    BUSY = "busy"
    """The service was not asked: too many questions are open."""


class Verdict(NamedTuple):
    outcome: Outcome
    reason: str = ""
    """Why not; for the log."""


class PostForm(Protocol):
    """How the service is asked: `waitroom.inquiry.post_form`."""

    def __call__(
        self, url: str, form: Mapping[str, str], *, deadline_seconds: float
    ) -> Awaitable[tuple[int, bytes]]: ...


def judge(status: int, body: bytes, hostnames: Collection[str], action: str) -> Verdict:
    """Return what a service's answer to `siteverify` means.

    https://developers.cloudflare.com/turnstile/get-started/server-side-validation and https://docs.hcaptcha.com: an
    object with `success`, `hostname`, `error-codes`, and of Turnstile `action`.
    """
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if status >= 500 or status == 429 or not isinstance(said, dict) or not isinstance(said.get("success"), bool):
        return Verdict(Outcome.AWAY, f"no verdict, status {status}")
    if not said["success"]:
        codes = said.get("error-codes")
        fault = next((code for code in _OUR_FAULT if isinstance(codes, list) and code in codes), "")
        return Verdict(Outcome.AWAY, fault) if fault else Verdict(Outcome.REFUSED, "not passed")
    hostname = said.get("hostname")
    if not isinstance(hostname, str) or normal_host(hostname) not in hostnames:
        return Verdict(Outcome.REFUSED, "passed on another host")
    if said.get("action", action) != action:
        return Verdict(Outcome.REFUSED, "passed for another action")
    return Verdict(Outcome.PASSED)


class _Remembered(NamedTuple):
    room: str
    visitor: str
    until_seconds: float


class _Flight(NamedTuple):
    room: str
    task: asyncio.Task[Outcome]


class Captcha:
    """The CAPTCHA of one process. `clock` returns seconds that only grow."""

    def __init__(
        self, settings: CaptchaSettings, post_form: PostForm, metrics: Metrics, log: Log, clock: Callable[[], float]
    ) -> None:
        assert settings.secret is not None
        provider = PROVIDERS[settings.provider]
        self.falls_back = settings.on_loss == "work"
        self._script_url, origins = provider.script_url, provider.origins
        if settings.script_url:
            parts = urlsplit(settings.script_url)
            self._script_url, origins = settings.script_url, f"{parts.scheme}://{parts.netloc}"
        self.sources = dict.fromkeys(provider.directives, origins)
        """Directive of the page's policy → whose scripts, frames and so on it allows."""
        self._verify_url = settings.verify_url or provider.verify_url
        self._settings = settings
        self._secret = settings.secret.get_secret_value().strip()
        self._hostnames = frozenset(normal_host(host) for host in settings.hostnames)
        self._post_form = post_form
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._flights: dict[bytes, _Flight] = {}
        self._passed: dict[bytes, _Remembered] = {}
        """By digest, the oldest first."""
        self._failures = 0
        self._away_until = 0.0
        self._quiet_until = 0.0

    @property
    def away(self) -> bool:
        """Whether the service failed lately, so that nobody should be sent to it."""
        return self._failures >= FAILURES_TO_OPEN and self._clock() < self._away_until

    def facts(self, room: str) -> dict[str, Any]:
        """Return what the page needs to show it."""
        return {
            "provider": self._settings.provider,
            "site_key": self._settings.site_key,
            "script": self._script_url,
            "action": room[:_LONGEST_ACTION],
        }

    async def check(
        self, response: str, *, room: str, host: str, address: str, new_visitor: Callable[[], str]
    ) -> tuple[Outcome, str]:
        """Return what became of a response brought to `room` at `host`, and the visitor that it makes."""
        if not _RESPONSE.fullmatch(response):
            self._metrics.captcha(room, Outcome.REFUSED)
            return Outcome.REFUSED, ""
        key = hashlib.sha256(response.encode("ascii")).digest()
        known = self._passed.get(key)
        if known is None or known.until_seconds <= self._clock():
            flight = self._flights.get(key)
            if flight is None:
                task = asyncio.ensure_future(self._ask(response, room, host, address))
                flight = self._flights[key] = _Flight(room, task)
                task.add_done_callback(lambda done: self._landed(key, room, new_visitor, done))
            outcome = await asyncio.shield(flight.task)
            known = self._passed.get(key)
            if outcome is not Outcome.PASSED or known is None:
                return outcome, ""
        if known.room != room:
            self._metrics.captcha(room, Outcome.REFUSED)
            return Outcome.REFUSED, ""
        return Outcome.PASSED, known.visitor

    def _landed(self, key: bytes, room: str, new_visitor: Callable[[], str], flight: asyncio.Task[Outcome]) -> None:
        del self._flights[key]
        if flight.cancelled() or flight.exception() is not None or flight.result() is not Outcome.PASSED:
            return
        now = self._clock()
        self._passed.pop(key, None)
        self._passed[key] = _Remembered(room, new_visitor(), now + REMEMBERED_SECONDS)
        oldest = next(iter(self._passed))
        while len(self._passed) > REMEMBERED_RESPONSES or self._passed[oldest].until_seconds <= now:
            del self._passed[oldest]
            oldest = next(iter(self._passed))

    async def _ask(self, response: str, room: str, host: str, address: str) -> Outcome:
        deadline_seconds = self._settings.deadline_ms / 1000
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._slots.acquire()
        except TimeoutError:
            self._metrics.captcha(room, Outcome.BUSY)
            return Outcome.BUSY
        form = {"secret": self._secret, "response": response}
        if self._settings.provider == "hcaptcha":
            form["sitekey"] = self._settings.site_key  # its secret is the account's, and may belong to many sites
        if address and self._settings.visitor_address == "sent":
            form["remoteip"] = address
        try:
            status, body = await self._post_form(self._verify_url, form, deadline_seconds=deadline_seconds)
            verdict = judge(status, body, self._hostnames or {normal_host(host)}, room[:_LONGEST_ACTION])
        except ServiceUnavailable as failure:
            verdict = Verdict(Outcome.AWAY, failure.reason)
        finally:
            self._slots.release()
        self._metrics.captcha(room, verdict.outcome)
        self._note(verdict)
        return verdict.outcome

    def _note(self, verdict: Verdict) -> None:
        """Remember how the service does, and say so."""
        now = self._clock()
        if verdict.outcome is not Outcome.AWAY:
            if self._failures >= FAILURES_TO_OPEN:
                self._log.info("captcha_back", provider=self._settings.provider)
            self._failures = 0
            return
        self._failures += 1
        self._away_until = now + AWAY_SECONDS
        if now >= self._quiet_until:
            self._quiet_until = now + _SAY_FAILURE_SECONDS
            self._log.warning(
                "captcha_failed",
                provider=self._settings.provider,
                reason=verdict.reason,
                newcomers=self._settings.on_loss,
            )
