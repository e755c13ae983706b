"""The metrics of alert-svc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from alert_svc import __version__
from monitoring_runtime.registry import service_registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitoring_alerting.transition import Transition


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = service_registry("alert", __version__)
        self._results = Counter(
            "alert_results", "Messages, by what became of them.", ["outcome"], registry=self.registry
        )
        # A series that begins at its first event hides that event from `rate`.
        for outcome in ("taken", "bad", "unknown", "ahead", "misplaced"):
            self._results.labels(outcome)
        self._transitions = Counter(
            "alert_transitions", "Transitions that were stored, by state.", ["state"], registry=self.registry
        )
        self._lag = Gauge(
            "alert_lag", "Messages not yet decided, by assigned partition.", ["partition"], registry=self.registry
        )
        self.late = Counter(
            "alert_late_results", "Late results that would have changed history.", registry=self.registry
        )
        self.outages = Counter("alert_outages", "Failed tries to read or store.", registry=self.registry)
        self.takeovers = Counter("alert_takeovers", "Partitions that were taken over.", registry=self.registry)
        self.lost = Counter("alert_lost_partitions", "Partitions that another process took.", registry=self.registry)
        self.store_seconds = Histogram("alert_store_seconds", "Time to store a step.", registry=self.registry)
        self.snapshot_seconds = Histogram(
            "alert_snapshot_seconds", "Time to store a step with a snapshot.", registry=self.registry
        )
        self.faulty_policies = Gauge(
            "alert_faulty_policies", "1 while the file of policies cannot be used.", registry=self.registry
        )

    def results(self, outcome: str, number: int = 1) -> None:
        """Count messages: taken, bad, unknown, ahead or misplaced."""
        if number:
            self._results.labels(outcome).inc(number)

    def transitions(self, transitions: Iterable[Transition]) -> None:
        """Count transitions that were stored."""
        for transition in transitions:
            self._transitions.labels(str(transition.state)).inc()

    def lag(self, lag: Mapping[int, int]) -> None:
        """Show the lag of the partitions assigned now, and of no others."""
        self._lag.clear()
        for partition, messages in lag.items():
            self._lag.labels(str(partition)).set(messages)
