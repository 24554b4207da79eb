"""httpbin as gunicorn loads it: with two names that Werkzeug has dropped, and with bodies that gunicorn takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import werkzeug.http
from werkzeug.datastructures import Authorization, WWWAuthenticate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Response


def set_digest(
    challenge: WWWAuthenticate, realm: str, nonce: str, *, qop: Iterable[str], opaque: str, algorithm: str
) -> None:
    """Fill in a digest challenge, as Werkzeug before 3.0 did."""
    challenge.parameters.update(
        {"realm": realm, "nonce": nonce, "qop": ", ".join(qop), "opaque": opaque, "algorithm": algorithm}
    )


def give_back(holder: Any, name: str, value: Any) -> None:
    """Set what is missing; what is there stays."""
    if not hasattr(holder, name):
        setattr(holder, name, value)


give_back(werkzeug.http, "parse_authorization_header", Authorization.from_header)
give_back(WWWAuthenticate, "set_digest", set_digest)

from httpbin.core import app  # noqa: E402  # it looks for them when it is imported


@app.after_request
def in_bytes(response: Response) -> Response:
    """Make of a bytearray what WSGI demands."""
    if response.is_sequence:
        response.set_data(response.get_data())
    return response


__all__ = ["app"]
