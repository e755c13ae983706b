"""The metrics of a producer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from monitoring_core.result import CheckResult, Reason, Status

_LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one producer, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_kind: dict[tuple[Status, Reason | None], Counter] = {}
        self._checks = Counter("producer_checks", "Results.", ["status", "reason"], registry=self.registry)
        self._lag = Histogram(
            "producer_start_lag_seconds", "From due to started.", registry=self.registry, buckets=_LAG_BUCKETS
        )
        self._dropped = Counter("producer_results_dropped", "Results lost for want of room.", registry=self.registry)
        self._targets = self._gauge("producer_targets", "Targets worked.")
        self._invalid = self._gauge("producer_invalid_targets", "Targets of the range that cannot be checked.")
        self._waiting = self._gauge("producer_waiting_checks", "Checks that are due and wait for the engine.")
        self._running = self._gauge("producer_running_checks", "Checks in the engine.")
        self._unacknowledged = self._gauge("producer_results_unacknowledged", "Results on their way to Kafka.")
        self._id = self._gauge("producer_id", "The ID that this producer holds; 0 while it stands by.")
        self._unsaved = self._gauge("producer_results_unsaved", "Results on their way that no file holds yet.")
        self._network_down = self._gauge("producer_network_down", "1 while no canary answers.")
        self._since = self._gauge("producer_accounted_since_seconds", "Every slot from this moment is accounted for.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def observe(self, waiting: int, running: int, network_down: bool) -> None:
        """Record the lengths of the queues and the state of the network."""
        self._waiting.set(waiting)
        self._running.set(running)
        self._network_down.set(network_down)

    def assigned(self, targets: int, invalid: int) -> None:
        """Record how many targets the range holds, and how many of them cannot be checked."""
        self._targets.set(targets)
        self._invalid.set(invalid)

    def holds(self, producer_id: int | None) -> None:
        """Record the ID that is held."""
        self._id.set(producer_id or 0)

    def accounted_since(self, epoch_ms: int) -> None:
        """Record the moment from which on every slot is accounted for."""
        self._since.set(epoch_ms / 1000)

    def finished(self, result: CheckResult) -> None:
        """Count a result."""
        kind = result.status, result.reason
        counter = self._of_kind.get(kind)
        if counter is None:
            counter = self._of_kind[kind] = self._checks.labels(result.status, result.reason or "")
        counter.inc()
        if result.queue_delay_s is not None:
            self._lag.observe(result.queue_delay_s)

    def outbox(self, unacknowledged: int, unsaved: int) -> None:
        """Record how many results Kafka has not acknowledged, and how many of them are in memory alone."""
        self._unacknowledged.set(unacknowledged)
        self._unsaved.set(unsaved)

    def dropped(self, results: int) -> None:
        """Count results that were dropped and are lost."""
        self._dropped.inc(results)
