"""The only place where the parts meet: settings become a gateway process or the admin listener, and start and stop."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import uvicorn

from . import logs
from .admin.access import Access, Passwords
from .admin.app import make_app
from .admin.console.live import Live
from .admin.verbs import Verbs
from .background import Background
from .beat import Beat
from .errors import StoreUnavailable
from .following import follow_once, follow_rooms
from .gateway.app import build_gate
from .gateway.captcha import Captcha
from .gateway.document import Documents
from .gateway.farewells import Farewells
from .gateway.network import network_around
from .gateway.protocol import ProtocolLimits, protocol_class
from .gateway.visitor import TrustedProxies
from .inquiry import post_form
from .metrics import Metrics
from .preview import WaitingPages
from .proxy.app import Proxy, ProxyOptions
from .recording import record
from .reporting import report
from .store.access import RedisAccessRecords
from .store.connect import open_operator_store, open_store
from .tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from .domain.visit import Census
    from .gateway.challenge import JoinRate
    from .gateway.exchange import Exchange
    from .settings import CaptchaSettings, GatewaySettings, Settings
    from .store.operators import RedisOperatorStore
    from .store.redis import RedisStore

SAY_FAILURE_SECONDS: Final = 1.0
"""A kind of backend failure is written to the log no more often than that; the metric counts each."""


class Part(Protocol):
    """What a process serves: an ASGI app with a beginning and an end."""

    async def start(self) -> None: ...

    def stopping(self) -> None:
        """It is to stop: end what would not end by itself, while requests are still answered."""

    async def stop(self) -> None: ...

    async def reload(self, settings: Settings) -> None:
        """Take over what may change without a restart; raises `WaitroomError` and then stays as it was."""
        ...

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]: ...


def server_config(app: Part, settings: Settings, metrics: Metrics) -> uvicorn.Config:
    """Return how uvicorn serves `app`: our protocol, nothing added, nothing logged, nobody believed."""
    gateway = settings.gateway
    set_out = app.set_out if isinstance(app, Gateway) else None
    limits = ProtocolLimits(
        first_byte_seconds=gateway.header_seconds,
        header_seconds=gateway.header_seconds,
        body_rate_bytes_per_second=gateway.body_rate_bytes_per_second,
        body_grace_seconds=gateway.body_grace_seconds,
        connections_per_network=None if set_out is None else gateway.connections_per_network,
    )
    network_of = partial(
        network_around,
        trusted=TrustedProxies(gateway.trusted_proxies),
        ipv4_bits=gateway.network_bits_ipv4,
        ipv6_bits=gateway.network_bits_ipv6,
    )
    return uvicorn.Config(
        app,
        http=protocol_class(limits, metrics.refused, set_out, network_of),
        ws="none",
        interface="asgi3",
        lifespan="off",
        date_header=False,
        server_header=False,
        access_log=False,
        proxy_headers=False,
        log_config=None,
        backlog=2_048,
        timeout_keep_alive=gateway.keep_alive_seconds,  # type: ignore[arg-type]  # it is only given to call_later
        timeout_graceful_shutdown=gateway.drain_seconds,  # type: ignore[arg-type]  # and this to wait_for
    )


class Backend:
    """Tells metrics of what the proxy did, and the log of failures. A `ProxyObserver`."""

    def __init__(self, metrics: Metrics, log: logs.Log, clock: Callable[[], float]) -> None:
        self.request_finished = metrics.request_finished
        self.request_repeated = metrics.request_repeated
        self.connections_changed = metrics.connections_changed
        self.connection_awaited = metrics.connection_awaited
        self.tunnels_changed = metrics.tunnels_changed
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._said: dict[str, float] = {}

    def backend_failed(self, kind: str, reason: str) -> None:
        self._metrics.backend_failed(kind, reason)
        now = self._clock()
        if now >= self._said.get(kind, now):
            self._said[kind] = now + SAY_FAILURE_SECONDS
            self._log.warning("backend_failed", kind=kind, reason=reason)


def proxy_options(gateway: GatewaySettings) -> ProxyOptions:
    """Return what the proxy is told of the settings."""
    return ProxyOptions(
        backend=gateway.backend,
        host_header=gateway.host_header,
        secret="" if gateway.backend_secret is None else gateway.backend_secret.get_secret_value(),
        connect_timeout_seconds=gateway.connect_timeout_seconds,
        read_timeout_seconds=gateway.read_timeout_seconds,
        idle_timeout_seconds=gateway.idle_timeout_seconds,
        pool_size=gateway.pool_size,
        pool_wait_seconds=gateway.pool_wait_seconds,
        body_limit_bytes=gateway.body_limit,
        ca_file=None if gateway.backend_ca_file is None else str(gateway.backend_ca_file),
    )


class Gateway:
    """One gateway process: the gate in front of the site, and the beat. Start and use it in one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics, store: RedisStore) -> None:
        self.store = store
        self.metrics = metrics
        self._log = logs.logger("gateway")
        self._documents = Documents(store)
        self._farewells = Farewells(store, metrics, self._log)
        self._beat = Beat(store, lambda: self._names, metrics, logs.logger("beat"), then=self._follow)
        self._background = Background(self._log)
        self._joins: dict[str, JoinRate] = {}
        self._identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._options = proxy_options(settings.gateway)
        self._proxy = self._make_proxy(self._options)
        self._captcha_settings = settings.captcha
        self._captcha = self._make_captcha(settings.captcha)
        self._take(settings)

    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> Awaitable[None]:
        return self._gate(scope, receive, send)

    def set_out(self, exchange: Exchange) -> bool:
        """Send a request off by the direct way, if it may go that way."""
        return self._gate.set_out(exchange)

    async def start(self) -> None:
        """Beat once, so that the store's clock and its rooms are known before the first visitor comes; then go on."""
        await follow_once(self.store, self._rooms_changed)
        await self._beat.once()
        self._background.begin("beat", self._beat.run())
        self._background.begin("follow", follow_rooms(self.store, self._log, self._rooms_changed))
        self._background.begin("record", record(self.store, lambda: self._names, self.metrics.meter))
        self._background.begin("report", report(self.store, self._identity, self._versions))

    def stopping(self) -> None:
        pass

    async def stop(self) -> None:
        await self._background.end()
        with suppress(StoreUnavailable):
            await self.store.say_ended(self._identity)
        await self._proxy.aclose()
        await self.store.aclose()
        self.metrics.flush()

    async def reload(self, settings: Settings) -> None:
        """Take over rooms, keys, proxies, backend. Requests in flight end as they began."""
        options = proxy_options(settings.gateway)
        old = self._proxy
        if options != self._options:
            self._proxy = self._make_proxy(options)
            self._options = options
        if settings.captcha != self._captcha_settings:
            self._captcha_settings = settings.captcha
            self._captcha = self._make_captcha(settings.captcha)
        self.store.rooms = settings.rooms
        self._take(settings)
        if old is not self._proxy:
            self._background.begin("retire", _retire(old, settings.gateway.drain_seconds))

    async def _follow(self, room: str, census: Census | None) -> None:
        """Do what follows a beat of a room."""
        await self._documents.follow(room, census)
        if census is not None:
            await self._farewells.settle(room)

    def _versions(self) -> dict[str, int]:
        return {room: self.store.record(room).version for room in self._names}

    def _rooms_changed(self) -> None:
        self._take(self._settings)

    def _take(self, settings: Settings) -> None:
        self._settings = settings
        tokens = Tokens([key.get_secret_value() for key in settings.keys.signing])
        # A room made at run time comes first: what it protects may lie inside a room of the file.
        settings = settings.model_copy(update={"rooms": (*self.store.made_rooms, *settings.rooms)})
        proxy = self._proxy
        self._gate = build_gate(
            settings, self.store, self._documents, tokens, proxy, self.metrics, self._log,
            farewells=self._farewells, joins=self._joins, site_set_out=proxy.set_out, captcha=self._captcha,
        )  # fmt: skip
        self._names = tuple(room.name for room in settings.rooms)
        self._documents.keep(self._names)
        for gone in self._joins.keys() - set(self._names):
            del self._joins[gone]

    def _make_captcha(self, settings: CaptchaSettings) -> Captcha | None:
        if settings.provider == "none":
            return None
        return Captcha(settings, post_form, self.metrics, self._log, asyncio.get_running_loop().time)

    def _make_proxy(self, options: ProxyOptions) -> Proxy:
        loop_time = asyncio.get_running_loop().time
        return Proxy(options, Backend(self.metrics, logs.logger("proxy"), loop_time))


