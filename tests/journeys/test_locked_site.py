"""A real nginx locked as docs/operating.md says: it answers to Waitroom, and to nobody who comes past it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.journeys.stage import serving, write_config
from tests.journeys.witness import PERSON, ask
from tests.proxy.wire_nginx import running_nginx
from tests.store.farm import free_ports

pytestmark = [pytest.mark.anyio, pytest.mark.journey]

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
SECRET = "a-long-secret-of-your-own"
SHOP = """
  server {{
    listen 127.0.0.1:{port};
    {lock}
    add_header Waitroom-Echo $http_waitroom_secret;
    return 200 "the shop";
  }}
"""


async def test_a_site_that_wants_the_secret_answers_through_waitroom_alone(tmp_path: Path) -> None:
    (site_port,) = free_ports(1)
    (lock,) = re.findall(r"```nginx\n(.*?)```", OPERATING.read_text("utf-8"), re.DOTALL)
    config = write_config(
        tmp_path, backend=f"http://127.0.0.1:{site_port}", gateway=f'backend_secret = "{SECRET}"', match=["/sale*"], capacity=1
    )  # fmt: skip
    with running_nginx(tmp_path, SHOP.format(port=site_port, lock=lock), listening=tmp_path / "nginx.pid"):
        with serving(config, tmp_path) as running:
            for path in ("/", "/sale"):
                for said in ((), ("waitroom-secret: a-guess", "waitroom_secret: a-guess")):
                    assert (await ask(site_port, path, *PERSON, *said)).status == 403
                    answer = await ask(running.port, path, *PERSON, *said)
                    if path == "/" or not said:
                        assert (answer.status, answer.body) == (200, b"the shop")
                    else:
                        assert b"You are in the queue" in answer.body, "the room is full"
                    assert SECRET not in str(answer.headers)
            assert SECRET not in running.log.read_text()
        assert (await ask(site_port, "/", *PERSON)).status == 403, "without the gateway the shop is closed"
