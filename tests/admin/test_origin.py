"""Who may use the admin listener."""

from __future__ import annotations

import pytest

from waitroom.admin.access.origin import from_elsewhere, host_is_ours


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8081", True),
        ("10.1.2.3", True),
        ("[::1]:8081", True),
        ("localhost:8081", True),
        ("LOCALHOST", True),
        ("waitroom:8081", True),
        ("waitroom_admin:8081", True),
        ("waitroom.shop.svc:8081", True),
        ("waitroom.shop.svc.cluster.local", True),
        ("box.internal", True),
        ("admin.shop.example:8081", True),
        ("Admin.Shop.Example.", True),
        ("evil.example", False),
        ("evil.example:8081", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example#.local", False),
        ("user@localhost", False),
        ("localhost/x", False),
        ("localhost, evil.example", False),
        ("localhost:port", False),
        (":8081", False),
        ("[::1", False),
        ("-", False),
        ("", False),
        (None, False),
    ],
)
def test_a_public_name_pointed_here_is_not_ours(host: str | None, expected: bool) -> None:
    assert host_is_ours(host, "admin.shop.example") is expected


@pytest.mark.parametrize(
    ("origin", "fetch_site", "expected"),
    [
        (None, None, False),
        (None, "none", False),
        ("http://localhost:8081", "same-origin", False),
        ("http://LOCALHOST:8081", None, False),
        ("http://localhost:3000", None, True),
        ("null", None, True),
        (None, "cross-site", True),
        (None, "same-site", True),
        ("https://evil.example", "cross-site", True),
    ],
)
def test_pages_of_other_origins_are_elsewhere(origin: str | None, fetch_site: str | None, expected: bool) -> None:
    assert from_elsewhere(origin, fetch_site, "localhost:8081") is expected
    assert from_elsewhere("http://x", None, None)
