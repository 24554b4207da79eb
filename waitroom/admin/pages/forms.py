"""What a form sent: a few short fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from waitroom.errors import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

LIMIT_BYTES: Final = 65_536
_FIELDS: Final = 200


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a form, the last of each name; raises `Refused` for what is no form or too large.

    Browsers send a line break as CR and LF; here it is LF.
    """
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LIMIT_BYTES:
            raise Refused(f"the form is larger than {LIMIT_BYTES} bytes", status=413)
    if not raw:
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused("send the form as application/x-www-form-urlencoded", status=415)
    try:
        fields = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise Refused("the form cannot be read") from None
    return {name: value.replace("\r\n", "\n") for name, value in fields}


def local(target: str) -> str:
    """Return `target` when it is a path of this listener, otherwise the first page: nobody is sent elsewhere."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if plain and target.isprintable() and "\\" not in target else "/"
