"""Accounts, links, sessions, tokens: who comes in, how often they may try, and what ends it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from waitroom.admin.access.accounts import MOST_ATTEMPTS
from waitroom.admin.access.totp import code_at
from waitroom.domain.access import Role
from waitroom.errors import Refused

from .house import BOSS, ORIGIN, PASSWORD, TOKEN, House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


async def actions(house: House) -> list[str]:
    lines = await house.store.audit("_house", limit=100)
    return [line.action for line in reversed(lines)]


async def test_the_first_link_sets_a_password_once_and_logs_in(house: House) -> None:
    browser, link = house.browser(), house.accounts.first_link()
    page = await browser.get(f"/welcome?link={link}")
    assert page.status_code == 200
    assert "Choose a password" in page.text
    again = {"link": link, "password": PASSWORD, "again": PASSWORD}
    answer = await browser.post("/welcome", data=again)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await browser.get("/account")).status_code == 200
    for stranger in (house.browser(), browser):
        assert (await stranger.post("/welcome", data=again)).status_code == 410
        assert (await stranger.get(f"/welcome?link={link}")).status_code == 410
    assert not await house.accounts.nobody_yet()
    assert await actions(house) == ["password set"]


async def test_a_link_ends_after_a_day_and_a_forged_one_is_none(house: House) -> None:
    link = await house.accounts.add("dana", Role.OPERATOR, BOSS)
    assert await house.accounts.invited(link) is not None
    assert await house.accounts.invited(link[:-2] + "AA") is None
    assert await house.accounts.invited("x" * 10_000) is None
    house.clock.now_ms += DAY_MS
    assert await house.accounts.invited(link) is None


@pytest.mark.parametrize("password", ["short", "a" * 12, "x" * 300, "dana dana dana"])
async def test_weak_passwords_are_refused_with_what_to_do(house: House, password: str) -> None:
    link = await house.accounts.add("dana", Role.OPERATOR, BOSS)
    with pytest.raises(Refused, match="password"):
        await house.accounts.accept(link, password)


@pytest.mark.parametrize("name", ["", "Dana", "a b", "-a", "a" * 65, "a\n", "é"])
async def test_names_that_cannot_be_are_refused(house: House, name: str) -> None:
    with pytest.raises(Refused, match="small letters"):
        await house.accounts.add(name, Role.VIEWER, BOSS)


async def test_a_log_in_never_says_what_was_wrong(house: House) -> None:
    await house.someone("dana", Role.OPERATOR)
    browser = house.browser()
    pages = [
        await browser.post("/login", data={"name": name, "password": password})
        for name, password in [("dana", "wrong password 1"), ("nobody", PASSWORD), ("../x", PASSWORD), ("", "")]
    ]
    assert {page.status_code for page in pages} == {401}
    assert len({re.sub(r'value="[^"]*"|autofocus', "", page.text) for page in pages[:3]}) == 1
    assert PASSWORD not in house.written.getvalue()
    assert "dana" not in house.written.getvalue()


async def test_too_many_log_ins_from_one_address_wait_and_other_addresses_do_not(house: House) -> None:
    await house.someone("dana", Role.OPERATOR)
    attacker, dana = house.browser("10.0.0.1"), house.browser("10.0.0.2")
    wrong = {"name": "dana", "password": "wrong password 1"}
    codes = [(await attacker.post("/login", data=wrong)).status_code for _ in range(12)]
    assert codes == [401] * MOST_ATTEMPTS["account and address"] + [429] * 2
    refused = await attacker.post("/login", data={"name": "dana", "password": PASSWORD})
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 900
    assert (await dana.post("/login", data={"name": "dana", "password": PASSWORD})).status_code == 303


async def test_a_session_ends_when_idle_and_when_it_is_old(house: House) -> None:
    browser = await house.logged_in("dana", Role.VIEWER)
    house.clock.now_ms += 12 * 3_600_000
    assert (await browser.get("/account")).status_code == 200
    house.clock.now_ms += 1_000
    answer = await browser.get("/account?done=password")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/account%3Fdone%3Dpassword")
    keys = await house.store.command("access", "TTL", "waitroom:{_house}:session:none")
    assert keys == -2


@pytest.mark.parametrize("ending", ["role", "reset", "remove", "log out"])
async def test_what_ends_a_session_ends_it_at_once(house: House, ending: str) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    cookie = dict(browser.cookies)
    assert (await browser.get("/account")).status_code == 200
    match ending:
        case "role":
            await house.accounts.give_role("dana", Role.VIEWER, BOSS)
        case "reset":
            await house.accounts.reset("dana", BOSS)
        case "remove":
            await house.accounts.remove("dana", BOSS)
        case _:
            assert (await browser.post("/logout")).status_code == 303
    thief = house.browser()
    thief.cookies.update(cookie)
    assert (await thief.get("/account")).status_code == 303


async def test_a_form_that_came_too_late_goes_on_after_the_log_in_with_what_was_typed(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    house.clock.now_ms += DAY_MS
    late = await browser.post("/people/add", data={"name": "noa<b>", "role": "viewer", "password": "secret"})
    assert late.status_code == 401
    assert 'name="carried.name" value="noa&lt;b&gt;"' in late.text
    assert "secret" not in late.text
    carried = {"carried.name": "noa", "carried.role": "viewer", "next": "/people/add"}
    go_on = await browser.post("/login", data={"name": "dana", "password": PASSWORD, **carried})
    assert go_on.status_code == 200
    assert 'action="/people/add"' in go_on.text
    assert 'name="name" value="noa"' in go_on.text


async def test_after_the_log_in_nobody_is_sent_to_another_site(house: House) -> None:
    await house.someone("dana", Role.VIEWER)
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "/\tevil", "javascript:alert(1)"):
        answer = await house.browser().post("/login", data={"name": "dana", "password": PASSWORD, "next": target})
        assert answer.headers["location"] == "/", target


async def test_a_second_factor_is_asked_for_and_a_code_counts_once(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    page = await browser.get("/account")
    match = re.search(r'name="secret" value="([A-Z2-7]{32})"', page.text)
    assert match
    secret, step = match[1], house.clock.now_ms // 30_000
    wrong = await browser.post("/account/second-factor", data={"secret": secret, "code": "000000"})
    assert wrong.status_code == 422
    assert secret in wrong.text
    code = code_at(secret, step)
    assert (await browser.post("/account/second-factor", data={"secret": secret, "code": code})).status_code == 303
    other = house.browser("10.0.0.9")
    known = {"name": "dana", "password": PASSWORD}
    assert (await other.post("/login", data=known)).status_code == 401
    assert (await other.post("/login", data=known | {"code": code})).status_code == 401
    house.clock.now_ms += 30_000
    fresh = known | {"code": code_at(secret, step + 1)}
    assert (await other.post("/login", data=fresh)).status_code == 303
    assert (await house.browser("10.0.0.8").post("/login", data=fresh)).status_code == 401


async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(house: House) -> None:
    browser = await house.logged_in("dana", Role.OPERATOR)
    other = house.browser()
    await other.post("/login", data={"name": "dana", "password": PASSWORD})
    fields = {"present": PASSWORD, "password": "another long one", "again": "another long one"}
    assert (await browser.post("/account/password", data=fields | {"present": "wrong"})).status_code == 403
    assert (await browser.post("/account/password", data=fields)).status_code == 303
    assert (await browser.get("/account")).status_code == 200
    assert (await other.get("/account")).status_code == 303


async def test_an_api_token_opens_what_its_role_may_until_it_ends(house: House) -> None:
    _, text = await house.access.api_tokens.add("grafana", Role.VIEWER, 1, BOSS)
    program = house.browser(accept="application/json", authorization=f"Bearer {text}")
    assert (await program.get("/api/v1/rooms")).status_code == 200
    refused = await program.post("/api/v1/rooms/drop/pause", json={})
    assert (refused.status_code, "role operator" in refused.json()["detail"]) == (403, True)
    assert [token.used_ms for token in await house.access.api_tokens.all()] == [house.clock.now_ms]
    for wrong in (
        text[:-1] + ("A" if text[-1] != "A" else "B"),
        text + "x",
        text[:-2],
        "wrt_" + "0" * 12 + "_" + "a" * 43,
    ):
        stranger = house.browser(accept="application/json", authorization=f"Bearer {wrong}")
        assert (await stranger.get("/api/v1/rooms")).status_code == 401
    house.clock.now_ms += DAY_MS
    assert (await program.get("/api/v1/rooms")).status_code == 401
    kept = await house.store.command("access", "HGETALL", "waitroom:{_house}:tokens")
    assert text.encode() not in b"".join(kept)


async def test_a_revoked_token_opens_nothing(house: House) -> None:
    token, text = await house.access.api_tokens.add("ci", Role.ADMIN, None, BOSS)
    program = house.browser(accept="application/json", authorization=f"Bearer {text}")
    made = await program.post("/api/v1/tokens", json={"name": "second", "role": "viewer"})
    assert made.status_code == 200
    assert (await program.delete(f"/api/v1/tokens/{token.id}")).status_code == 200
    assert (await program.get("/api/v1/rooms")).status_code == 401
    assert await actions(house) == ["token added", "token added", "token revoked"]


@pytest.fixture
async def proxied(valkey_url: str) -> AsyncIterator[House]:
    house = House(
        valkey_url,
        sso_proxies=("10.9.0.0/16",),
        sso_header="X-Forwarded-User",
        sso_role_header="X-Role",
        sso_role="viewer",
    )
    await house.store.seed()
    yield house
    await house.store.aclose()


@pytest.mark.parametrize(
    ("peer", "headers", "who"),
    [
        ("10.9.1.1", {"x-forwarded-user": "noa"}, "noa (viewer)"),
        ("10.9.1.1", {"x-forwarded-user": "noa", "x-role": "admin"}, "noa (admin)"),
        ("10.9.1.1", {"x-forwarded-user": "noa", "x-role": "king"}, None),
        ("10.9.1.1", {"x-forwarded-user": "noa", "x_forwarded_user": "eve"}, None),
        ("10.9.1.1", {"x.forwarded.user": "eve"}, None),
        ("10.9.1.1", {"x-forwarded-user": " "}, None),
        ("10.9.1.1", {}, None),
        ("10.8.1.1", {"x-forwarded-user": "eve"}, None),
        ("testclient", {"x-forwarded-user": "eve"}, None),
    ],
)
async def test_single_sign_on_believes_listed_proxies_alone(
    proxied: House, peer: str, headers: dict[str, str], who: str | None
) -> None:
    page = await proxied.browser(peer, **headers).get("/account")
    assert page.status_code == (303 if who is None else 200)
    if who:
        assert who in re.sub(r"<[^>]*>", "", page.text)


async def test_a_link_from_another_site_opens_the_page_and_its_forms_do_nothing(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    bounced = await browser.get("/account", headers=elsewhere)
    assert (bounced.status_code, "refresh" in bounced.text) == (200, True)
    for headers in (
        elsewhere, {"sec-fetch-site": "same-site"}, {"origin": "null"}, {"origin": "http://evil.example"},
        {"origin": "http://admin.127.0.0.1:8081"}, {"content-type": "text/plain", "sec-fetch-site": "cross-site"},
    ):  # fmt: skip
        answer = await browser.post("/people/add", data={"name": "eve", "role": "admin"}, headers=headers)
        assert answer.status_code == 403, headers
    assert await house.accounts.one("eve") is None


async def test_pages_say_what_scripts_and_frames_they_allow_and_forms_show_typed_text_as_text(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    evil = '"><script>alert(1)</script>'
    for path, fields in (("/people/add", {"name": evil, "role": "viewer"}), ("/people/tokens/add", {"name": evil})):
        page = await browser.post(path, data=fields)
        assert "<script" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"


async def test_people_are_added_and_changed_by_forms(house: House) -> None:
    browser = await house.logged_in("dana", Role.ADMIN)
    added = await browser.post("/people/add", data={"name": "noa", "role": "viewer"})
    link = re.search(rf"{ORIGIN}/welcome\?link=([\w.-]+)", added.text)
    assert link
    await house.accounts.accept(link[1], PASSWORD)
    assert (await browser.post("/people/role", data={"name": "noa", "role": "operator"})).status_code == 303
    assert (await browser.post("/people/role", data={"name": "noa", "role": "king"})).status_code == 422
    assert (await browser.post("/people/reset", data={"name": "noa"})).status_code == 200
    token = await browser.post("/people/tokens/add", data={"name": "ci", "role": "viewer", "days": "x"})
    assert token.status_code == 422
    token = await browser.post("/people/tokens/add", data={"name": "ci", "role": "viewer", "days": ""})
    assert re.search(r"wrt_[0-9a-f]{12}_", token.text)
    (kept,) = await house.access.api_tokens.all()
    assert (await browser.post("/people/tokens/revoke", data={"id": kept.id})).status_code == 303
    assert (await browser.post("/people/remove", data={"name": "noa"})).status_code == 303
    assert (await browser.post("/people/remove", data={"name": "noa"})).status_code == 404
    expected = ["account added", "password set", "logged in", "account added", "password set", "role changed",
                "account reset", "token added", "token revoked", "account removed"]  # fmt: skip
    assert await actions(house) == expected


async def test_the_token_of_the_house_lists_people_without_their_secrets(house: House) -> None:
    await house.someone("dana", Role.OPERATOR)
    boss = house.browser(accept="application/json", authorization=f"Bearer {TOKEN}")
    answer = (await boss.get("/api/v1/accounts")).json()
    assert [(one["name"], one["role"], one["has_password"]) for one in answer["accounts"]] == [
        ("dana", "operator", True)
    ]
    assert "argon2" not in json.dumps(answer)
    made: dict[str, Any] = (await boss.post("/api/v1/accounts", json={"name": "noa", "role": "viewer"})).json()
    assert made["welcome"].startswith("/welcome?link=")
    assert (await boss.post("/api/v1/accounts/dana/invite", json={})).status_code == 409
    assert (await boss.post("/api/v1/accounts/noa/invite", json={})).status_code == 200
    assert (await boss.delete("/api/v1/accounts/noa")).status_code == 200
