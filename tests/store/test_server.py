"""From a URL to a server: where it is, how it is greeted, what is trusted."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.store.scripted import echo, scripted
from waitroom.errors import StartError
from waitroom.store.client import OneServer
from waitroom.store.connect import open_client
from waitroom.store.server import Server, parse

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", Server()),
        ("redis://store", Server(host="store")),
        ("redis://store:7000/3", Server(host="store", port=7000, db=3)),
        ("redis://store?db=4", Server(host="store", db=4)),
        ("redis://[::1]:7000", Server(host="::1", port=7000)),
        ("redis://:pa%2Fss@store", Server(host="store", password="pa/ss")),
        ("redis://ada:pa%40ss@store/1", Server(host="store", db=1, username="ada", password="pa@ss")),
        ("unix:///run/a%20b/store.sock", Server(path="/run/a b/store.sock")),
        ("unix://ada:pass@/run/store.sock?db=2", Server(path="/run/store.sock", db=2, username="ada", password="pass")),
    ],
)
async def test_a_url_says_where_the_server_is_and_who_asks(url: str, expected: Server) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://store", "must begin with redis://, rediss://, unix://, or be 'embedded'"),
        ("redis://:secret/x@store", "cannot be read"),
        ("redis://store:secret", "cannot be read"),
        ("redis://store/secret", "cannot be read"),
        ("redis://store?secret", "cannot be read"),
        ("redis://store?secret=1", "has an option that is none of db, ssl_ca_certs"),
        ("rediss://store?ssl_cert_reqs=secret", "ssl_cert_reqs is 'required' or 'none'"),
        ("rediss://store?ssl_ca_certs=/nowhere.pem", "ssl_ca_certs=/nowhere.pem cannot be used: [Errno 2]"),
    ],
)
async def test_a_url_that_cannot_be_used_is_told_without_what_may_be_secret(url: str, told: str) -> None:
    with pytest.raises(StartError) as refused:
        parse(url)
    assert told in refused.value.reason
    assert "secret" not in refused.value.reason


async def test_a_server_never_shows_its_password() -> None:
    server = parse("redis://ada:secret@store")
    assert "secret" not in f"{server} {server!r}"


async def test_tls_trusts_a_known_certificate_of_that_host_unless_told_otherwise() -> None:
    def trust(options: str) -> tuple[bool, ssl.VerifyMode]:
        tls = parse(f"rediss://store{options}").tls
        assert tls is not None
        return tls.check_hostname, tls.verify_mode

    assert trust("") == (True, ssl.CERT_REQUIRED)
    assert trust("?ssl_check_hostname=false") == (False, ssl.CERT_REQUIRED)
    assert trust("?ssl_cert_reqs=none") == (False, ssl.CERT_NONE)
    assert parse("redis://store").tls is None


async def ask(url: str) -> bytes:
    client = open_client(url, deadline_ms=5_000)
    try:
        answer: bytes = await client.command("ECHO", "hello")
        return answer
    finally:
        await client.aclose()


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
        client = open_client(f"unix://ada:pa%2Fss@{path}?db=3", deadline_ms=5_000)
        assert await client.command("ACL", "WHOAMI") == b"ada"
        assert b" db=3 " in await client.command("CLIENT", "INFO")
        await client.aclose()

        wrong = OneServer(Server(path=path, username="ada", password="wrong"), deadline_seconds=5)
        with pytest.raises(ConnectionError, match="WRONGPASS"):
            await wrong.command("ACL", "WHOAMI")
        await wrong.aclose()
    finally:
        await admin.command("ACL", "DELUSER", "ada")
        await admin.aclose()


async def test_a_real_server_that_requires_a_password_takes_it(valkey_url: str) -> None:
    admin = open_client(valkey_url, deadline_ms=5_000)
    await admin.command("CONFIG", "SET", "requirepass", "pass")
    try:
        path = valkey_url.removeprefix("unix://")
        client = open_client(f"unix://:pass@{path}", deadline_ms=5_000)
        assert await client.command("PING", "hello") == b"hello"
        await client.aclose()
    finally:
        await admin.command("CONFIG", "SET", "requirepass", "")
        await admin.aclose()
