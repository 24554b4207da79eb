"""Who asks: what headers say, and which of them the backend may see."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitroom.domain.claims import QueueClaims, is_visitor
from waitroom.gateway.visitor import (
    PASS,
    QUEUE,
    Origin,
    TrustedProxies,
    cookie_name,
    find_origin,
    make_visitor,
    parse_address,
    read_headers,
    set_cookie,
    texts_of,
)
from waitroom.tokens import Tokens

TRUSTED = TrustedProxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("cookies", "own", "rest"),
    [
        (b"a=1; b=2", [], b"a=1; b=2"),
        (b"a=1;b=2;", [], b"a=1;b=2;"),
        (b"a=1; waitroom-pass-r=x; b=2", [b"waitroom-pass-r=x"], b"a=1; b=2"),
        (b"waitroom-pass-r=x", [b"waitroom-pass-r=x"], None),
        (b"__Host-waitroom-queue-r=x;a=1;", [b"__Host-waitroom-queue-r=x"], b"a=1"),
        (b"__host-WAITROOM-queue-r=x; a=1", [b"__host-WAITROOM-queue-r=x"], b"a=1"),
        (b"WAITROOM-PASS-r=x; a=1", [b"WAITROOM-PASS-r=x"], b"a=1"),
        (b"a=1; waitroom-lang=he.fr", [b"waitroom-lang=he.fr"], b"a=1"),
        (b"waitroom-language=he", [], b"waitroom-language=he"),
        (b"waitroom-theme=dark", [], b"waitroom-theme=dark"),
        (b"a=waitroom-pass-r=x", [], b"a=waitroom-pass-r=x"),
        (b"\xff=1; waitroom-pass-r=\xff", [b"waitroom-pass-r=\xff"], b"\xff=1"),
        (b";;; ;waitroom-pass-r=x;;", [b"waitroom-pass-r=x"], None),
        (b"waitroom-pass-r=x;waitroom-pass-r=y; a=1", [b"waitroom-pass-r=x", b"waitroom-pass-r=y"], b"a=1"),
        (
            b"a=waitroom-; waitroom-x=1;b=2; waitroom-queue-r=y;",
            [b"waitroom-queue-r=y"],
            b"a=waitroom-; waitroom-x=1;b=2",
        ),
    ],
)
def test_our_cookies_are_taken_out_and_the_others_keep_their_bytes(
    cookies: bytes, own: list[bytes], rest: bytes | None
) -> None:
    asked = read_headers([(b"cookie", cookies)], trusted=False)
    assert list(asked.own_cookies) == own
    assert asked.headers == ([] if rest is None else [(b"cookie", rest)])


@pytest.mark.parametrize(
    "name",
    [
        "waitroom-visitor", "waitroom-room", "waitroom_visitor", "waitroom.visitor", "x_forwarded_for", "x.forwarded.for",
        "x_forwarded-for", "x_real_ip",
    ],
)  # fmt: skip
def test_names_of_ours_and_aliases_of_forwarding_headers_never_pass(name: str) -> None:
    for trusted in (True, False):
        asked = read_headers([(name.encode(), b"x"), (b"accept", b"*/*")], trusted=trusted)
        assert asked.headers == [(b"accept", b"*/*")]
        assert asked.forwarding == ()


@pytest.mark.parametrize(
    "name",
    [
        "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-uri", "forwarded",
        "x-real-ip", "true-client-ip", "x-original-url", "x-original-host", "x-rewrite-url", "front-end-https",
    ],
)  # fmt: skip
def test_forwarding_headers_pass_from_trusted_peers_only(name: str) -> None:
    pair = (name.encode(), b"x")
    assert read_headers([pair], trusted=False).headers == []
    trusted = read_headers([pair], trusted=True)
    assert (trusted.headers, trusted.forwarding) == ([pair], (pair,))


def test_all_other_headers_pass_in_order_repeated_or_not() -> None:
    headers = [(b"host", b"h"), (b"x-a", b"1"), (b"x_b", b"2"), (b"x-a", b"3"), (b"authorization", b"Basic x")]
    asked = read_headers(headers, trusted=False)
    assert (asked.headers, asked.host, asked.token) == (headers, "h", "")


def test_a_token_is_found_by_cookie_and_by_authorization_which_comes_first() -> None:
    headers = [(b"cookie", b"waitroom-pass-r=1~p~a; waitroom-queue-r=1~q~a"), (b"authorization", b"WAITROOM 1~p~b ")]
    asked = read_headers(headers, trusted=False)
    assert asked.headers == []
    assert texts_of(asked, PASS, "r", secure=False) == ("1~p~b", "1~p~a")
    assert texts_of(asked, QUEUE, "r", secure=False) == ("1~q~a",)
    assert texts_of(asked, QUEUE, "r", secure=True) == ()
    assert texts_of(asked, QUEUE, "other", secure=False) == ()


@pytest.mark.parametrize(
    ("peer", "forwarding", "address", "scheme"),
    [
        ("192.0.2.1", {"x-forwarded-for": "198.51.100.1", "x-forwarded-proto": "https"}, "192.0.2.1", "http"),
        ("", {"x-forwarded-for": "198.51.100.1"}, "", "http"),
        ("10.0.0.1", {}, "10.0.0.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": "198.51.100.1"}, "198.51.100.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 198.51.100.1"}, "198.51.100.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 198.51.100.1, 10.1.1.1"}, "198.51.100.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": "10.2.2.2, 10.1.1.1"}, "10.2.2.2", "http"),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, nonsense"}, "10.0.0.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": "198.51.100.1:4711"}, "198.51.100.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": "[2001:db8::1]:4711, fd00::2"}, "2001:db8::1", "http"),
        ("::ffff:10.0.0.1", {"x-forwarded-for": "198.51.100.1"}, "198.51.100.1", "http"),
        ("10.0.0.1", {"x-forwarded-proto": "HTTPS"}, "10.0.0.1", "https"),
        ("10.0.0.1", {"x-forwarded-proto": "javascript"}, "10.0.0.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "http, https"}, "1.1.1.1", "https"),
        ("10.0.0.1", {"x-forwarded-for": "1.1.1.1, 10.1.1.1", "x-forwarded-proto": "https, http"}, "1.1.1.1", "https"),
        ("10.0.0.1", {"forwarded": 'for="[2001:db8::1]:47";proto=https;by=x'}, "2001:db8::1", "https"),
        ("10.0.0.1", {"forwarded": "for=6.6.6.6, For=1.1.1.1; Proto=https, for=10.3.3.3"}, "1.1.1.1", "https"),
        ("10.0.0.1", {"forwarded": "for=unknown;proto=https"}, "10.0.0.1", "https"),
        ("10.0.0.1", {"forwarded": "for=6.6.6.6", "x-forwarded-for": "1.1.1.1"}, "1.1.1.1", "http"),
    ],
)
def test_the_visitor_is_the_nearest_address_that_is_no_proxy_of_ours(
    peer: str, forwarding: dict[str, str], address: str, scheme: str
) -> None:
    headers = [(name.encode(), value.encode()) for name, value in forwarding.items()]
    assert find_origin(peer, "http", headers, TRUSTED) == Origin(address, scheme)


def test_no_proxies_listed_means_none_trusted() -> None:
    assert "127.0.0.1" not in TrustedProxies([])


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "[::1", "a:b:c:z", "::1::2"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) in {None, ipaddress.ip_address("::1")}


def test_a_visitor_id_is_128_bits_of_chance() -> None:
    assert make_visitor(lambda size: b"\xff" * size) == "_" * 21 + "w"
    assert is_visitor(make_visitor(lambda size: bytes(range(size))))


def test_cookies_are_under_300_bytes_whatever_the_rooms_name() -> None:
    room = "r" * 40
    place = QueueClaims(room, "v" * 22, 10**16 - 1, 999_999, "g" * 22, provisional=True, told=(30, 60))
    text = Tokens(["k" * 40]).sign_queue(place)
    line = set_cookie(cookie_name(QUEUE, room, secure=True), text, max_age_seconds=86_400, secure=True)[1]
    assert len(line) < 300


@given(
    st.lists(
        st.tuples(st.sampled_from([b"cookie", b"authorization", b"host", b"x-forwarded-for"]), st.binary(max_size=80))
    )
)
@settings(deadline=None)
def test_no_bytes_in_a_header_are_too_odd_to_read(headers: list[tuple[bytes, bytes]]) -> None:
    asked = read_headers(headers, trusted=True)
    find_origin("10.0.0.1", "http", asked.forwarding, TRUSTED)
    for kind in (PASS, QUEUE):
        texts_of(asked, kind, "r", secure=False)
    assert not [
        value for name, value in asked.headers if name == b"authorization" and value.lower().startswith(b"waitroom ")
    ]
