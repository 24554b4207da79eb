"""Who somebody is cannot be said, only proved, and by what was signed for that: on every way to the site."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.front import FETCH, KEY, NOW_MS, PAGE, VISITOR, Front
from waitroom.admin.access.links import Invitation, Links
from waitroom.domain.access import Role
from waitroom.domain.room import Mode, Room
from waitroom.domain.visit import Answer
from waitroom.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.anyio

CLAIMED = (
    "waitroom-visitor", "waitroom-room", "waitroom-pass", "waitroom-release", "waitroom-secret", "waitroom_visitor",
    "waitroom.visitor", "waitroom_room", "waitroom-anything",
)  # fmt: skip
PREFLIGHT = FETCH | {"origin": "https://other.example", "access-control-request-method": "GET"}


@dataclass(frozen=True)
class Way:
    """How a request comes to the site, and whom the site is told of."""

    room: Mapping[str, Any] = field(default_factory=dict)
    pass_age_ms: int | None = None
    answer: Answer = Answer.REFUSED
    away: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: PAGE)
    method: str = "GET"
    told: bool = True


WAYS = {
    "a fresh pass": Way(pass_age_ms=1_000),
    "a stale pass": Way(pass_age_ms=60_000),
    "a stale pass while the store is away": Way(pass_age_ms=60_000, away=True),
    "admitted": Way(answer=Answer.ADMITTED),
    "admitted, a script": Way(answer=Answer.ADMITTED, headers=FETCH),
    "admitted, a form": Way(answer=Answer.ADMITTED, method="POST"),
    "admitted, a WebSocket": Way(answer=Answer.ADMITTED, headers={"upgrade": "websocket"}),
    "let in because the store is away": Way({"on_store_loss": "admit"}, away=True),
    "spared": Way({"bypass": ("/*",)}, told=False),
    "in no room": Way({"match": ("/elsewhere/*",)}, told=False),
    "off": Way({"mode": Mode.OFF}, told=False),
    "off, which the gateway has not heard yet": Way(answer=Answer.OFF, told=False),
    "a preflight": Way(headers=PREFLIGHT, method="OPTIONS", told=False),
}


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1"])
@pytest.mark.parametrize("way", WAYS)
async def test_the_site_hears_from_us_alone_whom_it_serves(way: str, peer: str) -> None:
    """Whatever of our names a visitor or a proxy in front puts on a request is taken off."""
    how = WAYS[way]
    front = Front(
        Room(name="default", **how.room), gateway=GatewaySettings.model_validate({"trusted_proxies": ["10.0.0.0/8"]})
    )
    front.store.answer, front.store.away = how.answer, how.away
    cookie = "" if how.pass_age_ms is None else f"waitroom-pass-default={front.pass_(age_ms=how.pass_age_ms)}"
    claimed = tuple((name, "somebody-else") for name in CLAIMED)
    reply = await front.ask("/cart", how.headers, cookie=cookie, more=claimed, peer=peer, method=how.method)
    assert reply.body == b"the shop", way
    said = {name: value for name, value in front.site.headers_seen().items() if "waitroom" in name.lower()}
    assert said == ({"waitroom-room": "default", "waitroom-visitor": VISITOR} if how.told else {})
    assert "somebody-else" not in str(front.site.asked[-1]["headers"])


async def test_what_was_signed_for_operators_opens_nothing_for_visitors_and_the_other_way_round() -> None:
    """One key makes them all."""
    front = Front(new_visitor=lambda: "N" * 22)
    links = Links([KEY])
    link = links.sign(Invitation("dana", Role.ADMIN, 1, NOW_MS + 600_000))
    preview = front.tokens.sign_preview("default", NOW_MS // 1000 + 600)
    session = "wr_0123456789ab_" + "s" * 43
    for text in (link, preview, session, link.replace(".", "~")):
        for kind in ("pass", "queue"):
            await front.ask(cookie=f"waitroom-{kind}-default={text}")
            assert front.store.calls[-1][2:4] == ("N" * 22, None), text
        await front.ask(headers=FETCH | {"authorization": f"Waitroom {text}"})
        assert front.store.calls[-1][2:4] == ("N" * 22, None), text
    assert front.site.asked == []
    assert links.read(link, NOW_MS) is not None
    assert [links.read(text, NOW_MS) for text in (front.pass_(), front.place(), preview)] == [None] * 3
