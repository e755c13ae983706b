"""The metrics of events."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The metrics of one process; how many events wait is the same in each."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.published = Counter("alert_events_published", "Events that are in the topic.", registry=registry)
        self.waiting = Gauge("alert_events_waiting", "Events that are not published yet.", registry=registry)
        self.outages = Counter(
            "alert_event_outages", "Times that Kafka or PostgreSQL was away for events.", registry=registry
        )
