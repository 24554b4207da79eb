"""From a URL to a server: where it is, how it is greeted, what is trusted."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from tests.store.scripted import echo, scripted
from waitroom.errors import StartError
from waitroom.store.client import OneServer
from waitroom.store.connect import open_client
from waitroom.store.server import Server, servers_of
from waitroom.store.url import read

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def test_a_server_never_shows_its_password() -> None:
    (server,) = servers_of(read("redis://ada:secret@store"))
    assert "secret" not in f"{server} {server!r}"


def test_tls_trusts_a_known_certificate_of_that_host_unless_told_otherwise() -> None:
    def trust(options: str) -> tuple[bool, ssl.VerifyMode]:
        tls = servers_of(read(f"rediss://store{options}"))[0].tls
        assert tls is not None
        return tls.check_hostname, tls.verify_mode

    assert trust("") == (True, ssl.CERT_REQUIRED)
    assert trust("?ssl_check_hostname=false") == (False, ssl.CERT_REQUIRED)
    assert trust("?ssl_cert_reqs=none") == (False, ssl.CERT_NONE)
    assert servers_of(read("redis://store"))[0].tls is None


def test_a_certificate_that_cannot_be_used_is_named() -> None:
    with pytest.raises(StartError, match=r"ssl_ca_certs=/nowhere.pem cannot be used: \[Errno 2\]"):
        open_client("rediss://store?ssl_ca_certs=/nowhere.pem", deadline_ms=1)


async def ask(url: str) -> bytes:
    async with aclosing(open_client(url, deadline_ms=5_000)) as client:
        answer: bytes = await client.command("ECHO", "hello")
        return answer


async def test_a_server_is_reached_over_tcp() -> None:
    async with scripted() as (server, port):
        server.answers = echo
        assert await ask(f"redis://127.0.0.1:{port}/2") == b"hello"
        assert server.greeted[0] == [b"SELECT", b"2"]


async def test_a_server_is_reached_over_tls_when_its_certificate_is_trusted(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    certificate, private_key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", private_key, "-out", certificate,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, private_key)
    async with scripted(tls=tls) as (server, port):
        server.answers = echo
        mutual = f"&ssl_certfile={certificate}&ssl_keyfile={private_key}"
        assert await ask(f"rediss://localhost:{port}?ssl_ca_certs={certificate}{mutual}") == b"hello"
        assert await ask(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none") == b"hello"
        for untrusted in (f"rediss://localhost:{port}", f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"):
            with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await ask(untrusted)


async def test_a_real_server_takes_the_user_the_password_and_the_database(valkey_url: str) -> None:
    admin = open_client(valkey_url, deadline_ms=5_000)
    await admin.command("ACL", "SETUSER", "ada", "on", ">pa/ss", "~*", "+@all")
    path = valkey_url.removeprefix("unix://")
    try:
        async with aclosing(open_client(f"unix://ada:pa%2Fss@{path}?db=3", deadline_ms=5_000)) as client:
            assert await client.command("ACL", "WHOAMI") == b"ada"
            assert b" db=3 " in await client.command("CLIENT", "INFO")

        unknown = Server(path=path, username="ada", password="wrong")
        async with aclosing(OneServer(unknown, deadline_seconds=5)) as wrong:
            with pytest.raises(ConnectionError, match="WRONGPASS"):
                await wrong.command("ACL", "WHOAMI")
    finally:
        await admin.command("ACL", "DELUSER", "ada")
        await admin.aclose()


async def test_a_real_server_that_requires_a_password_takes_it(valkey_url: str) -> None:
    admin = open_client(valkey_url, deadline_ms=5_000)
    await admin.command("CONFIG", "SET", "requirepass", "pass")
    try:
        path = valkey_url.removeprefix("unix://")
        async with aclosing(open_client(f"unix://:pass@{path}", deadline_ms=5_000)) as client:
            assert await client.command("PING", "hello") == b"hello"
    finally:
        await admin.command("CONFIG", "SET", "requirepass", "")
        await admin.aclose()
