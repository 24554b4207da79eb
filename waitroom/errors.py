"""Every exception of Waitroom, in one tree.

    WaitroomError
    ├── ConfigurationError      a file, variable or flag is wrong; carries every mistake at once
    ├── StartError              a part cannot start here (port taken, data directory in use)
    ├── RoomUnknown             404  no room of that name
    ├── StoreError
    │   ├── StoreUnavailable    503  no answer in time, or the breaker is open
    │   └── VersionConflict     412  somebody else changed the room meanwhile
    ├── ServiceUnavailable           a service elsewhere gave no usable answer in time
    ├── TokenRejected                a token that counts as none; `kind` says why, for the metric
    ├── Refused                 4xx  an operator's or an app's request that cannot be carried out
    └── BackendError            502  the site answered nothing usable
        ├── BackendBusy         503  every connection to the site is in use
        └── BackendTimeout      504  the site did not answer in time

`public` is what the person who asked may read; `reason` is for the log and may name hosts and paths, never a
token, a cookie or an address of a visitor.
"""

from __future__ import annotations

from dataclasses import dataclass


class WaitroomError(Exception):
    """Base of the tree. `status` is the HTTP status where the error ends a request."""

    status = 500
    public = "Something went wrong on our side."

    def __init__(self, reason: str, *, public: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        if public is not None:
            self.public = public


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in the configuration: where, what, and what is allowed."""

    where: str
    what: str
    allowed: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.allowed})" if self.allowed else "")


class ConfigurationError(WaitroomError):
    """The configuration cannot be used; `mistakes` holds all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class StartError(WaitroomError):
    """A part cannot start: the message says which, why, and what to do."""


class RoomUnknown(WaitroomError):
    status = 404
    public = "There is no room of that name."


class StoreError(WaitroomError):
    status = 503
    public = "The queue cannot be reached at the moment."


class StoreUnavailable(StoreError):
    """The store did not answer in time, refused, or the breaker is open."""


class VersionConflict(StoreError):
    """A compare-and-set lost: `current` is the version that stands."""

    status = 412
    public = "Somebody else changed this room meanwhile."

    def __init__(self, current: int) -> None:
        super().__init__(f"the room is at version {current}")
        self.current = current


class ServiceUnavailable(WaitroomError):
    """A service elsewhere, not the site, gave no usable answer in time."""


class TokenRejected(WaitroomError):
    """A token that counts as none. `kind`: oversized, malformed, forged, version, expired, foreign."""

    status = 401

    def __init__(self, kind: str) -> None:
        super().__init__(f"token rejected: {kind}")
        self.kind = kind


class Refused(WaitroomError):
    """A request that cannot be carried out as asked."""

    status = 400

    def __init__(self, reason: str, *, status: int = 400) -> None:
        super().__init__(reason, public=reason)
        self.status = status


class BackendError(WaitroomError):
    status = 502
    public = "The shop gave no usable answer."


class BackendBusy(BackendError):
    status = 503
    public = "The shop is very busy."


class BackendTimeout(BackendError):
    status = 504
    public = "The shop did not answer in time."
