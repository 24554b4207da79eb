"""Room: what a protected part of a site matches, its limits, its lifetimes, its mode, and what makes one valid."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from .look import check_colour, check_language, check_link, check_words
from .message import check_texts, read_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def read_moment(value: Any) -> Any:
    """Return the moment that `value` writes, None for none; raises ValueError when its distance to UTC is missing."""
    if value in (None, "none", ""):
        return None
    example = "such as 2026-11-27T10:00:00+01:00"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no date and time, {example}") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"{str(value)!r} must be a date and time with its distance to UTC, {example}")
    return value


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


Limit = Annotated[int | None, BeforeValidator(_limit_or_none)]
Pattern = Annotated[str, AfterValidator(check_pattern)]
Moment = Annotated[datetime | None, BeforeValidator(read_moment)]
Message = Annotated[dict[str, str], BeforeValidator(read_texts), AfterValidator(check_texts)]
Words = Annotated[dict[str, dict[str, Any]], AfterValidator(check_words)]
Colour = Annotated[str, AfterValidator(check_colour)]
Link = Annotated[str, AfterValidator(check_link)]


class Ramp(BaseModel):
    """How the rate grows or falls to what the room says: evenly, from `start_rate` at `starts_at` until `ends_at`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_rate: int = Field(ge=0, le=10_000_000)
    starts_at: Moment
    ends_at: Moment

    @model_validator(mode="after")
    def _it_takes_time(self) -> Self:
        if self.start_ms >= self.end_ms:
            raise ValueError("a ramp's ends_at must be later than its starts_at")
        return self

    @property
    def start_ms(self) -> int:
        """When it begins, in ms of the store's time."""
        return _milliseconds(self.starts_at) or 0

    @property
    def end_ms(self) -> int:
        """When the room's rate is reached, in ms of the store's time."""
        return _milliseconds(self.ends_at) or 0

    def rate_at(self, rate: int, now_ms: int) -> int:
        """Return the rate in force on the way to `rate`, in whole visitors per minute (`store/lua/lib/ramp.lua`)."""
        if now_ms >= self.end_ms:
            return rate
        if now_ms <= self.start_ms:
            return self.start_rate
        return self.start_rate + (rate - self.start_rate) * (now_ms - self.start_ms) // (self.end_ms - self.start_ms)


