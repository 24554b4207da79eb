"""Every form of a store's URL, and what is said of one that is none."""

from __future__ import annotations

import pytest

from waitroom.cli.values import without_password
from waitroom.errors import StartError
from waitroom.store.connect import open_client
from waitroom.store.url import StoreURL, read

THREE = (("a", 1), ("b", 26379), ("::1", 3))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://store", StoreURL("server", (("store", 6379),))),
        ("redis://store:7000/3", StoreURL("server", (("store", 7000),), db=3)),
        ("redis://store?db=4", StoreURL("server", (("store", 6379),), db=4, options={"db": "4"})),
        ("redis://[::1]:7000", StoreURL("server", (("::1", 7000),))),
        ("redis://:pa%2Fss@store", StoreURL("server", (("store", 6379),), password="pa/ss")),
        ("rediss://ada:pa%40ss@s/1", StoreURL("server", (("s", 6379),), tls=True, db=1, username="ada", password="pa@ss")),
        ("unix:///run/a%20b/store.sock", StoreURL("server", path="/run/a b/store.sock")),
        (
            "unix://ada:pass@/run/s?db=2",
            StoreURL("server", path="/run/s", db=2, username="ada", password="pass", options={"db": "2"}),
        ),
        ("redis+sentinel://a:1,b,[::1]:3/shop", StoreURL("sentinel", THREE, name="shop")),
        (
            "rediss+sentinel://ada:p%2Cw@a/my%20shop/2?sentinel_password=x",
            StoreURL(
                "sentinel", (("a", 26379),), name="my shop", db=2, tls=True, username="ada", password="p,w",
                options={"sentinel_password": "x"},
            ),
        ),
        ("redis+cluster://a,b:2", StoreURL("cluster", (("a", 6379), ("b", 2)))),
        ("rediss+cluster://:pw@a/0", StoreURL("cluster", (("a", 6379),), tls=True, password="pw")),
    ],
)  # fmt: skip
def test_a_url_says_where_the_store_is_and_who_asks(url: str, expected: StoreURL) -> None:
    assert read(url) == expected


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://store", "begins with 'redis://', 'rediss://', 'unix://', 'redis+sentinel://'"),
        ("secret:6379", "not with 'secret'"),
        ("redis://", "names no host and port: 'redis://host:6379/0'"),
        ("redis://:secret/x@store", "cannot be read"),
        ("redis://store:secret", "cannot be read"),
        ("redis://store:70000", "names no host and port"),
        ("redis://store/secret", "stands the number of its database"),
        ("redis://store?secret", "no 'option=value'"),
        ("redis://store?secret=1", "has an option that is none of db, ssl_ca_certs"),
        ("redis://store?sentinel_password=secret", "has an option that is none of"),
        ("rediss://store?ssl_cert_reqs=secret", "ssl_cert_reqs is 'required' or 'none'"),
        ("unix://secret/run/s", "is 'unix:///path/to/socket'"),
        ("redis://:secret@a,b", "several are 'redis+sentinel://' or 'redis+cluster://'"),
        ("redis+sentinel://:secret@a,b", "stands the name of the master"),
        ("redis+sentinel://:secret@a,b/shop/x", "stands the number of its database"),
        ("redis+sentinel://:secret@a,,b/shop", "names no host and port"),
        ("redis+cluster://:secret@a,b/1", "a cluster has no numbered databases"),
        ("redis+cluster://:secret@a,b:x", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_what_may_be_secret(url: str, told: str) -> None:
    with pytest.raises(StartError) as refused:
        open_client(url, deadline_ms=1)
    assert told in refused.value.reason
    assert "secret" not in refused.value.reason or url.startswith("secret:")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://ada:secret@h:1/0", "redis://ada:********@h:1/0"),
        ("redis+sentinel://:secret@a,[::1]:2/shop?sentinel_password=secret", "redis+sentinel://:********@a,[::1]:2/shop?********"),
        ("unix:///run/store.sock", "unix:///run/store.sock"),
        ("redis+cluster://ada@a,b", "redis+cluster://ada@a,b"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert "secret" not in repr(read(url))