async def _retire(proxy: Proxy, seconds: float) -> None:
    """Close a proxy that new requests no longer come to, when those in flight have had their time."""
    try:
        await asyncio.sleep(seconds)
    finally:
        await proxy.aclose()


def build_gateway(settings: Settings, metrics: Metrics) -> Gateway:
    """Return a gateway process of resolved `settings`: keys given, store a URL. Call it in the event loop."""
    store = open_store(
        settings.store.url,
        settings.rooms,
        deadline_ms=settings.store.deadline_ms,
        replicas=settings.store.replicas_acknowledge,
        observer=metrics,
    )
    return Gateway(settings, metrics, store)


class Admin:
    """The admin listener's process. It beats too: while the gateways are busy with a crowd, it is not."""

    def __init__(self, settings: Settings, metrics: Metrics, store: RedisOperatorStore) -> None:
        self.store = store
        self._metrics = metrics
        self._log = log = logs.logger("admin")
        self._access = Access(RedisAccessRecords(store), store.now_ms, Passwords())
        verbs = Verbs(store, self._names, self._access, metrics, log)
        self._live = Live(verbs)
        self._app = make_app(
            verbs, self._access, metrics, log, host=settings.admin.host, waiting_pages=WaitingPages(), live=self._live
        )
        self._beat = Beat(store, self._names, metrics, logs.logger("beat"))
        self._background = Background(log)
        self.first_link = ""
        """The text of the link that sets the first password, while nobody has one."""
        self._take(settings)

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        return self._app(scope, receive, send)

    async def start(self) -> None:
        """Beat once, so that the rooms are known before the first operator asks; then go on."""
        await follow_once(self.store)
        await self._beat.once()
        self._background.begin("beat", self._beat.run())
        self._background.begin("follow", follow_rooms(self.store, self._log))
        self._background.begin("record", record(self.store, self._names, self._metrics.meter))
        with suppress(StoreUnavailable):
            if await self._access.accounts.nobody_yet():
                self.first_link = self._access.accounts.first_link()

    def stopping(self) -> None:
        self._live.end()

    async def stop(self) -> None:
        await self._background.end()
        await self._live.aclose()
        await self.store.aclose()

    async def reload(self, settings: Settings) -> None:
        self.store.rooms = settings.rooms
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self._access.take(settings.admin, [key.get_secret_value() for key in settings.keys.signing])
        self._file_names = [room.name for room in settings.rooms]

    def _names(self) -> list[str]:
        return [*self._file_names, *(room.name for room in self.store.made_rooms)]


async def open_verbs(settings: Settings) -> Verbs:
    """Return the verbs on the store of `settings`, its rooms known; close their store at the end.

    Settings that are not resolved (no token, no keys) do for all but the accounts.
    """
    metrics = Metrics()
    store = _operator_store(settings, metrics)
    await store.follow_rooms()
    access = Access(RedisAccessRecords(store), store.now_ms, Passwords())
    if settings.admin.token is not None:
        access.take(settings.admin, [key.get_secret_value() for key in settings.keys.signing])

    def names() -> list[str]:
        return [room.name for room in (*settings.rooms, *store.made_rooms)]

    return Verbs(store, names, access, metrics, logs.logger("operator"))


def build_admin(settings: Settings, metrics: Metrics) -> Admin:
    """Return the admin listener of resolved `settings`: token given, store a URL."""
    return Admin(settings, metrics, _operator_store(settings, metrics))


def _operator_store(settings: Settings, metrics: Metrics) -> RedisOperatorStore:
    return open_operator_store(
        settings.store.url,
        settings.rooms,
        deadline_ms=max(1_000, settings.store.deadline_ms),
        replicas=settings.store.replicas_acknowledge,
        observer=metrics,
    )
