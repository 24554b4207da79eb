"""What one process counts, and the text of `/metrics`.

With `PROMETHEUS_MULTIPROC_DIR` set before this module is first imported, each process counts into a file there and
`render` adds them all up; without it, a process renders its own.

What happens at each request is only added up in memory (a fraction of what the files cost) and written by `flush`,
which the beat calls: a worker that is killed takes the counts of its last 100 ms with it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from waitroom.meter import Meter

from .rooms import RoomFigures, room_families
from .series import BACKEND_SECONDS, STORE_SECONDS, Series
from .tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.metrics_core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def multiprocess_directory() -> str | None:
    """Return the directory that all processes count into, if there is one."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


class Metrics:
    """What one process counts. Every method is one fact; label values come from small fixed sets."""

    def __init__(self) -> None:
        self._series = Series()
        self.meter = Meter()
        self._pending_requests: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._pending_calls: dict[tuple[str, str], Tally] = {}
        self._pending_backend: dict[tuple[str, int], Tally] = {}

    def flush(self) -> None:
        """Write what was added up since the last time."""
        pending, self._pending_requests = self._pending_requests, defaultdict(int)
        for (room, outcome), count in pending.items():
            self._series.requests.labels(room, outcome).inc(count)
        for (verb, outcome), tally in self._pending_calls.items():
            self._series.store_call_seconds.labels(verb, outcome).take(tally)
        for (method, status), tally in self._pending_backend.items():
            self.meter.requests(status, tally.counts)
            self._series.backend_seconds.labels(method, f"{status}xx").take(tally)

    # What the gate tells.

    def requests(self, room: str, outcome: str) -> None:
        """Count a request of `room` (empty: of none)."""
        self._pending_requests[room, outcome] += 1

    def token_rejected(self, kind: str) -> None:
        self._series.tokens_rejected.labels(kind).inc()

    def pass_without_store(self, room: str) -> None:
        self._series.passes_without_store.labels(room).inc()

    def provisional(self, room: str) -> None:
        self._series.provisional.labels(room).inc()

    def released(self, room: str) -> None:
        self._series.released.labels(room).inc()

    def template_failed(self, room: str) -> None:
        self._series.template_failures.labels(room).inc()

    def captcha(self, room: str, outcome: str) -> None:
        """Count a response to a CAPTCHA: passed, refused, away or busy (`gateway.captcha.Outcome`)."""
        self._series.captchas.labels(room, outcome).inc()

    def wait_seconds(self, room: str, seconds: float) -> None:
        self._series.wait_seconds.labels(room).observe(seconds)
        self.meter.waited(room, seconds)

    def estimate(
        self, room: str, outcome: str, error_seconds: float, shown: tuple[int, int | None] | None = None
    ) -> None:
        """Count what became of a range shown in minutes: held, shorter, longer or unknown (`domain.outcome`)."""
        self.meter.told(room, outcome, shown)
        self._series.estimates.labels(room, outcome).inc()
        if error_seconds:
            self._series.estimate_error_seconds.labels(room).observe(error_seconds)

    # What the server's protocol tells.

    def refused(self, reason: str) -> None:
        self._series.refused.labels(reason).inc()

    # What the store's client tells.

    def store_call(self, verb: str, seconds: float, outcome: str) -> None:
        tally = self._pending_calls.get((verb, outcome))
        if tally is None:
            tally = self._pending_calls[verb, outcome] = Tally(STORE_SECONDS)
        tally.observe(seconds)

    def store_connecting(self) -> None:
        self._series.store_connections.inc()

    def breaker(self, *, opened: bool) -> None:
        self._series.breaker_open.set(1 if opened else 0)
        if opened:
            self._series.breaker_openings.inc()

    # What the beat tells.

    def beat_seconds(self, seconds: float) -> None:
        self._series.beat_seconds.observe(seconds)

    def beat_failures(self, room: str) -> None:
        self._series.beat_failures.labels(room).inc()

    # What the proxy tells.

    def request_finished(self, method: str, status: int, seconds: float) -> None:
        """Count a request that the site was asked; any unusual method counts as `other`."""
        key = method if method in METHODS else "other", status // 100
        tally = self._pending_backend.get(key)
        if tally is None:
            tally = self._pending_backend[key] = Tally(BACKEND_SECONDS)
        tally.observe(seconds)

    def request_repeated(self, method: str) -> None:
        self._series.backend_retries.inc()

    def backend_failed(self, kind: str, reason: str) -> None:
        self._series.backend_failures.labels(kind).inc()

    def connections_changed(self, count: int) -> None:
        self._series.backend_connections.set(count)

    def connection_awaited(self, seconds: float) -> None:
        self._series.pool_wait_seconds.observe(seconds)

    def tunnels_changed(self, count: int) -> None:
        self._series.tunnels.set(count)

    # What the admin listener tells.

    def admin_change(self, room: str, action: str) -> None:
        self._series.admin_changes.labels(room, action).inc()

    def admin_refusal(self, reason: str) -> None:
        self._series.admin_refusals.labels(reason).inc()

    def log_in(self, outcome: str) -> None:
        """`outcome`: fine, wrong, throttled."""
        self._series.log_ins.labels(outcome).inc()

    # What the supervisor tells.

    def child_restart(self, child: str) -> None:
        self._series.child_restarts.labels(child).inc()

    def reload(self, *, success: bool) -> None:
        self._series.reload_success.set(1 if success else 0)

    def up(self, role: str) -> None:
        """Say that this process serves as `role`; taken back when it dies."""
        self._series.processes.labels(role).set(1)

    # Reading.

    def render(self, rooms: Sequence[RoomFigures] = (), *, store_up: bool = True, version: str = "") -> bytes:
        """Return the text of `/metrics`: all processes' counts, and `rooms` as the store just counted them."""
        self.flush()
        shown = CollectorRegistry()
        directory = multiprocess_directory()
        if directory:
            MultiProcessCollector(shown, path=directory)  # type: ignore[no-untyped-call]
        else:
            shown.register(_Families(self._series.registry.collect()))
        shown.register(_Families(room_families(rooms, store_up=store_up, version=version)))
        return generate_latest(shown)

    def names(self) -> dict[str, str]:
        """Return name → sentence of every series, as documented."""
        families = [*self._series.registry.collect(), *room_families((), store_up=True, version="")]
        return {
            family.name + ("_total" if family.type == "counter" else ""): family.documentation for family in families
        }


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
