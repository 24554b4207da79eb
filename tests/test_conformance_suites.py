"""What the foreign suites tell is read as they mean it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.conformance import autobahn, gunicorn_corpus, http_cache_tests, requests_suite
from tests.conformance.gunicorn_corpus import Case, Exchange, Request, decode, judge, origin_form, read_case, with_host
from tests.conformance.slow_clients import Asked, availability

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conformance.results import Outcome

GET = Request("GET", "/a", (("host", "h"), ("x", "1"), ("x", "2")), b"body")
VALID = Case("valid/1", b"", valid=True, requests=(GET,))
INVALID = Case("invalid/1", b"", valid=False)


def as_pair(outcome: Outcome) -> tuple[bool, str]:
    """The two parts of an outcome."""
    return outcome.ok, outcome.seen


def test_a_corpus_file_spells_out_its_bytes() -> None:
    assert (
        decode(b"GET / HTTP/1.1\\r\\n\nX: \\0\\t\\xff\\r\\n\n\\r\\n\nbody\n")
        == b"GET / HTTP/1.1\r\nX: \0\t\xff\r\n\r\nbody"
    )


def test_a_corpus_case_is_its_bytes_and_what_they_mean(tmp_path: Path) -> None:
    (folder := tmp_path / "valid").mkdir()
    (folder / "one.http").write_bytes(b"GET /a HTTP/1.1\\r\\n\nX: 1\\r\\n\n\\r\\n\n")
    (folder / "one.py").write_text(
        'request = {"method": "GET", "uri": uri("/a"), "version": (1, 1), "headers": [("X", "1")], "body": b""}'
    )
    case = read_case(folder / "one.http")
    assert case == Case("valid/one", b"GET /a HTTP/1.1\r\nX: 1\r\n\r\n", True, (Request("GET", "/a", (("x", "1"),)),))
    hosted = with_host(case)
    assert hosted is not None
    assert (hosted.name, hosted.data) == ("valid/one + Host", b"GET /a HTTP/1.1\r\nHost: corpus.test\r\nX: 1\r\n\r\n")
    assert with_host(VALID) is None
    assert with_host(INVALID) is None


@pytest.mark.parametrize(
    ("sent", "again"),
    [
        (b"GET / HTTP/1.1\r\nX : 1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: corpus.test\r\nX : 1\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nhost: h\r\nX : 1\r\n\r\n", None),
        (b"GET / HTTP/9\r\n\r\n", None),
    ],
)
def test_an_invalid_request_is_not_refused_for_want_of_a_host_alone(sent: bytes, again: bytes | None) -> None:
    hosted = with_host(Case("invalid/1", sent, valid=False))
    assert (hosted and hosted.data) == again


def test_a_corpus_case_beyond_gunicorns_own_limits_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "one.http").write_bytes(b"")
    (tmp_path / "one.py").write_text("from gunicorn.http.errors import LimitRequestLine\nrequest = LimitRequestLine")
    assert read_case(tmp_path / "one.http") is None


def test_a_corpus_case_that_changes_gunicorns_settings_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "one.http").write_bytes(b"")
    (tmp_path / "one.py").write_text('cfg.set("proxy_protocol", True)')
    assert read_case(tmp_path / "one.http") is None


@pytest.mark.parametrize(
    ("target", "sent"),
    [("/a?b", "/a?b"), ("http://h/a", "/a"), ("https://[::1]:8080?q", "/?q"), ("HTTP://h", "/"), ("*", "*")],
)
def test_a_proxy_sends_origin_form(target: str, sent: str) -> None:
    assert origin_form(target) == sent


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (Exchange([GET], [200], 1), (True, "arrived")),
        (Exchange([], [400]), (False, "refused 400")),
        (Exchange([], []), (False, "0 of 1 requests arrived")),
        (Exchange([GET], []), (False, "0 of 1 answers came back")),
        (Exchange([Request("PUT", "/a")], [200], 1), (False, "arrived with method PUT")),
        (Exchange([Request("GET", "/b")], [200], 1), (False, "arrived with target /b")),
        (Exchange([Request("GET", "/a")], [200], 1), (False, "arrived with host: not there")),
        (Exchange([Request("GET", "/a", GET.fields)], [200], 1), (False, "arrived with a body of 0 bytes, not 4")),
        (Exchange([Request("GET", "/a", (*GET.fields, ("via", "w")), b"body")], [200], 1), (True, "arrived")),
    ],
)
def test_a_valid_request_must_arrive_the_same(seen: Exchange, told: tuple[bool, str]) -> None:
    assert as_pair(judge(VALID, seen)) == told


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (Exchange([], [400]), (True, "refused 400")),
        (Exchange([], [501]), (True, "refused 501")),
        (Exchange([GET], [200, 400], 1), (False, "1 arrived, the rest refused 400")),
        (Exchange([], [502]), (False, "answered 502")),
        (Exchange([GET], [200], 1), (False, "forwarded")),
        (Exchange([], [200]), (False, "answered 200")),
        (Exchange([], []), (True, "did not arrive")),
        (Exchange([GET], []), (False, "arrived, unanswered")),
    ],
)
def test_an_invalid_request_must_be_refused_and_not_arrive(seen: Exchange, told: tuple[bool, str]) -> None:
    assert as_pair(judge(INVALID, seen)) == told


def test_what_a_connection_field_lists_need_not_arrive_but_end_to_end_fields_must() -> None:
    request = Request("GET", "/", (("connection", "x-hop, cookie"), ("x-hop", "1"), ("cookie", "a=b")))
    assert request.end_to_end() == {"cookie": ["a=b"]}


def test_of_the_cache_tests_those_count_that_pass_without_a_proxy() -> None:
    found = http_cache_tests.outcomes({"a": True, "b": ["Setup", "no"], "c": True}, {"a", "b"})
    assert {test: as_pair(outcome) for test, outcome in found.items()} == {"a": (True, ""), "b": (False, "Setup: no")}


def test_of_pytests_report_the_skipped_do_not_count() -> None:
    found = requests_suite.outcomes(
        '<testsuites><testsuite><testcase classname="t.A" name="x"/><testcase classname="t.A" name="y">'
        '<failure message="assert 1&#10;more"/></testcase><testcase classname="t.A" name="z"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    assert {test: as_pair(outcome) for test, outcome in found.items()} == {
        "A::x": (True, ""),
        "A::y": (False, "assert 1"),
    }


def test_an_autobahn_case_passes_when_it_behaves_and_closes_well() -> None:
    found = autobahn.outcomes(
        {
            "10.1.1": {"behavior": "OK", "behaviorClose": "OK"},
            "2.1": {"behavior": "NON-STRICT", "behaviorClose": "WRONG CODE"},
        }
    )
    assert list(found) == ["2.1", "10.1.1"]
    assert [as_pair(outcome) for outcome in found.values()] == [(False, "NON-STRICT, closing WRONG CODE"), (True, "OK")]


def test_the_p99_is_that_of_the_answers_and_infinite_without_any() -> None:
    assert Asked([float(n) for n in range(100)]).p99_ms() == 99
    assert Asked([5.0]).p99_ms() == 5
    assert Asked().p99_ms() == math.inf


def test_a_second_without_service_is_counted() -> None:
    assert availability([{"Service Available": "500"}, {"Service Available": "0"}, {"Service Available": ""}]) == (1, 2)


def test_every_suite_says_what_it_measures() -> None:
    assert all(module.MEASURE.endswith(".") for module in (autobahn, gunicorn_corpus, http_cache_tests, requests_suite))
