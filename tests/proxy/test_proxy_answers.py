"""What the proxy says in its own words, and where it may send requests to."""

from __future__ import annotations

import json

import pytest

from waitroom.errors import BackendBusy, BackendError, BackendTimeout, ConfigurationError, Refused, WaitroomError
from waitroom.proxy.answers import own_answer, wants_html
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
@pytest.mark.parametrize("html_wanted", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_of_our_own_is_whole_uncached_and_tells_no_internals(
    error: WaitroomError, method: str, *, html_wanted: bool
) -> None:
    answer = own_answer(error, method=method, html_wanted=html_wanted, sent=True, unread=False)
    headers = dict(answer.headers)
    assert answer.status == error.status
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-length"] == str(len(answer.body)).encode()
    assert error.public.encode() in answer.body
    if not isinstance(error, Refused):
        assert error.reason.encode() not in answer.body
    if html_wanted:
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
    answer = own_answer(Unreachable("x"), method=method, html_wanted=True, sent=sent, unread=False)
    assert words in answer.body
    assert (b'http-equiv="refresh"' in answer.body) is (method == "GET"), "only what is safe is repeated"


def test_particulars_of_some_statuses() -> None:
    busy = own_answer(BackendBusy("x"), method="GET", html_wanted=False, sent=False, unread=False)
    assert (b"retry-after", b"5") in busy.headers
    refused = own_answer(Refused("no", status=405), method="TRACE", html_wanted=False, sent=False, unread=True)
    assert b"GET" in dict(refused.headers)[b"allow"]
    assert (b"connection", b"close") in refused.headers, "the rest of the request is not read"


def test_words_from_outside_are_escaped() -> None:
    answer = own_answer(BackendError("x", public="<script>"), method="GET", html_wanted=True, sent=False, unread=False)
    assert b"<script>" not in answer.body


@pytest.mark.parametrize(
    ("accept", "html"),
    [(b"text/html,*/*;q=0.8", True), (b"Text/HTML", True), (b"*/*", False), (b"application/json", False)],
)
def test_a_page_goes_to_who_accepts_html(accept: bytes, *, html: bool) -> None:
    assert wants_html([(b"accept", accept)]) is html
    assert not wants_html([])


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
