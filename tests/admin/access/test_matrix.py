"""Every route of the listener × every role × nobody × another site's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from waitroom.admin.access import Guard
from waitroom.admin.console.deeds import FORMS
from waitroom.admin.places import BASE, PLACES
from waitroom.admin.verbs import VERBS
from waitroom.domain.access import Role

from .house import BOSS, TOKEN, House

if TYPE_CHECKING:
    import httpx2

pytestmark = pytest.mark.anyio

OPEN = {
    ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/assets/{name}"),
    ("GET", "/login"), ("POST", "/login"), ("GET", "/welcome"), ("POST", "/welcome"),
}  # fmt: skip
"""For anybody, log-in or not."""
PAGES = {
    ("POST", "/logout"): Role.VIEWER,
    ("GET", "/account"): Role.VIEWER,
    ("POST", "/account/password"): Role.VIEWER,
    ("POST", "/account/second-factor"): Role.VIEWER,
    ("GET", "/people"): Role.ADMIN,
    ("POST", "/people/add"): Role.ADMIN,
    ("POST", "/people/invite"): Role.ADMIN,
    ("POST", "/people/role"): Role.ADMIN,
    ("POST", "/people/reset"): Role.ADMIN,
    ("POST", "/people/remove"): Role.ADMIN,
    ("POST", "/people/tokens/add"): Role.ADMIN,
    ("POST", "/people/tokens/revoke"): Role.ADMIN,
    ("GET", "/"): Role.VIEWER,
    ("GET", "/live"): Role.VIEWER,
    ("GET", f"{BASE}/events"): Role.VIEWER,
    ("GET", "/live.json"): Role.VIEWER,
    ("GET", "/audit"): Role.VIEWER,
    ("POST", "/rooms"): Role.ADMIN,
    ("GET", "/rooms/{room}"): Role.VIEWER,
    ("GET", "/rooms/{room}/visitors"): Role.VIEWER,
    ("GET", "/rooms/{room}/report"): Role.VIEWER,
    ("GET", "/rooms/{room}/preview"): Role.VIEWER,
    ("POST", "/rooms/{room}/preview"): Role.VIEWER,
    ("GET", "/rooms/{room}/preview/page"): Role.VIEWER,
    ("POST", "/rooms/{room}/visitors/release"): Role.OPERATOR,
    ("POST", "/rooms/{room}/visitors/front"): Role.OPERATOR,
    ("POST", "/rooms/{room}/visitors/revoke"): Role.OPERATOR,
    **{("POST", f"/rooms/{{room}}/do/{name}"): Role.OPERATOR for name in FORMS},
    ("POST", "/rooms/{room}/do/reset"): Role.ADMIN,
    ("POST", "/rooms/{room}/do/remove"): Role.ADMIN,
}
"""The least role of each page."""
API = {("GET", f"{BASE}/openapi.json"): Role.VIEWER} | {
    (method, BASE + path): VERBS[name].role for name, (method, path) in PLACES.items()
}
LEAST: dict[tuple[str, str], Role | None] = {**dict.fromkeys(OPEN), **PAGES, **API}


def routes_of(app: Any) -> set[tuple[str, str]]:
    """Return every method and path that the listener answers, read from the app itself."""
    assert isinstance(app, Guard)
    inner: Any = app._app
    return {(method, route.path) for route in inner.routes for method in route.methods - {"HEAD"}}


async def test_no_route_is_missing_in_the_matrix(house: House) -> None:
    assert routes_of(house.app) == set(LEAST)


def concrete(path: str) -> str:
    return path.replace("{room}", "drop").replace("{name}", "nobody").replace("{id}", "0").replace("{code}", "0" * 8)


async def ask(client: httpx2.AsyncClient, method: str, path: str, **headers: str) -> int:
    """Return the status of a request that would change nothing: what it asks for is not there."""
    body: dict[str, Any] = {}
    if method not in {"GET", "DELETE"}:
        body = {"json": {}} if path.startswith("/api/") else {"data": {"name": "nobody"}}
    return (await client.request(method, concrete(path), headers=headers, **body)).status_code


@pytest.mark.parametrize("role", [*Role, None], ids=lambda role: role.word if role else "nobody")
async def test_each_route_is_for_its_role_and_those_above(house: House, role: Role | None) -> None:
    headers = {}
    if role is not None:
        _, text = await house.access.api_tokens.add("matrix", role, None, BOSS)
        headers["authorization"] = f"Bearer {text}"
    client = house.browser(**headers)
    for (method, path), least in sorted(LEAST.items()):
        if path in {"/live", f"{BASE}/events"} and role is not None:
            continue  # it never ends; `/live.json` says the same and asks for the same role
        status = await ask(client, method, path)
        assert status < 500 or path == "/readyz", (method, path, status)
        if path == "/readyz" or least is None:
            assert status not in {303, 401, 403} or path in {"/login", "/welcome"}, (method, path, status)
        elif role is None:
            assert status in ({401} if path.startswith("/api/") else {303, 401}), (method, path, status)
        elif role < least:
            assert status == 403, (method, path, status)
        else:
            assert status not in {401, 403}, (method, path, status)


async def test_no_page_of_another_site_reaches_anything_but_monitoring(house: House) -> None:
    client = house.browser(authorization=f"Bearer {TOKEN}")
    for method, path in sorted(LEAST):
        status = await ask(client, method, path, origin="http://evil.example", **{"sec-fetch-site": "cross-site"})
        if path not in {"/livez", "/readyz"}:
            assert status == 403, (method, path, status)
