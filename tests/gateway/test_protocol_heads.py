"""What a request head must be and what a response head becomes, decided without a connection."""

from __future__ import annotations

import re

import pytest

from waitroom.gateway.protocol import ProtocolLimits, protocol_class
from waitroom.gateway.refusals import REASONS, REFUSALS, RequestRefused
from waitroom.gateway.request_head import checked_host, host_and_port, path_and_query
from waitroom.gateway.response_head import response_head


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"shop.example", (b"shop.example", None)),
        (b"Shop.Example:8080", (b"shop.example", 8080)),
        (b"shop.example.", (b"shop.example.", None)),
        (b"a_b-c", (b"a_b-c", None)),
        (b"127.0.0.1:1", (b"127.0.0.1", 1)),
        (b"[::1]", (b"::1", None)),
        (b"[2001:DB8::1]:65535", (b"2001:db8::1", 65535)),
    ],
)
def test_a_host_is_a_name_or_an_address_with_or_without_a_port(
    value: bytes, expected: tuple[bytes, int | None]
) -> None:
    assert host_and_port(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a b",
        b"a,b",
        b"a/b",
        b"a\\b",
        b"user@a",
        b"a?b",
        b"a#b",
        b"a:",
        b"a:x",
        b"a:0",
        b"a:65536",
        b"a:123456",
        b"a:1:2",
        b"::1",
        b"[::1",
        b"[:::1]",
        b"[1.2.3.4]",
        b"[]",
        b"a%41",
        b"\xe4",
        b"a\x00",
        b"a\x7f",
        b"a\n",
        b"x" * 256,
    ],
)
def test_anything_else_is_no_host(value: bytes) -> None:
    assert host_and_port(value) is None


