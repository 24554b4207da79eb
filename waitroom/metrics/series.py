"""Every series that processes count: its name, what it says and its labels. No label tells visitors apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from .tally import Sums

if TYPE_CHECKING:
    from collections.abc import Sequence

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter began is no fact about the shop

STORE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
BACKEND_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ERROR_SECONDS: Final = (5, 15, 30, 60, 120, 300, 600, 1_200, 3_600)
_WAIT_SECONDS: Final = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400)


class Series:
    """The series of one process. Names have `waitroom_` in front."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests_total", "Requests by what became of them.", "room", "outcome")
        self.tokens_rejected = self._counter("tokens_rejected_total", "Tokens that counted as none, by why.", "kind")
        self.passes_without_store = self._counter(
            "passes_without_store_total", "Stale passes honoured because the store was away.", "room"
        )
        self.provisional = self._counter(
            "provisional_places_total", "Places and passes given by a gateway alone while the store was away.", "room"
        )
        self.released = self._counter("backend_releases_total", "Sessions that an answer of the site ended.", "room")
        self.template_failures = self._counter(
            "template_failures_total", "Times that a shop's own template failed and the default page was shown.", "room"
        )
        self.captchas = self._counter(
            "captcha_total", "Responses to a CAPTCHA that newcomers brought, by what became of them.", "room", "outcome"
        )
        self.wait_seconds = self._histogram(
            "wait_seconds", "How long visitors had waited when they entered.", "room", buckets=_WAIT_SECONDS
        )
        self.estimates = self._counter(
            "estimates_total",
            "Visitors who entered, by what became of the range of waiting time that they were told.",
            "room",
            "outcome",
        )
        self.estimate_error_seconds = self._histogram(
            "estimate_error_seconds",
            "By how much waits were outside the range told, of those that were.",
            "room",
            buckets=_ERROR_SECONDS,
        )
        self.refused = self._counter(
            "connections_refused_total", "Requests refused for their form or their slowness, by why.", "reason"
        )
        self.store_call_seconds = self._sums(
            "store_call_seconds",
            "Time of calls to the store, by verb and outcome.",
            "verb",
            "outcome",
            buckets=STORE_SECONDS,
        )
        self.store_connections = self._counter(
            "store_connections_total", "Connections opened to the store; it grows when connections are lost."
        )
        self.breaker_open = self._gauge("store_breaker_open", "Processes whose breaker to the store is open.")
        self.breaker_openings = self._counter(
            "store_breaker_openings_total", "Times that a breaker to the store opened."
        )
        self.beat_seconds = self._histogram("beat_seconds", "Time of one beat over all rooms.", buckets=STORE_SECONDS)
        self.beat_failures = self._counter("beat_failures_total", "Beats that failed.", "room")
        self.backend_seconds = self._sums(
            "backend_request_seconds",
            "Time of requests to the site until their answer ended, by method and class of status.",
            "method",
            "status",
            buckets=BACKEND_SECONDS,
        )
        self.backend_failures = self._counter(
            "backend_failures_total", "Requests that the site answered nothing usable to.", "kind"
        )
        self.backend_retries = self._counter(
            "backend_retries_total", "Requests sent again after a reused connection had died."
        )
        self.backend_connections = self._gauge("backend_connections", "Open connections to the site.")
        self.tunnels = self._gauge("tunnels", "Open WebSockets.")
        self.pool_wait_seconds = self._histogram(
            "backend_pool_wait_seconds",
            "How long requests waited for a free connection to the site.",
            buckets=STORE_SECONDS,
        )
        self.admin_changes = self._counter("admin_changes_total", "Changes made by operators.", "room", "action")
        self.admin_refusals = self._counter(
            "admin_refusals_total", "Requests that the admin listener refused, by why.", "reason"
        )
        self.log_ins = self._counter("admin_log_ins_total", "Log-ins to the console, by outcome.", "outcome")
        self.child_restarts = self._counter("child_restarts_total", "Processes started again after they died.", "child")
        self.reload_success = self._gauge(
            "config_last_reload_success",
            "1 when the configuration was read without a mistake the last time, otherwise 0.",
            mode="mostrecent",
        )
        self.processes = self._gauge("processes", "Processes that are up, by role.", "role")

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(f"waitroom_{name}", sentence, labels, registry=self.registry)

    def _gauge(
        self, name: str, sentence: str, *labels: str, mode: Literal["livesum", "mostrecent"] = "livesum"
    ) -> Gauge:
        return Gauge(f"waitroom_{name}", sentence, labels, multiprocess_mode=mode, registry=self.registry)

    def _histogram(self, name: str, sentence: str, *labels: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"waitroom_{name}", sentence, labels, buckets=buckets, registry=self.registry)

    def _sums(self, name: str, sentence: str, *labels: str, buckets: Sequence[float]) -> Sums:
        return Sums(f"waitroom_{name}", sentence, labels, buckets=buckets, registry=self.registry)
