"""Templates → pages with the headers that each of them has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import HTMLResponse

from waitroom.static_files import static_path

if TYPE_CHECKING:
    from waitroom.domain.access import Caller

    from .assets import Assets

SECURITY_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Pages:
    """Renders the templates of static/console/."""

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            loader=FunctionLoader(lambda name: static_path(f"console/{name}").read_text(encoding="utf-8")),
        )
        self._environment.globals["asset"] = assets.url

    def show(
        self,
        template: str,
        *,
        caller: Caller | None = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
        **facts: Any,
    ) -> HTMLResponse:
        """Return a page; `caller` is who is named in its head."""
        text = self._environment.get_template(template).render(caller=caller, **facts)
        return HTMLResponse(text, status, headers=SECURITY_HEADERS | (headers or {}))
