"""Crawlers and link previews: in while there is room, sent away otherwise, never in the queue."""

from __future__ import annotations

import pytest

from tests.gateway.front import PAGE, Front
from waitroom.domain.room import Mode, Room
from waitroom.domain.visit import Answer
from waitroom.gateway.crawlers import is_crawler
from waitroom.store.base import Purpose

pytestmark = pytest.mark.anyio

GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
CRAWLERS = [
    GOOGLE,
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) Chrome/130.0 Mobile Safari/537.36 (compatible; Googlebot/2.1)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 Safari/605.1.15 (Applebot/0.1)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0 A",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
]
PEOPLE = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 [FBAN/FBIOS;FBAV/470.0.0.41.112;FBBV/620]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 330.0.3.29.109",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Twitter for iPhone/10.40",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 [Pinterest/iOS]",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0.0.0 Mobile Safari/537.36 [LinkedInApp]/4.1",
    "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 Version/4.0 Chrome/130.0.0.0 Mobile Safari/537.36 WhatsApp/2.24",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0.0.0 Mobile Safari/537.36 YaBrowser/24.1",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0.0.0 Mobile Safari/537.36 DuckDuckGo/5",
    "Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 Chrome/76.0 Mobile Safari/537.36 baiduboxapp/13.0 (Baidu; P1 10)",
    "Mozilla/5.0 (Linux; U; Android 9) AppleWebKit/533.1 (KHTML, like Gecko) Mobile Safari/533.1 SogouMobileBrowser/5.30",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari Line/13.0.0",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0; Cubot) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36",
    "",
]


@pytest.mark.parametrize("name", CRAWLERS)
def test_a_crawler_is_known_by_its_name(name: str) -> None:
    assert is_crawler([(b"accept", b"*/*"), (b"user-agent", name.encode())])


@pytest.mark.parametrize("name", PEOPLE)
def test_people_are_no_crawlers_even_inside_an_app(name: str) -> None:
    assert not is_crawler([(b"user-agent", name.encode())])


def test_who_says_no_name_is_no_crawler() -> None:
    assert not is_crawler([(b"accept", b"googlebot")])


@pytest.mark.parametrize("headers", [PAGE, {"accept": "*/*"}])
async def test_a_crawler_that_would_have_to_wait_is_sent_away_without_a_place(headers: dict[str, str]) -> None:
    front = Front()
    front.store.answer = Answer.REFUSED
    reply = await front.ask(headers=headers | {"user-agent": GOOGLE})
    assert (reply.status, reply.one("retry-after"), reply.one("cache-control")) == (503, "300", "no-store")
    assert (reply.one("content-type"), reply.all("set-cookie")) == ("text/html; charset=utf-8", [])
    assert reply.one("x-robots-tag") is None
    assert b"noindex" not in reply.body
    assert front.store.entered() == [Purpose.DIRECT]
    assert front.outcomes() == {"crawler": 1}


async def test_a_crawler_gets_in_while_there_is_room() -> None:
    front = Front()
    front.store.answer = Answer.ADMITTED
    reply = await front.ask(headers=PAGE | {"user-agent": GOOGLE})
    assert (reply.status, reply.body) == (200, b"the shop")


async def test_a_crawler_is_sent_away_from_a_closed_room() -> None:
    front = Front(Room(name="default", mode=Mode.CLOSED))
    front.store.answer = Answer.CLOSED
    reply = await front.ask(headers=PAGE | {"user-agent": GOOGLE})
    assert (reply.status, front.outcomes()) == (503, {"crawler": 1})


async def test_the_status_for_crawlers_is_a_setting() -> None:
    front = Front(Room(name="default", crawler_status=200))
    front.store.answer = Answer.REFUSED
    reply = await front.ask(headers=PAGE | {"user-agent": GOOGLE})
    assert (reply.status, reply.one("retry-after"), reply.one("cache-control")) == (200, None, "no-store")


async def test_a_crawlers_form_gets_what_programs_get() -> None:
    front = Front()
    front.store.answer = Answer.REFUSED
    reply = await front.ask(headers={"user-agent": GOOGLE, "accept": "*/*"}, method="POST")
    assert (reply.status, reply.one("content-type")) == (429, "application/problem+json")


async def test_a_name_does_not_take_a_place_away_from_who_has_one() -> None:
    front = Front()
    reply = await front.ask(
        headers=PAGE | {"user-agent": GOOGLE}, cookie=f"waitroom-queue-default={front.place(least_position=7)}"
    )
    assert (reply.status, front.store.entered()) == (200, [Purpose.CLAIM])
