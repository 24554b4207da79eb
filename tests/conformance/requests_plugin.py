"""A pytest plugin for the tests of `requests`: their httpbin is the one at CONFORMANCE_URL, and only tests that use it run.

It runs in a venv that knows nothing of Waitroom. Below `requests`, where it does not see it, each request to that httpbin
gets the cookie of a visitor who is in: CONFORMANCE_COOKIE.
"""

from __future__ import annotations

import importlib
import os
from types import SimpleNamespace
from typing import Any

import pytest

_POOL: Any = importlib.import_module("urllib3.connectionpool").HTTPConnectionPool
_urlopen = _POOL.urlopen


def _with_cookie(pool: Any, method: str, url: str, *arguments: Any, **named: Any) -> Any:
    if str(pool.port) == os.environ["CONFORMANCE_URL"].rsplit(":", 1)[1] and "headers" in named:
        headers = dict(named["headers"])
        cookies = [headers.pop("Cookie", None), os.environ["CONFORMANCE_COOKIE"]]
        named["headers"] = headers | {"Cookie": "; ".join(filter(None, cookies))}
    return _urlopen(pool, method, url, *arguments, **named)


_POOL.urlopen = _with_cookie


@pytest.fixture
def httpbin() -> SimpleNamespace:
    """Stand in for pytest-httpbin's fixture of this name."""
    return SimpleNamespace(url=os.environ["CONFORMANCE_URL"])


@pytest.fixture
def httpbin_both(httpbin: SimpleNamespace) -> SimpleNamespace:
    """Be what others call it."""
    return httpbin


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what does not go through the proxy, and TLS, which is the front's job."""
    wanted = [item for item in items if "httpbin" in item.fixturenames and "httpbin_secure" not in item.fixturenames]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted
