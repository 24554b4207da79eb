"""What a request becomes on its way to the backend, as a table of pure cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.errors import Refused
from waitroom.proxy.headers import (
    CHUNKED,
    ForwardedRequest,
    Header,
    RequestRewriter,
    backend_target,
    without_listed,
)
from waitroom.proxy.options import parse_origin

ORIGIN = parse_origin("http://backend.test:8080/base/")


def rewrite(
    *headers: Header,
    method: str = "GET",
    target: bytes = b"/x",
    peer: str | None = "192.0.2.1",
    scheme: str = "http",
    http_version: str = "1.1",
    may_upgrade: bool = False,
    host_header: str = "keep",
) -> ForwardedRequest:
    rewriter = RequestRewriter(ORIGIN, host_header)
    return rewriter.rewrite(
        method, target, headers, peer=peer, scheme=scheme, http_version=http_version, may_upgrade=may_upgrade
    )


def values(request: ForwardedRequest, name: bytes) -> list[bytes]:
    lines = request.head.split(b"\r\n")[1:]
    return [line.partition(b": ")[2] for line in lines if line.startswith(name + b": ")]


HOST = (b"host", b"shop.test")


@pytest.mark.parametrize("more", [(), ((b"content-length", b"3"), (b"connection", b"close, waitroom-secret"))])
def test_the_secret_of_the_backend_goes_with_each_request(more: tuple[Header, ...]) -> None:
    rewriter = RequestRewriter(ORIGIN, "keep", "s" * 16)
    assert values(rewriter.rewrite("POST", b"/x", [HOST, *more], None, "http"), b"waitroom-secret") == [b"s" * 16]
    assert values(rewrite(HOST, *more), b"waitroom-secret") == []


@pytest.mark.parametrize(
    ("told", "name", "expected"),
    [
        ([], b"x-forwarded-for", [b"192.0.2.1"]),
        ([(b"x-forwarded-for", b"198.51.100.7")], b"x-forwarded-for", [b"198.51.100.7, 192.0.2.1"]),
        ([(b"x-forwarded-for", b"a"), (b"x-forwarded-for", b"b, c")], b"x-forwarded-for", [b"a, b, c, 192.0.2.1"]),
        ([], b"x-forwarded-proto", [b"http"]),
        ([(b"x-forwarded-proto", b"https")], b"x-forwarded-proto", [b"https"]),
        ([], b"x-forwarded-host", [b"shop.test"]),
        ([(b"x-forwarded-host", b"www.shop.test")], b"x-forwarded-host", [b"www.shop.test"]),
        ([], b"forwarded", [b'for=192.0.2.1;host="shop.test";proto=http']),
        ([(b"forwarded", b"for=_a")], b"forwarded", [b'for=_a, for=192.0.2.1;host="shop.test";proto=http']),
        ([], b"via", [b"1.1 waitroom"]),
        ([(b"via", b"2 cdn")], b"via", [b"2 cdn, 1.1 waitroom"]),
        ([(b"x-real-ip", b"198.51.100.7")], b"x-real-ip", [b"198.51.100.7"]),
    ],
)
def test_this_hop_is_added_to_what_proxies_in_front_have_told(
    told: list[Header], name: bytes, expected: list[bytes]
) -> None:
    assert values(rewrite(HOST, *told), name) == expected


def test_a_peer_is_written_as_its_field_wants_it() -> None:
    six = rewrite(HOST, peer="2001:db8::1", scheme="https", http_version="1.0")
    assert values(six, b"x-forwarded-for") == [b"2001:db8::1"]
    assert values(six, b"forwarded") == [b'for="[2001:db8::1]";host="shop.test";proto=https']
    assert values(six, b"via") == [b"1.0 waitroom"]
    nobody = rewrite((b"host", b'a"b'), peer=None)
    assert values(nobody, b"x-forwarded-for") == []
    assert values(nobody, b"forwarded") == [b'for=unknown;host="a\\"b";proto=http']


@pytest.mark.parametrize(
    ("host_header", "headers", "expected"),
    [
        ("keep", [HOST], b"shop.test"),
        ("backend", [HOST], b"backend.test:8080"),
        ("www.other.test", [HOST], b"www.other.test"),
        ("keep", [], b"backend.test:8080"),
    ],
)
def test_the_host_is_kept_or_set(host_header: str, headers: list[Header], expected: bytes) -> None:
    assert values(rewrite(*headers, host_header=host_header), b"host") == [expected]


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", b"/a?b", b"/base/a?b"),
        ("GET", b"http://shop.test/a?b", b"/base/a?b"),
        ("GET", b"HTTPS://Shop.Test/a//../b", b"/base/a//../b"),
        ("GET", b"http://shop.test", b"/base/"),
        ("GET", b"http://shop.test?b=/c", b"/base/?b=/c"),
        ("GET", b"HTTP://Shop.test:80/c", b"/base/c"),
        ("GET", b"https://shop.test:443/c", b"/base/c"),
        ("OPTIONS", b"*", b"*"),
        ("OPTIONS", b"http://shop.test", b"*"),
    ],
)
def test_the_target_is_reduced_to_path_and_query(method: str, target: bytes, expected: bytes) -> None:
    assert rewrite(HOST, method=method, target=target).head.split(b" ")[1] == expected


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", b"*"),
        ("GET", b"shop.test:80"),
        ("GET", b"ftp://shop.test/"),
        ("GET", b"http:///x"),
        ("GET", b"http://evil.test/x"),
        ("GET", b"http://shop.test:443/x"),
        ("GET", b"/a b"),
        ("GET", b"/a\r\nx: y"),
        ("GET", b"/\x00"),
        ("GET", "/ü".encode()),
        ("GET", b""),
    ],
)
def test_other_targets_are_refused(method: str, target: bytes) -> None:
    with pytest.raises(Refused) as refused:
        rewrite(HOST, method=method, target=target)
    assert refused.value.status == 400


def test_an_absolute_target_needs_no_host_field_in_http_1_0() -> None:
    assert backend_target(b"http://any.test/x", "GET", []) == b"/x"


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ([HOST, HOST], "GET", 400),
        ([HOST], "CONNECT", 405),
        ([HOST], "TRACE", 405),
        ([HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")], "POST", 400),
        ([HOST, (b"transfer-encoding", b"gzip, chunked")], "POST", 501),
        ([HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], "POST", 501),
        ([HOST, (b"content-length", b"1"), (b"content-length", b"1")], "POST", 400),
        ([HOST, (b"content-length", b"+1")], "POST", 400),
        ([HOST, (b"content-length", b"")], "POST", 400),
        ([HOST, (b"content-length", b"9" * 5000)], "POST", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(headers: list[Header], method: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        rewrite(*headers, method=method)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("headers", "length", "sent"),
    [
        ([], 0, []),
        ([(b"content-length", b"0")], 0, [b"0"]),
        ([(b"content-length", b"12")], 12, [b"12"]),
        ([(b"transfer-encoding", b"Chunked")], CHUNKED, []),
    ],
)
def test_a_body_keeps_its_framing(headers: list[Header], length: int, sent: list[bytes]) -> None:
    request = rewrite(HOST, *headers, method="POST")
    assert (request.length, values(request, b"content-length")) == (length, sent)
    assert values(request, b"transfer-encoding") == ([b"chunked"] if length == CHUNKED else [])


@pytest.mark.parametrize(
    ("method", "headers", "repeatable"),
    [
        ("GET", [], True),
        ("HEAD", [], True),
        ("OPTIONS", [], True),
        ("DELETE", [], True),
        ("PUT", [(b"content-length", b"0")], True),
        ("PUT", [(b"content-length", b"1")], False),
        ("GET", [(b"transfer-encoding", b"chunked")], False),
        ("POST", [], False),
        ("PATCH", [], False),
        ("MKCOL", [], False),
    ],
)
def test_only_idempotent_methods_without_a_body_may_be_repeated(
    method: str, headers: list[Header], *, repeatable: bool
) -> None:
    assert rewrite(HOST, *headers, method=method).repeatable is repeatable


UPGRADE = [(b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"WebSocket"), (b"sec-websocket-key", b"k")]


def test_a_websocket_may_be_asked_for_where_the_server_offers_a_tunnel() -> None:
    request = rewrite(HOST, *UPGRADE, may_upgrade=True)
    assert (request.upgrade, request.repeatable) == (True, False)
    assert (values(request, b"connection"), values(request, b"upgrade")) == ([b"Upgrade"], [b"websocket"])
    assert values(request, b"sec-websocket-key") == [b"k"]


@pytest.mark.parametrize(
    ("headers", "may_upgrade"),
    [
        (UPGRADE, False),
        ([(b"connection", b"upgrade, http2-settings"), (b"upgrade", b"h2c"), (b"http2-settings", b"x")], True),
        ([(b"connection", b"upgrade"), (b"upgrade", b"websocket, h2c")], True),
        ([(b"upgrade", b"websocket")], True),
        ([(b"connection", b"upgrade")], True),
        ([*UPGRADE, (b"content-length", b"3")], True),
    ],
)
def test_no_other_upgrade_is_passed_on(headers: list[Header], *, may_upgrade: bool) -> None:
    request = rewrite(HOST, *headers, may_upgrade=may_upgrade)
    assert not request.upgrade
    assert b"upgrade" not in request.head.lower()
    assert b"http2-settings" not in request.head


@pytest.mark.parametrize(
    ("headers", "version", "expected", "waits"),
    [
        ([(b"expect", b"100-Continue"), (b"content-length", b"3")], "1.1", [b"100-Continue"], True),
        ([(b"expect", b"100-continue"), (b"content-length", b"3")], "1.0", [], False),
        ([(b"expect", b"100-continue")], "1.1", [], False),
        ([(b"expect", b"miracles"), (b"content-length", b"3")], "1.1", [b"miracles"], False),
    ],
)
def test_an_expectation_is_passed_on_only_where_it_means_something(
    headers: list[Header], version: str, expected: list[bytes], *, waits: bool
) -> None:
    request = rewrite(HOST, *headers, method="POST", http_version=version)
    assert (values(request, b"expect"), request.expects_continue) == (expected, waits)


@pytest.mark.parametrize("connection", [b"keep-alive", b"Keep-Alive", b"close", b"x-hop, close", b"X-Hop"])
def test_connection_names_fields_away(connection: bytes) -> None:
    kept = without_listed([(b"x-hop", b"1"), (b"x-end", b"2")], [connection])
    assert ((b"x-hop", b"1") in kept) is (b"hop" not in connection.lower())
    assert (b"x-end", b"2") in kept


@pytest.mark.parametrize(
    "name",
    [
        b"cookie",
        b"authorization",
        b"x-forwarded-for",
        b"x-real-ip",
        b"waitroom-visitor",
        b"content-type",
        b"sec-fetch-site",
    ],
)
def test_connection_cannot_name_away_what_the_backend_relies_on(name: bytes) -> None:
    request = rewrite(HOST, (name, b"value"), (b"connection", b"close, " + name + b", host, content-length, via"))
    assert values(request, name)[0].startswith(b"value")
    assert values(request, b"host") == [b"shop.test"]


NAMES = st.from_regex(rb"x-[a-z]{1,8}", fullmatch=True).filter(lambda name: not name.startswith(b"x-forwarded"))
VALUES = st.binary(max_size=20).filter(lambda value: not set(value) & {*range(9), *range(10, 32), 127})


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_end_to_end_fields_pass_unchanged_and_in_order(headers: list[Header]) -> None:
    lines = rewrite(HOST, *headers).head.split(b"\r\n")
    assert lines[2 : 2 + len(headers)] == [name + b": " + value for name, value in headers]
    assert lines[-2:] == [b"", b""]
