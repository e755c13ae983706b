"""The metrics of a producer."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from monitoring_core.result import Reason, Status
from monitoring_runtime.registry import service_registry
from producer_svc import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from monitoring_core.result import CheckResult

_LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_GAUGES = {
    "producer_targets": "Targets worked.",
    "producer_invalid_targets": "Targets of the range that cannot be checked.",
    "producer_waiting_checks": "Checks that are due and wait for the engine.",
    "producer_running_checks": "Checks in the engine.",
    "producer_results_unacknowledged": "Results on their way to Kafka.",
    "producer_id": "The ID that this producer holds; 0 while it stands by.",
    "producer_results_unsaved": "Results on their way that no file holds yet.",
    "producer_network_down": "1 while no canary answers.",
    "producer_accounted_since_seconds": "Every slot from this moment is accounted for.",
}


class Metrics(Collector):
    """The metrics of one producer, in a registry of their own.

    Plain numbers, which become metrics when somebody asks for them: the counters of prometheus_client cost more than
    all else that the loop does with a result.

    Attributes:
        ids_needed: as many IDs as the active targets need; None while this producer does not know.
    """

    def __init__(self) -> None:
        self.registry = service_registry("producer", __version__)
        # A series that begins at its first event hides that event from `rate`.
        self._checks: dict[tuple[Status, Reason | None], int] = {
            (Status.UP, None): 0,
            (Status.UNKNOWN, Reason.MISSED_WINDOW): 0,
        }
        self._lags = [0] * (len(_LAG_BUCKETS) + 1)
        self._lag_sum_s = 0.0
        self._dropped = 0
        self._gauges = dict.fromkeys(_GAUGES, 0.0)
        self.ids_needed: int | None = None
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment; the registry calls it, in any thread."""
        checks = CounterMetricFamily("producer_checks", "Results.", labels=["status", "reason"])
        for (status, reason), count in self._checks.copy().items():
            checks.add_metric([status, reason or ""], count)
        yield checks
        lags, below, buckets = self._lags.copy(), 0, []
        for bound, count in zip((*map(str, _LAG_BUCKETS), "+Inf"), lags, strict=True):
            below += count
            buckets.append((bound, float(below)))
        yield HistogramMetricFamily(
            "producer_start_lag_seconds", "From due to started.", buckets=buckets, sum_value=self._lag_sum_s
        )
        yield CounterMetricFamily("producer_results_dropped", "Results lost for want of room.", value=self._dropped)
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(name, text, value=self._gauges[name])
        yield GaugeMetricFamily("producer_ids_needed", "IDs that the active targets need.", value=self.ids_needed)

    def observe(self, waiting: int, running: int, network_down: bool) -> None:
        """Record the lengths of the queues and the state of the network."""
        gauges = self._gauges
        gauges["producer_waiting_checks"] = waiting
        gauges["producer_running_checks"] = running
        gauges["producer_network_down"] = network_down

    def assigned(self, targets: int, invalid: int) -> None:
        """Record how many targets the range holds, and how many of them cannot be checked."""
        self._gauges["producer_targets"] = targets
        self._gauges["producer_invalid_targets"] = invalid

    def holds(self, producer_id: int | None) -> None:
        """Record the ID that is held."""
        self._gauges["producer_id"] = producer_id or 0

    def accounted_since(self, epoch_ms: int) -> None:
        """Record the moment from which on every slot is accounted for."""
        self._gauges["producer_accounted_since_seconds"] = epoch_ms / 1000

    def finished(self, result: CheckResult) -> None:
        """Count a result."""
        kind = result.status, result.reason
        self._checks[kind] = self._checks.get(kind, 0) + 1
        if (lag_s := result.queue_delay_s) is not None:
            self._lags[bisect_left(_LAG_BUCKETS, lag_s)] += 1
            self._lag_sum_s += lag_s

    def outbox(self, unacknowledged: int, unsaved: int) -> None:
        """Record how many results Kafka has not acknowledged, and how many of them are in memory alone."""
        self._gauges["producer_results_unacknowledged"] = unacknowledged
        self._gauges["producer_results_unsaved"] = unsaved

    def dropped(self, results: int) -> None:
        """Count results that were dropped and are lost."""
        self._dropped += results
