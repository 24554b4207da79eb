"""Method, host and path → room, bypass, or none; and no way around a room."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitroom.domain.room import Room
from waitroom.domain.routing import Route, Router, normal_host, readings


def route(target: str, *rooms: Room, method: str = "GET", host: str = "shop.example") -> Route:
    return Router(rooms).route(method, host, target.encode("latin-1"))


CHECKOUT = Room(name="checkout", match=("/checkout*",))
SALE = Room(name="sale", match=("/sale/*", "/Drop"), bypass=("/sale/health", "GET /sale/static/*"))


@pytest.mark.parametrize(
    ("pattern", "target", "protected"),
    [
        ("/*", "/", True),
        ("/*", "", True),
        ("/*", "*", True),
        ("/*", "/anything/at/all", True),
        ("/", "/", True),
        ("/", "/a", False),
        ("/cart", "/cart", True),
        ("/cart", "/cart/", True),
        ("/cart", "/cart.", True),
        ("/cart", "/cart%20", True),
        ("/cart", "/cart%00.css", True),
        ("/cart", "/cart%3Fa=1", True),
        ("/cart", "/cart%23a", True),
        ("/cart", "/carts", False),
        ("/cart*", "/carts", True),
        ("/cart/*", "/cart", True),
        ("/cart/*", "/cart/1", True),
        ("/cart/*", "/carts", False),
        ("/caf\u00e9", "/caf%C3%A9", True),
        ("/caf\u00e9", "/CAF%C3%89", True),
        ("/caf%C3%A9", "/caf%c3%a9", True),
        ("/caf\u00e9", "/caf%ff", False),
        ("shop.example/*", "/x", True),
        ("SHOP.example./*", "/x", True),
        ("shop.example:8080/*", "/x", True),
        ("other.example/*", "/x", False),
        ("*.example/*", "/x", True),
        ("*.shop.example/*", "/x", False),
        ("GET /x", "/x", True),
        ("HEAD /x", "/x", True),
        ("POST /x", "/x", False),
    ],
)
def test_a_pattern_protects_what_it_says_and_what_a_backend_may_take_for_it(
    pattern: str, target: str, protected: bool
) -> None:
    expected = Route("r") if protected else Route(None)
    assert route(target, Room(name="r", match=(pattern,))) == expected


@pytest.mark.parametrize(
    "target",
    [
        "/checkout", "//checkout", "/./checkout", "/x/../checkout", "/x/..//checkout", "/x//../checkout",
        "/..;/checkout", "/x/..;a=b/checkout", "/;x/checkout", "/checkout;jsessionid=1", "/CHECKOUT", "/%63heckout",
        "/%2e/checkout", "/x/%2e%2e/checkout", "/x/.%2E/checkout", "/%2fcheckout", "/x%2f..%2fcheckout",
        "/x%2F%2e%2e%2Fcheckout", "/%252fcheckout", "/x%252f..%252fcheckout", "/x/%252e%252e/checkout",
        "/%25252fcheckout", "/\\checkout", "/x\\..\\checkout", "/%5ccheckout", "/x%5c..%5ccheckout", "/x/..%5ccheckout",
        "/%c0%afcheckout", "/x/%c0%ae%c0%ae/checkout", "/%e0%80%afcheckout", "/..//checkout", "/../../checkout",
        "/public/%2e%2e%3bx/checkout", "/checkout%2fpay", "/checkout%00", "/checkout/..%2fcheckout", "/x;/../checkout",
    ],
)  # fmt: skip
def test_no_spelling_of_a_path_gets_around_its_room(target: str) -> None:
    assert route(target, CHECKOUT) == Route("checkout")


@pytest.mark.parametrize("target", ["/a/..%2fb", "/b/..;/a", "/a%2f..%2fb", "/a/%2e%2e/b", "/a\\..\\b", "/b/../a"])
def test_a_path_that_reads_into_two_rooms_belongs_to_none(target: str) -> None:
    answer = route(target, Room(name="a", match=("/a*",)), Room(name="b", match=("/b*",)))
    assert answer == Route(None, ambiguous=True)


def test_of_several_rooms_the_first_in_the_file_wins() -> None:
    everything = Room(name="everything")
    assert route("/checkout/pay", CHECKOUT, everything).room == "checkout"
    assert route("/checkout/pay", everything, CHECKOUT).room == "everything"
    assert route("//checkout", CHECKOUT, everything).room == "checkout"
    assert route("/caf%C3%A9%20", CHECKOUT, everything).room == "everything"


@pytest.mark.parametrize(
    ("target", "method", "spared"),
    [
        ("/sale/health", "GET", True),
        ("/sale/health", "POST", True),
        ("/sale/static/a.css", "GET", True),
        ("/sale/static/a%20b.css", "GET", True),
        ("/sale/static/a.css", "HEAD", False),
        ("/sale/static/a.css", "POST", False),
        ("/sale/health/", "GET", False),
        ("/sale/HEALTH", "GET", False),
        ("/sale/health;x", "GET", False),
        ("/sale//health", "GET", False),
        ("/sale/x/../health", "GET", False),
        ("/sale/static/../pay", "GET", False),
        ("/sale/static/..%2fpay", "GET", False),
        ("/sale/static/%2e%2e/pay", "GET", False),
        ("/sale/static/..%5cpay", "GET", False),
        ("/sale/static/..;/pay", "GET", False),
        ("/sale/static/%252e%252e/pay", "GET", False),
        ("/sale%2fstatic/a.css", "GET", False),
        ("/sale/%73tatic/a.css", "GET", False),
    ],
)
def test_a_bypass_counts_only_when_every_reading_is_spared(target: str, method: str, spared: bool) -> None:
    assert route(target, SALE, method=method) == Route("sale", bypass=spared)


def test_a_bypass_of_another_room_counts_for_nothing() -> None:
    open_room = Room(name="open", match=("/open*",), bypass=("/*",))
    assert route("/checkout", open_room, CHECKOUT) == Route("checkout")


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("Shop.Example", "shop.example"),
        ("shop.example:8443", "shop.example"),
        ("shop.example.", "shop.example"),
        ("shop.example.:80", "shop.example"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        (" shop.example ", "shop.example"),
        ("m\u00fcnchen.example", "xn--mnchen-3ya.example"),
        ("\u00fc..x", "\u00fc..x"),
        ("shop.example..", "shop.example"),
        ("", ""),
    ],
)
def test_a_host_is_compared_without_port_dot_and_case(host: str, normal: str) -> None:
    assert normal_host(host) == normal


def test_long_paths_are_decided_too() -> None:
    assert route("/checkout" + "/%2e" * 2_000, CHECKOUT).room == "checkout"


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_have_readings_and_all_of_them_are_paths(path: bytes) -> None:
    found = readings(path)
    assert found
    assert all(reading.startswith(b"/") and b"//" not in reading for reading in found)
    assert len(found) < 200


@given(
    st.lists(st.sampled_from(["x", "..", ".", "", "%2e%2e", "..;", "%2f", "\\", "%5c", "a;b", "%252e."]), max_size=6)
)
@settings(deadline=None)
def test_whatever_resolves_into_the_room_by_the_book_is_protected(segments: list[str]) -> None:
    """The reading of RFC 3986 §6.2.2 is one of those that count: decoded once, dots resolved."""
    assert route("/" + "/".join([*segments, *[".."] * 40, "checkout"]), CHECKOUT).room == "checkout"
