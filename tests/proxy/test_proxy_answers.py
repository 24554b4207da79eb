"""What the proxy says in its own words, and where it may send requests to."""

from __future__ import annotations

import json

import pytest

from waitroom.errors import BackendBusy, BackendError, BackendTimeout, ConfigurationError, Refused, WaitroomError
from waitroom.proxy.answers import HOLD_TITLE, is_navigation, own_answer
from waitroom.proxy.back_off import BackOff
from waitroom.proxy.failures import KINDS, BadAnswer, ResponseBroken, Unreachable, Vanished, kind_of
from waitroom.proxy.options import Origin, ProxyOptions, parse_origin, tls_context

ERRORS: list[WaitroomError] = [
    Unreachable("no connection to 10.0.0.1:80"),
    Vanished("secret-host closed"),
    BackendBusy("all 256 connections"),
    BackendTimeout("60 s"),
    Refused("Too much.", status=413),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("navigation", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_of_our_own_is_whole_uncached_and_tells_no_internals(
    error: WaitroomError, method: str, *, navigation: bool
) -> None:
    answer = own_answer(error, method=method, navigation=navigation, sent=True, unread=False, retry_seconds=7)
    headers = dict(answer.headers)
    assert answer.status == error.status
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-length"] == str(len(answer.body)).encode()
    assert error.public.encode() in answer.body
    if not isinstance(error, Refused):
        assert error.reason.encode() not in answer.body
    if navigation:
        assert headers[b"content-type"].startswith(b"text/html")
        assert b"default-src 'none'" in headers[b"content-security-policy"]
        assert len(answer.body) < 2000
    else:
        assert headers[b"content-type"] == b"application/problem+json"
        assert json.loads(answer.body)["status"] == error.status


@pytest.mark.parametrize(
    ("method", "sent", "words"),
    [
        ("POST", True, b"We cannot tell whether"),
        ("POST", False, b"has not reached the shop"),
        ("GET", True, b"by itself"),
    ],
)
def test_the_words_say_what_became_of_the_request(method: str, words: bytes, *, sent: bool) -> None:
    answer = own_answer(Unreachable("x"), method=method, navigation=True, sent=sent, unread=False, retry_seconds=7)
    assert words in answer.body
    assert (b'http-equiv="refresh"' in answer.body) is (method == "GET"), "only what is safe is repeated"


def test_particulars_of_some_statuses() -> None:
    busy = own_answer(BackendBusy("x"), method="GET", navigation=False, sent=False, unread=False, retry_seconds=7)
    assert (b"retry-after", b"7") in busy.headers
    refused = own_answer(
        Refused("no", status=405), method="TRACE", navigation=False, sent=False, unread=True, retry_seconds=7
    )
    assert b"GET" in dict(refused.headers)[b"allow"]
    assert (b"connection", b"close") in refused.headers, "the rest of the request is not read"


def test_words_from_outside_are_escaped() -> None:
    error = BackendError("x", public="<script>")
    answer = own_answer(error, method="GET", navigation=True, sent=False, unread=False, retry_seconds=7)
    assert b"<script>" not in answer.body


@pytest.mark.parametrize("error", [error for error in ERRORS if isinstance(error, BackendError)])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("navigation", [True, False])
def test_a_page_that_was_opened_is_held_and_tried_again_and_nothing_else_is(
    error: BackendError, method: str, *, navigation: bool
) -> None:
    answer = own_answer(error, method=method, navigation=navigation, sent=True, unread=False, retry_seconds=7)
    held = navigation and method == "GET"
    assert (HOLD_TITLE.encode() in answer.body) is held
    assert (b'<meta http-equiv="refresh" content="7">' in answer.body) is held
    assert ((b"retry-after", b"7") in answer.headers) is (held or isinstance(error, BackendBusy))


HTML = (b"accept", b"text/html,*/*;q=0.8")


@pytest.mark.parametrize(
    ("headers", "navigation"),
    [
        ([], False),
        ([HTML], True),
        ([(b"accept", b"Text/HTML")], True),
        ([(b"accept", b"*/*")], False),
        ([(b"accept", b"application/json")], False),
        ([HTML, (b"sec-fetch-mode", b"navigate")], True),
        ([HTML, (b"sec-fetch-mode", b"cors")], False),
        ([(b"sec-fetch-mode", b"same-origin"), HTML], False),
        ([HTML, (b"x-requested-with", b"XMLHttpRequest")], False),
    ],
)
def test_a_page_goes_to_who_opened_one(headers: list[tuple[bytes, bytes]], *, navigation: bool) -> None:
    assert is_navigation(headers) is navigation


def test_waits_grow_while_the_shop_fails_and_begin_anew_when_it_has_answered() -> None:
    back_off = BackOff(lambda low, high: (low + high) / 2)
    waits, now = [], 100.0
    for _ in range(8):
        waits.append(back_off.failed(now, answered_at=99.0))
        now += waits[-1]
    assert waits == [5, 5, 5, 8, 12, 18, 26, 30]
    assert back_off.failed(now, answered_at=now - 1) == 5


@pytest.mark.parametrize(("luck", "seconds"), [(0, 4), (1, 6)])
def test_those_who_failed_at_the_same_moment_do_not_come_back_at_the_same(luck: int, seconds: int) -> None:
    assert BackOff(lambda *range_: range_[luck]).failed(100.0, answered_at=0.0) == seconds


def test_every_failure_has_a_kind() -> None:
    kinds = [kind_of(error) for error in (Unreachable("x"), Vanished("x"), BadAnswer("x"), ResponseBroken("x"))]
    kinds += [kind_of(BackendBusy("x")), kind_of(BackendTimeout("x"))]
    assert tuple(kinds) == KINDS
    assert kind_of(BackendError("x")) in KINDS


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://shop.test", Origin("http", "shop.test", 80, "shop.test", "")),
        ("https://shop.test:8443/a/", Origin("https", "shop.test", 8443, "shop.test:8443", "/a")),
        ("http://[::1]:9000", Origin("http", "::1", 9000, "[::1]:9000", "")),
        ("https://shop.test:443", Origin("https", "shop.test", 443, "shop.test", "")),
    ],
)
def test_a_backend_url_is_taken_apart(url: str, origin: Origin) -> None:
    assert parse_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    ["shop.test", "ftp://shop.test", "http://", "http://shop.test:port", "http://[::1", "http://a:b@shop.test",
     "http://shop.test/?x", "http://shop.test/a b", "http://shop.test/ü"],
)  # fmt: skip
def test_a_backend_url_that_cannot_be_one_says_what_is_allowed(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https://host"):
        parse_origin(url)


def test_an_authority_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"/no/such/ca\.pem"):
        tls_context(ProxyOptions("https://shop.test", ca_file="/no/such/ca.pem"))
