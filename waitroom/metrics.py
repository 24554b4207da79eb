"""Every Prometheus series, in one class.

Counted are facts of the gateway processes (`Metrics`) and, when somebody reads `/metrics`, the rooms as the store
counts them (`RoomFigures`). With `PROMETHEUS_MULTIPROC_DIR` set before this module is first imported, each process
counts into a file there and `render` adds them all up; without it, a process renders its own. No series has a label
that names or tells apart visitors.

What happens at each request is only added up in memory (a fraction of what the files cost) and written by `flush`,
which the beat calls: a worker that is killed takes the counts of its last 100 ms with it.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from .meter import Meter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter began is no fact about the shop

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_STORE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
_BACKEND_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ERROR_SECONDS: Final = (5, 15, 30, 60, 120, 300, 600, 1_200, 3_600)
_WAIT_SECONDS: Final = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400)


def multiprocess_directory() -> str | None:
    """Return the directory that all processes count into, if there is one."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


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


class _Sums(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, tally: _Tally) -> None:
        self._sum.inc(tally.total)
        for bucket, count in zip(self._buckets, tally.counts, strict=True):
            if count:
                bucket.inc(count)


class _Tally:
    """Observations that were not written yet."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.clear()

    def clear(self) -> None:
        self.counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Metrics:
    """What one process counts. Every method is one fact; label values come from small fixed sets."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._registry = own
        self._requests = Counter(
            "waitroom_requests_total", "Requests by what became of them.", ["room", "outcome"], registry=own
        )
        self._tokens_rejected = Counter(
            "waitroom_tokens_rejected_total", "Tokens that counted as none, by why.", ["kind"], registry=own
        )
        self._passes_without_store = Counter(
            "waitroom_passes_without_store_total",
            "Stale passes honoured because the store was away.",
            ["room"],
            registry=own,
        )
        self._provisional = Counter(
            "waitroom_provisional_places_total",
            "Places and passes given by a gateway alone while the store was away.",
            ["room"],
            registry=own,
        )
        self._released = Counter(
            "waitroom_backend_releases_total", "Sessions that an answer of the site ended.", ["room"], registry=own
        )
        self._template_failures = Counter(
            "waitroom_template_failures_total",
            "Times that a shop's own template failed and the default page was shown.",
            ["room"],
            registry=own,
        )
        self._captchas = Counter(
            "waitroom_captcha_total",
            "Responses to a CAPTCHA that newcomers brought, by what became of them.",
            ["room", "outcome"],
            registry=own,
        )
        self._wait_seconds = Histogram(
            "waitroom_wait_seconds",
            "How long visitors had waited when they entered.",
            ["room"],
            buckets=_WAIT_SECONDS,
            registry=own,
        )
        self._estimates = Counter(
            "waitroom_estimates_total",
            "Visitors who entered, by what became of the range of waiting time that they were told.",
            ["room", "outcome"],
            registry=own,
        )
        self._estimate_error_seconds = Histogram(
            "waitroom_estimate_error_seconds",
            "By how much waits were outside the range told, of those that were.",
            ["room"],
            buckets=_ERROR_SECONDS,
            registry=own,
        )
        self._refused = Counter(
            "waitroom_connections_refused_total",
            "Requests refused for their form or their slowness, by why.",
            ["reason"],
            registry=own,
        )
        self._store_call_seconds = _Sums(
            "waitroom_store_call_seconds",
            "Time of calls to the store, by verb and outcome.",
            ["verb", "outcome"],
            buckets=_STORE_SECONDS,
            registry=own,
        )
        self._store_connections = Counter(
            "waitroom_store_connections_total",
            "Connections opened to the store; it grows when connections are lost.",
            registry=own,
        )
        self._breaker_open = Gauge(
            "waitroom_store_breaker_open",
            "Processes whose breaker to the store is open.",
            multiprocess_mode="livesum",
            registry=own,
        )
        self._breaker_openings = Counter(
            "waitroom_store_breaker_openings_total", "Times that a breaker to the store opened.", registry=own
        )
        self._beat_seconds = Histogram(
            "waitroom_beat_seconds", "Time of one beat over all rooms.", buckets=_STORE_SECONDS, registry=own
        )
        self._beat_failures = Counter("waitroom_beat_failures_total", "Beats that failed.", ["room"], registry=own)
        self._backend_seconds = _Sums(
            "waitroom_backend_request_seconds",
            "Time of requests to the site until their answer ended, by method and class of status.",
            ["method", "status"],
            buckets=_BACKEND_SECONDS,
            registry=own,
        )
        self._backend_failures = Counter(
            "waitroom_backend_failures_total", "Requests that the site answered nothing usable to.", ["kind"],
            registry=own,
        )  # fmt: skip
        self._backend_retries = Counter(
            "waitroom_backend_retries_total", "Requests sent again after a reused connection had died.", registry=own
        )
        self._backend_connections = Gauge(
            "waitroom_backend_connections", "Open connections to the site.", multiprocess_mode="livesum", registry=own
        )
        self._tunnels = Gauge("waitroom_tunnels", "Open WebSockets.", multiprocess_mode="livesum", registry=own)
        self._pool_wait_seconds = Histogram(
            "waitroom_backend_pool_wait_seconds",
            "How long requests waited for a free connection to the site.",
            buckets=_STORE_SECONDS,
            registry=own,
        )
        self._admin_changes = Counter(
            "waitroom_admin_changes_total", "Changes made by operators.", ["room", "action"], registry=own
        )
        self._admin_refusals = Counter(
            "waitroom_admin_refusals_total", "Requests that the admin listener refused, by why.", ["reason"],
            registry=own,
        )  # fmt: skip
        self._log_ins = Counter(
            "waitroom_admin_log_ins_total", "Log-ins to the console, by outcome.", ["outcome"], registry=own
        )
        self._child_restarts = Counter(
            "waitroom_child_restarts_total", "Processes started again after they died.", ["child"], registry=own
        )
        self._reload_success = Gauge(
            "waitroom_config_last_reload_success",
            "1 when the configuration was read without a mistake the last time, otherwise 0.",
            multiprocess_mode="mostrecent",
            registry=own,
        )
        self._processes = Gauge(
            "waitroom_processes",
            "Processes that are up, by role.",
            ["role"],
            multiprocess_mode="livesum",
            registry=own,
        )
        self.meter = Meter()
        self._pending_requests: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._pending_calls: dict[tuple[str, str], _Tally] = {}
        self._pending_backend: dict[tuple[str, int], _Tally] = {}

    def flush(self) -> None:
        """Write what was added up since the last time."""
        pending, self._pending_requests = self._pending_requests, defaultdict(int)
        for (room, outcome), count in pending.items():
            self._requests.labels(room, outcome).inc(count)
        for (verb, outcome), tally in self._pending_calls.items():
            _write(self._store_call_seconds.labels(verb, outcome), tally)
        for (method, status), tally in self._pending_backend.items():
            self.meter.requests(status, tally.counts)
            _write(self._backend_seconds.labels(method, f"{status}xx"), tally)

    # What the gate tells.

    def requests(self, room: str, outcome: str) -> None:
        """Count a request of `room` (empty: of none)."""
        self._pending_requests[room, outcome] += 1

    def token_rejected(self, kind: str) -> None:
        self._tokens_rejected.labels(kind).inc()

    def pass_without_store(self, room: str) -> None:
        self._passes_without_store.labels(room).inc()

    def provisional(self, room: str) -> None:
        self._provisional.labels(room).inc()

    def released(self, room: str) -> None:
        self._released.labels(room).inc()

    def template_failed(self, room: str) -> None:
        self._template_failures.labels(room).inc()

    def captcha(self, room: str, outcome: str) -> None:
        """Count a response to a CAPTCHA: passed, refused, away or busy (`gateway.captcha.Outcome`)."""
        self._captchas.labels(room, outcome).inc()

    def wait_seconds(self, room: str, seconds: float) -> None:
        self._wait_seconds.labels(room).observe(seconds)
        self.meter.waited(room, seconds)

    def estimate(
        self, room: str, outcome: str, error_seconds: float, shown: tuple[int, int | None] | None = None
    ) -> None:
        """Count what became of a range shown in minutes: held, shorter, longer or unknown (`domain.outcome`)."""
        self.meter.told(room, outcome, shown)
        self._estimates.labels(room, outcome).inc()
        if error_seconds:
            self._estimate_error_seconds.labels(room).observe(error_seconds)

    # What the server's protocol tells.

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    # What the store's client tells.

    def store_call(self, verb: str, seconds: float, outcome: str) -> None:
        tally = self._pending_calls.get((verb, outcome))
        if tally is None:
            tally = self._pending_calls[verb, outcome] = _Tally(_STORE_SECONDS)
        tally.observe(seconds)

    def store_connecting(self) -> None:
        self._store_connections.inc()

    def breaker(self, *, opened: bool) -> None:
        self._breaker_open.set(1 if opened else 0)
        if opened:
            self._breaker_openings.inc()

    # What the beat tells.

    def beat_seconds(self, seconds: float) -> None:
        self._beat_seconds.observe(seconds)

    def beat_failures(self, room: str) -> None:
        self._beat_failures.labels(room).inc()

    # What the proxy tells.

    def request_finished(self, method: str, status: int, seconds: float) -> None:
        """Count a request that the site was asked; any unusual method counts as `other`."""
        key = method if method in METHODS else "other", status // 100
        tally = self._pending_backend.get(key)
        if tally is None:
            tally = self._pending_backend[key] = _Tally(_BACKEND_SECONDS)
        tally.observe(seconds)

    def request_repeated(self, method: str) -> None:
        self._backend_retries.inc()

    def backend_failed(self, kind: str, reason: str) -> None:
        self._backend_failures.labels(kind).inc()

    def connections_changed(self, count: int) -> None:
        self._backend_connections.set(count)

    def connection_awaited(self, seconds: float) -> None:
        self._pool_wait_seconds.observe(seconds)

    def tunnels_changed(self, count: int) -> None:
        self._tunnels.set(count)

    # What the admin listener tells.

    def admin_change(self, room: str, action: str) -> None:
        self._admin_changes.labels(room, action).inc()

    def admin_refusal(self, reason: str) -> None:
        self._admin_refusals.labels(reason).inc()

    def log_in(self, outcome: str) -> None:
        """`outcome`: fine, wrong, throttled."""
        self._log_ins.labels(outcome).inc()

    # What the supervisor tells.

    def child_restart(self, child: str) -> None:
        self._child_restarts.labels(child).inc()

    def reload(self, *, success: bool) -> None:
        self._reload_success.set(1 if success else 0)

    def up(self, role: str) -> None:
        """Say that this process serves as `role`; taken back when it dies."""
        self._processes.labels(role).set(1)

    # Reading.

    def render(self, rooms: Sequence[RoomFigures] = (), *, store_up: bool = True, version: str = "") -> bytes:
        """Return the text of `/metrics`: all processes' counts, and `rooms` as the store just counted them."""
        self.flush()
        shown = CollectorRegistry()
        directory = multiprocess_directory()
        if directory:
            MultiProcessCollector(shown, path=directory)  # type: ignore[no-untyped-call]
        else:
            shown.register(_Families(self._registry.collect()))
        shown.register(_Families(room_families(rooms, store_up=store_up, version=version)))
        return generate_latest(shown)

    def names(self) -> dict[str, str]:
        """Return name → sentence of every series, as documented."""
        families = [*self._registry.collect(), *room_families((), store_up=True, version="")]
        return {
            family.name + ("_total" if family.type == "counter" else ""): family.documentation for family in families
        }