def wrong_in(error: ValidationError) -> list[tuple[str, str]]:
    """Return of each thing that pydantic found where it is ("" for the whole) and what, in the words of the house."""
    return [
        (
            ".".join(map(str, one["loc"])),
            one["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1),
        )
        for one in error.errors()
    ]


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
    ramp: Annotated[Ramp | None, BeforeValidator(_limit_or_none)] = Field(
        default=None,
        description="How the rate is reached: evenly from `start_rate` at `starts_at` until `ends_at`.",
        json_schema_extra={"form": 'a table of `start_rate`, `starts_at` and `ends_at`, or "none"'},
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
    joins_per_network: Limit = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Newcomers a minute from one client address or network; `none` means no limit.",
    )
    challenge: Literal["off", "over_rate", "always"] = Field(
        default="off",
        description="Whether browsers do some work before they join: `off`, while more join than `rate`, `always`.",
    )
    captcha: Literal["off", "over_rate", "always"] = Field(
        default="off",
        description="Whether people pass the CAPTCHA of `[captcha]` in place of that work; said in the same words.",
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
    front_limit: int = Field(
        default=50,
        ge=0,
        le=10_000,
        description="How many visitors operators may put back at the front of the queue each day (UTC).",
    )
    presets: dict[str, dict[str, Any]] = Field(
        default={},
        description="Named sets of live settings that operators put in force by name.",
        json_schema_extra={"form": "a table of name → setting → value"},
    )
    on_store_loss: Literal["hold", "admit"] = Field(
        default="hold",
        description="What newcomers get while the store is away: a provisional place (`hold`) or the site (`admit`).",
    )
    closed_as: Literal["closed", "ended", "full", "maintenance"] = Field(
        default="closed", description="What the page says of a closed room, and why nobody joins."
    )
    opens_at: Moment = Field(
        default=None, description="Until then people may join but nobody enters, and the page counts down."
    )
    message: Message = Field(
        default={}, description="What the page says to those who wait, for all or by language; empty for nothing."
    )
    message_until: Moment = Field(default=None, description="Until when the message is shown.")
    poll_budget: int = Field(
        default=1_000, ge=1, le=1_000_000, description="Requests a second that all waiting pages together may make."
    )
    waiting_status: Literal[200, 202, 429, 503] = Field(
        default=200, description="HTTP status of the waiting page for people who navigate."
    )
    crawler_status: Literal[200, 503] = Field(
        default=503, description="HTTP status for known crawlers and link previews; they never get a place."
    )
    language: Annotated[str, AfterValidator(check_language)] = Field(
        default="en", description="The page's language for visitors whose own is not there."
    )
    words: Words = Field(
        default={}, description="Words of the page in place of its own, by language and key (see languages.md)."
    )
    shop_name: str = Field(default="", max_length=80, description="The shop's name, as the page says it.")
    logo: str = Field(default="", description="File with the shop's logo: SVG, PNG or WebP, at most 8 kB.")
    colour: Colour = Field(default="", description="Colour of buttons and progress, `#rrggbb`.")
    background: Colour = Field(default="", description="Background of the page in the light theme, `#rrggbb`.")
    home_url: Link = Field(default="", description="Where the page links to for the shop's home.")
    info_url: Link = Field(default="", description="Where the page links to for more about a closed or full room.")
    template: str = Field(default="", description="File with a page of the shop's own in place of the default.")
    sound: bool = Field(default=True, description="Whether the page offers a sound at the visitor's turn.")

    @model_validator(mode="after")
    def _lifetimes_agree(self) -> Self:
        if self.refresh_seconds > self.session_seconds:
            raise ValueError(
                f"refresh_seconds ({self.refresh_seconds}) must not exceed session_seconds ({self.session_seconds})"
            )
        return self

    @model_validator(mode="after")
    def _a_ramp_leads_to_a_rate(self) -> Self:
        if self.ramp is not None and self.rate is None:
            raise ValueError("a ramp needs a rate that it leads to; this room has none")
        return self

    @model_validator(mode="after")
    def _presets_can_be_put_in_force(self) -> Self:
        for name, changes in self.presets.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"preset {name!r}: its name has 1 to 40 lower-case letters, digits and hyphens")
            if not changes:
                raise ValueError(f"preset {name!r} sets nothing")
            if wrong := sorted(set(changes) - set(PRESET_FIELDS)):
                raise ValueError(f"preset {name!r}: cannot be in a preset: {', '.join(wrong)}")
            try:
                self.changed({"presets": {}, **changes})
            except ValidationError as error:
                told = "; ".join(f"{where} {what}".strip() for where, what in wrong_in(error))
                raise ValueError(f"preset {name!r}: {told}") from None
        return self

    def rate_at(self, now_ms: int) -> int | None:
        """Return the rate in force at a moment of the store's time; None without a limit."""
        if self.ramp is None or self.rate is None:
            return self.rate
        return self.ramp.rate_at(self.rate, now_ms)

    @property
    def burst_visitors(self) -> int:
        """The burst in force: as set, or ten seconds' worth of the rate, at least 1."""
        if self.burst is not None:
            return self.burst
        return max(1, (self.rate or 0) * BURST_SECONDS // 60)

    @property
    def opens_ms(self) -> int | None:
        """When the room opens, in ms of the store's time; None when it is not to wait for a moment."""
        return _milliseconds(self.opens_at)

    @property
    def message_until_ms(self) -> int | None:
        """Until when the message is shown, in ms of the store's time; None for as long as it stands."""
        return _milliseconds(self.message_until)

    def mode_at(self, now_ms: int) -> Mode:
        """The mode in force: before it opens, a room stands as if it were paused."""
        before = self.opens_ms is not None and now_ms < self.opens_ms
        return Mode.PAUSED if before and self.mode is Mode.ON else self.mode

    def changed(self, changes: dict[str, Any]) -> Room:
        """Return the room with `changes` applied and validated; raises `pydantic.ValidationError`."""
        return Room.model_validate(self.model_dump() | changes)


LIVE_FIELDS: tuple[str, ...] = (
    "rate", "ramp", "capacity", "burst", "joins_per_network", "challenge", "captcha", "session_seconds", "renew",
    "refresh_seconds", "claim_seconds", "hold_minutes", "mode", "on_store_loss", "closed_as", "opens_at", "message",
    "message_until", "poll_budget", "waiting_status", "crawler_status", "language", "shop_name", "colour", "background",
    "home_url", "info_url", "sound", "presets",
)  # fmt: skip
"""What operators may change live. Their values live in the store and win over the file's."""

PRESET_FIELDS: tuple[str, ...] = tuple(name for name in LIVE_FIELDS if name not in {"ramp", "presets"})
"""What a preset may set."""


def known_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `settings` that a room has in this version: another that runs beside it may have written more."""
    return {name: value for name, value in settings.items() if name in Room.model_fields}