@pytest.mark.parametrize(
    ("target", "method", "expected"),
    [
        (b"/", "GET", (b"/", b"")),
        (b"/a%2Fb;c?d=e?f", "GET", (b"/a%2Fb;c", b"d=e?f")),
        (b"//a/../b", "GET", (b"//a/../b", b"")),
        (b"*", "OPTIONS", (b"*", b"")),
        (b"http://shop.example/a?b", "GET", (b"/a", b"b")),
        (b"HTTP://SHOP.example:80?b", "GET", (b"/", b"b")),
    ],
)
def test_a_target_is_split_and_its_bytes_are_kept(target: bytes, method: str, expected: tuple[bytes, bytes]) -> None:
    assert path_and_query(target, b"Shop.example", method) == expected


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"*", "target"),
        (b"a", "target"),
        (b"/a#b", "target"),
        (b"/\xc3\xa4", "target"),
        (b"ftp://shop.example/", "target"),
        (b"http://me@shop.example/", "target"),
        (b"http:///a", "target"),
        (b"http://other.example/", "host_differs"),
        (b"http://shop.example:81/", "host_differs"),
        (b"https://shop.example:80/", "host_differs"),
    ],
)
def test_a_target_that_could_be_read_in_two_ways_is_refused(target: bytes, reason: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        path_and_query(target, b"shop.example", "GET")
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [([], "host_missing"), ([b"a", b"a"], "host_repeated"), ([b"a b"], "host_malformed")],
)
def test_there_is_exactly_one_host(hosts: list[bytes], reason: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        checked_host([(b"expect", b""), *((b"host", host) for host in hosts)])
    assert refused.value.reason == reason
    assert checked_host([(b"expect", b""), (b"host", b"a")]) == b"a"


def written(
    status: int,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    version: str = "1.1",
    keep_alive: bool = True,
    defaults: list[tuple[bytes, bytes]] | None = None,
) -> list[bytes]:
    head = response_head(status, headers, defaults or [], method=method, version=version, keep_alive=keep_alive)
    assert head.data.endswith(b"\r\n\r\n")
    return head.data[:-4].split(b"\r\n")


LENGTH = (b"Content-Length", b"5")


@pytest.mark.parametrize(
    ("status", "method", "version", "headers", "expected"),
    [
        (200, "GET", "1.1", [LENGTH], [b"HTTP/1.1 200 OK", b"content-length: 5"]),
        (200, "GET", "1.1", [], [b"HTTP/1.1 200 OK", b"transfer-encoding: chunked"]),
        (200, "GET", "1.1", [(b"transfer-encoding", b"chunked")], [b"HTTP/1.1 200 OK", b"transfer-encoding: chunked"]),
        (200, "GET", "1.0", [], [b"HTTP/1.1 200 OK", b"connection: close"]),
        (200, "HEAD", "1.1", [LENGTH], [b"HTTP/1.1 200 OK", b"content-length: 5"]),
        (200, "HEAD", "1.1", [], [b"HTTP/1.1 200 OK"]),
        (304, "GET", "1.1", [LENGTH], [b"HTTP/1.1 304 Not Modified", b"content-length: 5"]),
        (204, "GET", "1.1", [LENGTH, (b"transfer-encoding", b"chunked")], [b"HTTP/1.1 204 No Content"]),
        (799, "GET", "1.1", [LENGTH], [b"HTTP/1.1 799 ", b"content-length: 5"]),
        (
            200,
            "GET",
            "1.1",
            [LENGTH, (b"connection", b"keep-alive, Close")],
            [b"HTTP/1.1 200 OK", b"content-length: 5", b"connection: close"],
        ),
    ],
)
def test_framing_fits_the_status_the_method_and_the_version(
    status: int, method: str, version: str, headers: list[tuple[bytes, bytes]], expected: list[bytes]
) -> None:
    assert written(status, *headers, method=method, version=version) == expected


def test_repeated_fields_stay_apart_and_in_order() -> None:
    cookies = [(b"Set-Cookie", b"a=1"), (b"x-a", b""), (b"set-cookie", b"b=2")]
    assert written(200, *cookies, LENGTH)[1:4] == [b"set-cookie: a=1", b"x-a: ", b"set-cookie: b=2"]


def test_the_servers_own_date_gives_way_to_the_applications() -> None:
    defaults = [(b"date", b"ours"), (b"server", b"ours")]
    lines = written(200, (b"Date", b"theirs"), LENGTH, defaults=defaults)
    assert lines[1:3] == [b"date: theirs", b"server: ours"]


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (200, (b"x-a", b"b\r\nset-cookie: c")),
        (200, (b"x-a", b"b\nc")),
        (200, (b"x-a", b"b\rc")),
        (200, (b"x-a", b"b\0c")),
        (200, (b"date", b"b\r\nc")),
        (200, (b"x a", b"b")),
        (200, (b"x:a", b"b")),
        (200, (b"x-a\r\n", b"b")),
        (200, (b"", b"b")),
        (200, (b"content-length", b"+5")),
        (200, (b"content-length", b"")),
        (101, (b"upgrade", b"websocket")),
        (1000, (b"x-a", b"b")),
    ],
)
def test_a_response_that_would_not_be_one_head_is_not_written(status: int, header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="response"):
        written(status, header)


def test_two_lengths_are_none() -> None:
    with pytest.raises(ValueError, match="one Content-Length"):
        written(200, LENGTH, LENGTH)


def test_the_memory_of_header_names_is_bounded() -> None:
    for number in range(2000):
        assert written(200, (b"x-%d" % number, b"v"), LENGTH)[1] == b"x-%d: v" % number


def test_every_refusal_is_a_client_error_in_plain_words() -> None:
    for refusal in REFUSALS.values():
        assert 400 <= refusal.status < 500
        assert re.fullmatch(r"[ -~]+\.", refusal.text)
    assert set(REASONS) == {*REFUSALS, "write_stall"}


def test_each_class_has_its_own_limits_and_its_own_counter() -> None:
    told: list[str] = []
    bound = protocol_class(ProtocolLimits(header_fields=3), told.append)
    silent = protocol_class(ProtocolLimits())
    bound.on_refused("host_missing")
    silent.on_refused("host_missing")
    assert (bound.limits.header_fields, silent.limits.header_fields, told) == (3, 100, ["host_missing"])
