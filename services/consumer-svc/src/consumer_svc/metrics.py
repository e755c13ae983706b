"""The metrics of a consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from consumer_svc import __version__
from consumer_svc.ports import REASONS
from monitoring_runtime.registry import service_registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumer_svc.places import Gap
    from consumer_svc.ports import Poison, WriteCounts


class Metrics:
    """The metrics of one consumer, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = service_registry("consumer", __version__)
        self._rows = Counter("consumer_rows", "Results, by what became of them.", ["kind"], registry=self.registry)
        self._dead = Counter("consumer_dead_letters", "Messages sent there.", ["reason"], registry=self.registry)
        # A series that begins at its first event hides that event from `rate`.
        for kind in ("stored", "replaced", "duplicate"):
            self._rows.labels(kind)
        for reason in REASONS:
            self._dead.labels(reason)
        self._totals = dict.fromkeys(("stored", "replaced", "duplicates", "dead_letters"), 0)
        self._lag = Gauge(
            "consumer_lag", "Messages not yet committed, by assigned partition.", ["partition"], registry=self.registry
        )
        self._gaps = Counter(
            "consumer_gaps", "Times that Kafka no longer had messages.", ["reason"], registry=self.registry
        )
        for reason in ("expired", "missing", "set_back", "topic_replaced"):
            self._gaps.labels(reason)
        self._missing = Counter(
            "consumer_missing_messages", "Messages that Kafka no longer had.", registry=self.registry
        )
        self.outages = Counter("consumer_outages", "Failed tries to write.", registry=self.registry)
        self.write_seconds = Histogram("consumer_write_seconds", "Time to write a batch.", registry=self.registry)
        self._batch = Histogram(
            "consumer_batch_rows", "Size of the batches.", registry=self.registry, buckets=(1, 10, 100, 1_000, 10_000)
        )

        self.batch_age = Histogram(
            "consumer_batch_age_seconds", "From a batch's first message to its commit.", registry=self.registry
        )
        self._by_default = Gauge(
            "consumer_rows_in_default_partition",
            "Rows of days without a partition of their own, 1,000 at most.",
            registry=self.registry,
        )
        self._rows_by_default = 0

    def written(self, size: int, counts: WriteCounts) -> None:
        """Count a batch."""
        self._batch.observe(size)
        self._rows.labels("stored").inc(counts.stored)
        self._rows.labels("replaced").inc(counts.replaced)
        self._rows.labels("duplicate").inc(counts.duplicates)
        self._totals["stored"] += counts.stored
        self._totals["replaced"] += counts.replaced
        self._totals["duplicates"] += counts.duplicates

    def dead_lettered(self, poison: Sequence[Poison]) -> None:
        """Count poison that went to the dead letters."""
        for one in poison:
            self._dead.labels(one.reason).inc()
        self._totals["dead_letters"] += len(poison)

    def gap(self, gap: Gap) -> None:
        """Count messages that Kafka no longer had."""
        self._gaps.labels(gap.reason).inc()
        self._missing.inc(gap.messages)

    def lag(self, lag: Mapping[int, int]) -> None:
        """Show the lag of the partitions assigned now, and of no others."""
        self._lag.clear()
        for partition, messages in lag.items():
            self._lag.labels(str(partition)).set(messages)

    def in_default_partition(self, rows: int) -> int:
        """Record how many rows are in the default partition now, and return how many were recorded before."""
        before, self._rows_by_default = self._rows_by_default, rows
        self._by_default.set(rows)
        return before

    def totals(self) -> dict[str, int]:
        """The counts since the start, for a summary."""
        return dict(self._totals)
