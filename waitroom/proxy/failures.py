"""What can go wrong between the proxy and the backend, as exceptions with a short name for the metric.

BackendError (waitroom.errors)
├── Unreachable       502  no connection: refused, no such name, TLS not verified
├── Vanished          502  the connection ended before the answer did; only this one may lead to a repeat
├── BadAnswer         502  the bytes are not an HTTP answer that is safe to pass on
├── ResponseBroken         the answer broke off after the visitor had seen its head
├── ClientGone        499  the visitor left; nobody reads what is said now
├── BackendBusy       503  no connection became free in time (waitroom.errors)
└── BackendTimeout    504  no byte, or no connection, in time (waitroom.errors)
"""

from __future__ import annotations

from waitroom.errors import BackendBusy, BackendError, BackendTimeout

CLIENT_CLOSED_REQUEST = 499
"""Never sent; what metrics call a request whose visitor left before the end of the answer."""


class Unreachable(BackendError):
    public = "The shop cannot be reached at the moment."


class Vanished(BackendError):
    public = "The shop ended the connection before it had answered."


class BadAnswer(BackendError):
    public = "The shop gave an answer that cannot be passed on safely."


class ResponseBroken(BackendError):
    """Raised out of the ASGI app so that the server cuts the visitor's connection: never a clean end.

    `quiet` tells the server that this is no bug of ours and wants no traceback.
    """

    quiet = True


class ClientGone(BackendError):
    status = CLIENT_CLOSED_REQUEST


_KINDS: tuple[tuple[type[BackendError], str], ...] = (
    (Unreachable, "unreachable"),
    (Vanished, "vanished"),
    (BadAnswer, "bad_answer"),
    (ResponseBroken, "broken"),
    (BackendBusy, "busy"),
    (BackendTimeout, "timeout"),
)
KINDS = tuple(kind for _, kind in _KINDS)


def kind_of(error: BackendError) -> str:
    """The name of a failure in metrics: one of KINDS."""
    return next((kind for cls, kind in _KINDS if isinstance(error, cls)), "vanished")
