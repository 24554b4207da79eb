"""Room: what a protected part of a site matches, its limits, its lifetimes, its mode, and what makes one valid."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_METHOD = re.compile(r"[A-Z]{3,10}")
BURST_SECONDS = 10
"""How many seconds' worth of visitors may enter at once while nobody waits, unless the room says otherwise."""


class Mode(StrEnum):
    """What a room does with visitors who have no pass."""

    ON = "on"
    PAUSED = "paused"
    CLOSED = "closed"
    OFF = "off"


def check_name(name: str) -> str:
    """Return `name` when it can name a room: it goes into cookies, keys and URLs as it is."""
    if not _NAME.fullmatch(name):
        raise ValueError("a room's name has 1 to 40 lower-case letters, digits and hyphens, no hyphen at the ends")
    return name


def check_pattern(pattern: str) -> str:
    """Return `pattern` when it reads as `[METHOD ](host/path* | /path*)`."""
    method, space, rest = pattern.rpartition(" ")
    if space and not _METHOD.fullmatch(method):
        raise ValueError(f"{pattern!r}: before the space stands a method in capitals, such as 'POST /cart*'")
    host, slash, path = rest.partition("/")
    if not slash:
        raise ValueError(f"{pattern!r}: a pattern is 'host/path*' or '/path*'; write '{rest}/*' for a whole host")
    if "*" in path[:-1] or "*" in host[1:] or (host.startswith("*") and not host.startswith("*.")):
        raise ValueError(f"{pattern!r}: '*' may stand at the end of the path, or before the host as '*.'")
    if "?" in path or "#" in path:
        raise ValueError(f"{pattern!r}: a pattern matches host and path, never the query")
    return pattern


def _limit_or_none(value: Any) -> Any:
    return None if value in ("none", "") else value


Limit = Annotated[int | None, BeforeValidator(_limit_or_none)]
Pattern = Annotated[str, AfterValidator(check_pattern)]


class Room(BaseModel):
    """A protected part of a site. Frozen; equal rooms are the same room."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    name: Annotated[str, AfterValidator(check_name)] = Field(
        description="Names the room in cookies, keys, URLs and metrics."
    )
    match: tuple[Pattern, ...] = Field(
        default=("/*",),
        min_length=1,
        description="What the room protects: `host/path*` or `/path*`, optionally `METHOD ` in front.",
    )
    bypass: tuple[Pattern, ...] = Field(
        default=(), description="What never needs a pass although it matches, in the same form."
    )
    rate: Limit = Field(
        default=None,
        ge=0,
        le=10_000_000,
        description="Visitors admitted per minute; 0 admits nobody, `none` means no limit.",
    )
    capacity: Limit = Field(
        default=None, ge=0, le=10_000_000, description="Active sessions at once; `none` means no limit."
    )
    burst: Limit = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Visitors who may enter at once while nobody waits; by default ten seconds' worth of the rate.",
    )
    session_seconds: int = Field(
        default=600,
        ge=1,
        le=86_400,
        description="How long a session lasts after its start or, when sliding, its last renewal.",
    )
    renew: Literal["sliding", "fixed"] = Field(
        default="sliding",
        description="Whether shopping on prolongs the session (`sliding`) or not (`fixed`).",
    )
    refresh_seconds: int = Field(
        default=30, ge=1, le=3_600, description="How old a pass may be before the store is asked again."
    )
    claim_seconds: int = Field(default=120, ge=1, le=3_600, description="How long a called visitor's slot is held.")
    hold_minutes: int = Field(
        default=30,
        ge=0,
        le=1_440,
        description="How long the place of a visitor who missed their turn is kept at the front.",
    )
    mode: Mode = Field(
        default=Mode.ON,
        description="`on`, `paused` (places kept, nobody enters), `closed` (nobody joins) or `off` (everyone passes).",
    )
    on_store_loss: Literal["hold", "admit"] = Field(
        default="hold",
        description="What newcomers get while the store is away: a provisional place (`hold`) or the site (`admit`).",
    )
    waiting_status: Literal[200, 202, 429, 503] = Field(
        default=200, description="HTTP status of the waiting page for people who navigate."
    )

    @model_validator(mode="after")
    def _lifetimes_agree(self) -> Self:
        if self.refresh_seconds > self.session_seconds:
            raise ValueError(
                f"refresh_seconds ({self.refresh_seconds}) must not exceed session_seconds ({self.session_seconds})"
            )
        return self

    @property
    def burst_visitors(self) -> int:
        """The burst in force: as set, or ten seconds' worth of the rate, at least 1."""
        if self.burst is not None:
            return self.burst
        return max(1, (self.rate or 0) * BURST_SECONDS // 60)

    def changed(self, changes: dict[str, Any]) -> Room:
        """Return the room with `changes` applied and validated; raises `pydantic.ValidationError`."""
        return Room.model_validate(self.model_dump() | changes)


LIVE_FIELDS: tuple[str, ...] = (
    "rate", "capacity", "burst", "session_seconds", "renew", "refresh_seconds", "claim_seconds",
    "hold_minutes", "mode", "on_store_loss", "waiting_status",
)  # fmt: skip
"""What operators may change live. Their values live in the store and win over the file's."""
