"""What a consumer counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumer_svc.ports import Poison, WriteCounts


class Metrics:
    """The metrics of one consumer, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._rows = Counter("consumer_rows", "Results, by what became of them.", ["kind"], registry=self.registry)
        self._dead = Counter("consumer_dead_letters", "Messages sent there.", ["reason"], registry=self.registry)
        self.outages = Counter("consumer_outages", "Failed tries to write.", registry=self.registry)
        self.write_seconds = Histogram("consumer_write_seconds", "Time to write a batch.", registry=self.registry)
        self._batch = Histogram(
            "consumer_batch_rows", "Size of the batches.", registry=self.registry, buckets=(1, 10, 100, 1_000, 10_000)
        )

    def written(self, size: int, counts: WriteCounts) -> None:
        """Count a batch."""
        self._batch.observe(size)
        self._rows.labels("stored").inc(counts.stored)
        self._rows.labels("replaced").inc(counts.replaced)
        self._rows.labels("duplicate").inc(counts.duplicates)

    def dead_lettered(self, poison: Sequence[Poison]) -> None:
        """Count what went to the dead letters."""
        for one in poison:
            self._dead.labels(one.reason).inc()
