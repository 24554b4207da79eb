"""The preview of a room's page for those who have a signed link: it gives no place and no pass, and asks no store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waitroom.errors import TokenRejected

from .problems import plain_problem
from .whole import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from waitroom.store.base import Store
    from waitroom.tokens import Tokens

    from .page.preview import Preview


class PreviewEndpoint:
    """`preview` of every room."""

    def __init__(self, store: Store, tokens: Tokens, preview: Preview) -> None:
        self._store = store
        self._tokens = tokens
        self._preview = preview

    async def show(self, request: Request) -> Response:
        """Serve the page in one state (`?page&state&lang`), or the page on which these are chosen."""
        room = self._store.record(request.path_params["room"]).room
        asked = request.query_params
        token, view, tag = asked.get("token", ""), asked.get("state", ""), asked.get("lang", "") or room.language
        now_ms = self._store.now_ms()
        try:
            self._tokens.check_preview(token, room.name, now_ms)
        except TokenRejected:
            detail = "The link is wrong or has ended. `waitroom preview --link` makes a new one."
            return answer(403, *plain_problem(403, "No preview", detail))
        if "page" not in asked:
            return answer(200, *self._preview.controls(room, token=token, view=view, tag=tag))
        found = self._preview.view(room, view, tag, now_ms, scheme=asked.get("scheme", ""), banner=True)
        if found is None:
            return answer(404, *plain_problem(404, "No such preview", "There is no such state or language."))
        return answer(200, *found)
