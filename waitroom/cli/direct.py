"""The operators' verbs straight on the store, for when no admin listener runs; they are asked as over the API."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .. import logs
from ..admin.places import BASE, PLACES
from ..admin.report.lines import told
from ..domain.audit import Author, Source
from ..errors import RoomUnknown, StoreUnavailable, VersionConflict, WaitroomError
from .outcome import CommandError, Exit, not_valid
from .verbs import LOOK_AGAIN, AdminAPI

if TYPE_CHECKING:
    from pathlib import Path

    from ..settings import Settings


class Direct(AdminAPI):
    """`AdminAPI` without a listener. Whoever may reach the store may do everything."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("the store", None)
        self._settings = settings

    def _fetch(self, method: str, path: str, body: Any, headers: dict[str, str], room: str) -> bytes:
        from ..admin.verbs import VERBS, Export, Mistaken, RoomState, Stale

        parts = urlsplit(path)
        name, where = _verb_at(method, parts.path)
        if self._settings.admin.token is None and ("account" in name or name == "invite"):
            raise CommandError("accounts need a Waitroom that runs: leave out --store", Exit.USAGE)
        given = dict(body or {}) | dict(parse_qsl(parts.query)) | where
        reason = given.pop("reason", None) or "" if VERBS[name].changes else ""
        version = headers.get("If-Match", "").strip('"')
        author = Author(f"{getpass.getuser()} on the command line", secrets.token_hex(8), Source.COMMAND_LINE, reason)
        on_room = given.pop("room", "") if VERBS[name].of_room else ""
        expected = int(version) if version else None
        try:
            answer = asyncio.run(self._perform(name, given, author, on_room, expected))
        except RoomUnknown:
            raise CommandError(self._unknown(on_room, self._names()), Exit.REFUSED) from None
        except StoreUnavailable as error:
            raise CommandError(f"the store did not answer: {error.reason}", Exit.FAILED) from None
        except Mistaken as error:
            raise CommandError(not_valid([*map(str, error.mistakes)]), Exit.REFUSED) from None
        except VersionConflict as error:
            since = error.since if isinstance(error, Stale) else []
            who = "".join(f"\n  {told(asdict(line))}" for line in since)
            raise CommandError(
                f"the room is at version {error.current}{who}\n{LOOK_AGAIN}",
                Exit.REFUSED,
            ) from None
        except WaitroomError as error:
            raise CommandError(error.public, Exit.REFUSED) from None
        if isinstance(answer, Export):
            return answer.text.encode()
        return json.dumps(answer.as_json() if isinstance(answer, RoomState) else answer).encode()

    async def _perform(
        self, name: str, given: dict[str, Any], author: Author, room: str, expected_version: int | None
    ) -> Any:
        from ..assembly import open_verbs

        logs.configure(level="error", style="text")
        verbs = await open_verbs(self._settings)
        try:
            return await verbs.perform(name, given, author, room=room, expected_version=expected_version)
        finally:
            await verbs.store.aclose()


def _verb_at(method: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the verb that a request means, and the arguments in its path."""
    for name, (its_method, its_path) in PLACES.items():
        match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", BASE + its_path), path)
        if match and its_method == method:
            return name, {key: unquote(text) for key, text in match.groupdict().items()}
    raise CommandError(f"{method} {path} is not for the store", Exit.USAGE)


def direct(data: Path) -> Direct:
    """Return the verbs on the store of the Waitroom that runs on `data`, or else of the configuration."""
    from ..configuration import load
    from ..datadir import Paths
    from ..handover import read_back

    running = Paths(data).settings
    if running.exists():
        return Direct(read_back(running))
    settings = load(None, {"data": str(data)}, os.environ, needs_backend=False).settings
    if settings.store.url == "embedded":
        raise CommandError(
            f"the embedded store runs with Waitroom only, and none runs on the data directory {data}.\n"
            "Start it with `waitroom serve`, or name a store of your own in the configuration.",
            Exit.UNREACHABLE,
        )
    return Direct(settings)
