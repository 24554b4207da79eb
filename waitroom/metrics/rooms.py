"""The series of the rooms as the store counts them, of the store, and of the build, made at each reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric


@dataclass(frozen=True, slots=True)
class RoomFigures:
    """A room as the store counts it, for one reading of `/metrics`. A limit of None is no limit."""

    name: str
    mode: str
    rate: int | None
    capacity: int | None
    visitors: Mapping[str, int]
    """By state: waiting, called, missed, active."""
    entries: int
    reserved: int
    recovering_seconds: float
    missed_share: float
    idle_seconds: float
    totals: Mapping[str, int]
    """By event, the keys of `ROOM_TOTALS`."""
    pending_gateways: int = 0


ROOM_TOTALS: Final = {
    "joined": "Visitors who got a place in the queue.",
    "called": "Visitors whose turn came.",
    "admitted": "Visitors who entered.",
    "missed": "Called visitors who did not come in time.",
    "returned": "Visitors put back by their token: missed turns that came back, and places the store had lost.",
    "left": "Visitors who left the queue.",
    "released": "Sessions that the site ended.",
    "ended": "Sessions that ran out.",
}
MODES: Final = ("on", "paused", "closed", "off")

_GAUGES: Final[tuple[tuple[str, str, Callable[[RoomFigures], float | None]], ...]] = (
    ("rate_limit", "Visitors admitted per minute at most; absent without a limit.", lambda room: room.rate),
    ("capacity_limit", "Active sessions at most; absent without a limit.", lambda room: room.capacity),
    ("entries_last_minute", "Visitors who entered in the last 60 s.", lambda room: room.entries),
    ("reserved_slots", "Slots kept for sessions that the store forgot.", lambda room: room.reserved),
    ("recovering_seconds", "How long a room still recovers from a loss.", lambda room: room.recovering_seconds),
    ("missed_ratio", "Share of called visitors who did not come lately.", lambda room: room.missed_share),
    (
        "idle_longest_seconds",
        "Longest time in which somebody waited, the limits had room, and nobody was called.",
        lambda room: room.idle_seconds,
    ),
    (
        "pending_gateways",
        "Gateway processes that do not run the newest version of a room yet.",
        lambda room: room.pending_gateways,
    ),
)
"""Name behind `waitroom_room_` → sentence → value; a value of None is left out."""


def room_families(rooms: Sequence[RoomFigures], *, store_up: bool, version: str) -> list[Metric]:
    """Return the series."""
    visitors = GaugeMetricFamily("waitroom_room_visitors", "Visitors of a room, by state.", labels=["room", "state"])
    mode = GaugeMetricFamily("waitroom_room_mode", "1 for the mode that a room is in.", labels=["room", "mode"])
    for room in rooms:
        for state, count in room.visitors.items():
            visitors.add_metric([room.name, state], count)
        for one in MODES:
            mode.add_metric([room.name, one], 1 if one == room.mode else 0)
    families: list[Metric] = [visitors, mode]
    for name, sentence, value_of in _GAUGES:
        gauge = GaugeMetricFamily(f"waitroom_room_{name}", sentence, labels=["room"])
        for room in rooms:
            if (value := value_of(room)) is not None:
                gauge.add_metric([room.name], value)
        families.append(gauge)
    for event, sentence in ROOM_TOTALS.items():
        total = CounterMetricFamily(f"waitroom_room_{event}", sentence, labels=["room"])
        for room in rooms:
            total.add_metric([room.name], room.totals[event])
        families.append(total)
    up = GaugeMetricFamily("waitroom_store_up", "1 when the store answers the admin listener, otherwise 0.")
    up.add_metric([], 1 if store_up else 0)
    build = GaugeMetricFamily("waitroom_build_info", "Always 1; the version is in the label.", labels=["version"])
    build.add_metric([version], 1)
    return [*families, up, build]
