"""What goes into a verb and what comes out, whichever face it was called from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from waitroom.domain.admission import limiting
from waitroom.errors import Mistake, Refused, VersionConflict
from waitroom.mistakes import details, field_at, in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from waitroom.domain.audit import AuditLine, Author
    from waitroom.domain.room import Room
    from waitroom.domain.uptake import Uptake
    from waitroom.domain.visit import Census


class Arguments(BaseModel):
    """What a verb is told besides the room. Its fields are the API's and the command line's."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Call(Generic[A]):
    """One call of a verb: on which room (empty: on none), told what, by whom, and seen at which version."""

    room: str
    arguments: A
    author: Author
    expected_version: int | None = None


class Mistaken(Refused):
    """Arguments that cannot be; `mistakes` holds all that is wrong."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(str(mistake) for mistake in mistakes), status=422)
        self.mistakes = mistakes


class Stale(VersionConflict):
    """A change to a room that somebody changed meanwhile; `since` says who did what, oldest first."""

    def __init__(self, current: int, since: Sequence[AuditLine]) -> None:
        super().__init__(current)
        self.since = list(since)


@dataclass(frozen=True, slots=True)
class RoomState:
    """A room as operators see it."""

    name: str
    version: int
    room: Room
    live: Mapping[str, Any]
    census: Census | None
    """None while the store is away and nothing was heard yet."""
    store_available: bool
    uptake: Uptake | None = None
    """How far the newest version is taken up by the gateways; None while the store does not say."""

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "mode": self.room.mode.value,
            "room": self.room.model_dump(mode="json"),
            "live": dict(self.live),
            "rate_now": self.room.rate if self.census is None else self.room.rate_at(self.census.now_ms),
            "census": None if self.census is None else asdict(self.census),
            "limiting": None if self.census is None else limiting(self.room, self.census).value,
            "store_available": self.store_available,
            "gateways": None
            if self.uptake is None
            else {"running": self.uptake.gateways, "pending": list(self.uptake.pending)},
        }


def read_arguments(model: type[A], given: Mapping[str, Any]) -> A:
    """Return what a verb is told; raises `Mistaken` with every mistake in `given`."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Mistaken(mistakes_of(error, model)) from None


def mistakes_of(error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    """Return what pydantic found wrong with a `model`, in the words of the house."""
    return [
        Mistake(".".join(map(str, detail["loc"])) or "room", *in_words(detail, field_at(model, detail["loc"])))
        for detail in details(error)
    ]