def _write(series: _Sums, tally: _Tally) -> None:
    if any(tally.counts):
        series.add(tally)
        tally.clear()


def forget_process(pid: int) -> None:
    """Take back what a process that died said of its present state; what it counted stays."""
    directory = multiprocess_directory()
    if directory:
        mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]


class _Families(Collector):
    """Hands ready families to a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._ready = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._ready


def room_families(rooms: Sequence[RoomFigures], *, store_up: bool, version: str) -> list[Metric]:
    """Return the series of the rooms' state, of the store, and of the build."""
    visitors = GaugeMetricFamily("waitroom_room_visitors", "Visitors of a room, by state.", labels=["room", "state"])
    mode = GaugeMetricFamily("waitroom_room_mode", "1 for the mode that a room is in.", labels=["room", "mode"])
    rate = GaugeMetricFamily(
        "waitroom_room_rate_limit", "Visitors admitted per minute at most; absent without a limit.", labels=["room"]
    )
    capacity = GaugeMetricFamily(
        "waitroom_room_capacity_limit", "Active sessions at most; absent without a limit.", labels=["room"]
    )
    entries = GaugeMetricFamily(
        "waitroom_room_entries_last_minute", "Visitors who entered in the last 60 s.", labels=["room"]
    )
    reserved = GaugeMetricFamily(
        "waitroom_room_reserved_slots", "Slots kept for sessions that the store forgot.", labels=["room"]
    )
    recovering = GaugeMetricFamily(
        "waitroom_room_recovering_seconds", "How long a room still recovers from a loss.", labels=["room"]
    )
    missed = GaugeMetricFamily(
        "waitroom_room_missed_ratio", "Share of called visitors who did not come lately.", labels=["room"]
    )
    idle = GaugeMetricFamily(
        "waitroom_room_idle_longest_seconds",
        "Longest time in which somebody waited, the limits had room, and nobody was called.",
        labels=["room"],
    )
    pending = GaugeMetricFamily(
        "waitroom_room_pending_gateways",
        "Gateway processes that do not run the newest version of a room yet.",
        labels=["room"],
    )
    totals = {
        event: CounterMetricFamily(f"waitroom_room_{event}", sentence, labels=["room"])
        for event, sentence in ROOM_TOTALS.items()
    }
    for room in rooms:
        for state, count in room.visitors.items():
            visitors.add_metric([room.name, state], count)
        for one in MODES:
            mode.add_metric([room.name, one], 1 if one == room.mode else 0)
        if room.rate is not None:
            rate.add_metric([room.name], room.rate)
        if room.capacity is not None:
            capacity.add_metric([room.name], room.capacity)
        entries.add_metric([room.name], room.entries)
        reserved.add_metric([room.name], room.reserved)
        recovering.add_metric([room.name], room.recovering_seconds)
        missed.add_metric([room.name], room.missed_share)
        idle.add_metric([room.name], room.idle_seconds)
        pending.add_metric([room.name], room.pending_gateways)
        for event, family in totals.items():
            family.add_metric([room.name], room.totals[event])
    up = GaugeMetricFamily("waitroom_store_up", "1 when the store answers the admin listener, otherwise 0.")
    up.add_metric([], 1 if store_up else 0)
    build = GaugeMetricFamily("waitroom_build_info", "Always 1; the version is in the label.", labels=["version"])
    build.add_metric([version], 1)
    return [
        visitors,
        mode,
        rate,
        capacity,
        entries,
        reserved,
        recovering,
        missed,
        idle,
        pending,
        *totals.values(),
        up,
        build,
    ]
