"""A gateway and an admin listener put together in this process, over the real store and a small site."""

from __future__ import annotations

import asyncio
import io
import json
import re
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from waitroom import logs
from waitroom.assembly import Backend, build_admin, build_gateway, proxy_options, server_config
from waitroom.errors import ConfigurationError
from waitroom.metrics import Metrics
from waitroom.settings import CaptchaSettings, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from waitroom.assembly import Admin, Gateway

pytestmark = pytest.mark.anyio

PERSON = {"accept": "text/html", "sec-fetch-mode": "navigate", "host": "shop.example"}


def settings(store: str, backend: str, *rooms: dict[str, Any], **gateway: Any) -> Settings:
    return Settings.model_validate({
        "gateway": {"backend": backend, "drain_seconds": 0.05, **gateway},
        "store": {"url": store, "deadline_ms": 5_000},
        "keys": {"signing": ["k" * 40]},
        "admin": {"token": "t" * 40},
        "rooms": rooms or [{"name": "drop", "rate": 6_000}],
    })  # fmt: skip


@pytest.fixture
async def sites() -> AsyncIterator[list[str]]:
    """Two sites that say which they are."""
    servers, urls = [], []
    writers: list[asyncio.StreamWriter] = []
    for number in range(2):

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: int = number) -> None:
            writers.append(writer)
            with suppress(asyncio.IncompleteReadError):
                while await reader.readuntil(b"\r\n\r\n"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshelf%d" % said)

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    yield urls
    for server in servers:
        server.close()
        await server.wait_closed()
    for writer in writers:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def gateway(valkey_url: str, sites: list[str]) -> AsyncIterator[Gateway]:
    made = build_gateway(settings(valkey_url, sites[0]), Metrics())
    try:
        await made.store.seed()
        await made.start()
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def admin(valkey_url: str, sites: list[str]) -> AsyncIterator[Admin]:
    made = build_admin(settings(valkey_url, sites[0]), Metrics())
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


def visitor(app: Gateway | Admin, **headers: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1", headers=PERSON | headers
    )


def beats(gateway: Gateway) -> int:
    """How many it has ended."""
    (count,) = re.findall(rb"^waitroom_beat_seconds_count (\d+)", gateway.metrics.render(), re.MULTILINE)
    return int(count)


async def two_beats(*gateways: Gateway) -> None:
    """Until each has ended the second one that began after now: one may be under way."""
    due = [beats(gateway) + 3 for gateway in gateways]
    async with asyncio.timeout(30):
        while any(beats(gateway) < count for gateway, count in zip(gateways, due, strict=True)):
            await asyncio.sleep(0.01)


async def test_a_visitor_enters_and_meets_the_site(gateway: Gateway) -> None:
    browser = visitor(gateway)
    first = await browser.get("/")
    again = await browser.get("/")
    assert (first.text, again.text) == ("shelf0", "shelf0")
    counted = gateway.metrics.render()
    assert b'waitroom_requests_total{outcome="admitted",room="drop"} 1.0' in counted
    assert b'waitroom_requests_total{outcome="fresh",room="drop"} 1.0' in counted
    assert b'waitroom_backend_request_seconds_count{method="GET",status="2xx"} 2.0' in counted
    assert b'waitroom_store_call_seconds_count{outcome="ok",verb="enter"} 1.0' in counted


async def test_it_is_ready_as_soon_as_it_has_started(gateway: Gateway) -> None:
    answer = await visitor(gateway).get("/.waitroom/readyz")
    assert answer.status_code == 200


async def test_a_reload_takes_over_rooms_keys_and_backend_and_keeps_who_is_in(
    gateway: Gateway, valkey_url: str, sites: list[str]
) -> None:
    browser = visitor(gateway)
    await browser.get("/")
    fresh = settings(valkey_url, sites[1], {"name": "drop", "rate": 0}, {"name": "vip", "match": ["/vip*"]})
    rotated = fresh.model_copy(update={"keys": fresh.keys.model_validate({"signing": ["n" * 40, "k" * 40]})})
    await gateway.reload(rotated)
    await gateway.store.seed()
    assert (await browser.get("/")).text == "shelf1"
    assert "shelf" not in (await visitor(gateway).get("/")).text
    assert gateway.store.record("vip").room.name == "vip"
    async with asyncio.timeout(10):
        while "retire" in gateway._background.under_way():  # the old proxy has its time
            await asyncio.sleep(0.01)


async def test_a_reload_that_cannot_be_done_changes_nothing(
    gateway: Gateway, valkey_url: str, sites: list[str]
) -> None:
    wrong = settings(valkey_url, "https://127.0.0.1:1", {"name": "vip"}, backend_ca_file="/nonexistent/ca.pem")
    with pytest.raises(ConfigurationError):
        await gateway.reload(wrong)
    assert (await visitor(gateway).get("/")).text == "shelf0"


async def test_stopping_right_after_a_reload_leaves_nothing_open(valkey_url: str, sites: list[str]) -> None:
    made = build_gateway(settings(valkey_url, sites[0], drain_seconds=60), Metrics())
    await made.start()
    await visitor(made).get("/")
    await made.reload(settings(valkey_url, sites[1], drain_seconds=60))
    await made.stop()
    assert not made._background.under_way()


async def test_a_gateway_that_was_never_started_can_be_stopped(valkey_url: str, sites: list[str]) -> None:
    await build_gateway(settings(valkey_url, sites[0]), Metrics()).stop()


async def test_the_admin_listener_changes_what_the_gateway_does(
    gateway: Gateway, admin: Admin, valkey_url: str, sites: list[str]
) -> None:
    operator = visitor(admin, host="127.0.0.1", authorization="Bearer " + "t" * 40)
    answer = await operator.post("/api/v1/rooms/drop/pause", json={"reason": "too many"})
    assert answer.json()["mode"] == "paused"
    await two_beats(gateway)
    assert "shelf" not in (await visitor(gateway).get("/")).text

    await admin.reload(settings(valkey_url, sites[0], {"name": "drop"}, {"name": "vip", "match": ["/vip*"]}))
    rooms = (await operator.get("/api/v1/rooms")).json()["rooms"]
    assert [room["name"] for room in rooms] == ["drop", "vip"]


async def test_four_gateways_know_a_new_rate_within_two_beats(admin: Admin, valkey_url: str, sites: list[str]) -> None:
    """Which are 200 ms; the store keeps the rate from the same moment on."""
    gateways = [build_gateway(settings(valkey_url, sites[0]), Metrics()) for _ in range(4)]
    operator = visitor(admin, host="127.0.0.1", authorization="Bearer " + "t" * 40)
    async with AsyncExitStack() as stack:
        for gateway in gateways:
            stack.push_async_callback(gateway.stop)
            await gateway.start()
        for rate in (100, 200):
            changed = await operator.patch("/api/v1/rooms/drop", json={"changes": {"rate": rate}})
            assert changed.json()["room"]["rate"] == rate
            await two_beats(*gateways)
            assert [gateway.store.record("drop").room.rate for gateway in gateways] == [rate] * 4


async def test_a_room_made_at_run_time_is_served_soon_and_before_the_files(gateway: Gateway, admin: Admin) -> None:
    operator = visitor(admin, host="127.0.0.1", authorization="Bearer " + "t" * 40)
    flash = {"name": "flash", "settings": {"match": ["/flash*"], "rate": 0}}
    assert (await operator.post("/api/v1/rooms", json=flash)).status_code == 200
    async with asyncio.timeout(10):
        while "shelf" in (await visitor(gateway).get("/flash")).text:
            await asyncio.sleep(0.02)
    assert (await visitor(gateway).get("/")).text == "shelf0"
    assert (await operator.delete("/api/v1/rooms/flash")).json()["people"] >= 1
    async with asyncio.timeout(10):
        while "shelf" not in (await visitor(gateway).get("/flash")).text:
            await asyncio.sleep(0.02)


async def test_an_admin_listener_starts_without_its_store(sites: list[str]) -> None:
    admin = build_admin(settings("unix:///nonexistent/s.sock", sites[0]), Metrics())
    try:
        await admin.start()
        assert (await visitor(admin).get("/readyz")).status_code == 503
    finally:
        await admin.stop()


def test_a_backend_failure_is_counted_each_time_and_told_once_a_second() -> None:
    now = 10.0
    written = io.StringIO()
    metrics = Metrics()
    backend = Backend(metrics, logs.Log("proxy", logs.Sink(written, style="json")), lambda: now)
    for _ in range(3):
        backend.backend_failed("unreachable", "connection refused")
    backend.backend_failed("timeout", "no answer in 60 s")
    now = 11.5
    backend.backend_failed("unreachable", "connection refused")
    assert [json.loads(line)["kind"] for line in written.getvalue().splitlines()] == [
        "unreachable", "timeout", "unreachable",
    ]  # fmt: skip
    assert b'waitroom_backend_failures_total{kind="unreachable"} 4.0' in metrics.render()


async def test_uvicorn_adds_nothing_believes_nobody_and_has_our_deadlines() -> None:
    configured = settings("unix:///s", "http://127.0.0.1:1", body_rate_bytes_per_second=0, header_seconds=7)
    config = server_config(lambda *_: asyncio.sleep(0), configured, Metrics())  # type: ignore[arg-type]
    added = [config.date_header, config.server_header, config.access_log, config.proxy_headers]
    assert not any(added)
    limits = config.http.limits  # type: ignore[union-attr]
    assert (limits.first_byte_seconds, limits.header_seconds) == (7, 7)
    assert limits.body_rate_bytes_per_second == 0


def test_every_setting_of_the_proxy_reaches_it() -> None:
    options = proxy_options(
        settings(
            "unix:///s", "http://127.0.0.1:1", body_limit=5, pool_size=3, host_header="backend",
            connect_timeout_seconds=1, read_timeout_seconds=2, idle_timeout_seconds=3, pool_wait_seconds=4,
            backend_ca_file="/ca.pem", backend_secret="s" * 16,
        ).gateway
    )  # fmt: skip
    assert (options.body_limit_bytes, options.pool_size, options.host_header, options.ca_file, options.secret) == (
        5, 3, "backend", "/ca.pem", "s" * 16,
    )  # fmt: skip
    assert "ssss" not in repr(options)
    assert (
        options.connect_timeout_seconds,
        options.read_timeout_seconds,
        options.idle_timeout_seconds,
        options.pool_wait_seconds,
    ) == (1, 2, 3, 4)


async def test_a_reload_sets_up_another_captcha_and_takes_it_away(
    gateway: Gateway, valkey_url: str, sites: list[str]
) -> None:
    plain = settings(valkey_url, sites[0], {"name": "drop", "rate": 6_000, "captcha": "always"})
    met = []
    for site_key in ("first", "second", ""):
        captcha = {"provider": "turnstile", "site_key": site_key, "secret": "a secret"} if site_key else {}
        await gateway.reload(plain.model_copy(update={"captcha": CaptchaSettings.model_validate(captcha)}))
        asked = await visitor(gateway).post("/.waitroom/drop/join")
        met.append((asked.status_code, asked.json().get("captcha", {}).get("site_key"), asked.json()["view"]))
    assert met == [(428, "first", "checking"), (428, "second", "checking"), (428, None, "joining")]
