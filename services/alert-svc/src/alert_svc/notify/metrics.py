"""The metrics of notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Metrics:
    """The metrics of one process; those of the queue are the same in each."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.attempts = Counter(
            "alert_notification_attempts",
            "Attempts to send a message, by channel and outcome (sent, failed).",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self.given_up = Counter(
            "alert_notifications_given_up", "Messages given up after a day.", ["channel"], registry=self.registry
        )
        self.age_seconds = Histogram(
            "alert_notification_age_seconds",
            "From a message's making to the receiver's answer.",
            registry=self.registry,
            buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400),
        )
        self._waiting = Gauge(
            "alert_notifications_waiting", "Messages not sent yet.", ["channel"], registry=self.registry
        )
        self._failing = Gauge(
            "alert_channel_failing", "1 when the last attempt of a channel failed.", ["channel"], registry=self.registry
        )
        self.outages = Counter("alert_notifier_outages", "Times that PostgreSQL was away.", registry=self.registry)
        self.beats = Counter(
            "alert_heartbeats", "Heartbeats, by outcome (sent, failed, withheld).", ["outcome"], registry=self.registry
        )
        # A series that begins at its first event hides that event from `rate`.
        for outcome in ("sent", "failed", "withheld"):
            self.beats.labels(outcome)

    def queue(self, channels: Iterable[str], waiting: Mapping[str, int], failing: Iterable[str]) -> None:
        """Show how many messages wait, and which channels fail."""
        self._waiting.clear()
        self._failing.clear()
        for channel in {*channels, *waiting}:
            self._waiting.labels(channel).set(waiting.get(channel, 0))
        for channel in channels:
            self._failing.labels(channel).set(channel in failing)
            self.given_up.labels(channel)
            for outcome in ("sent", "failed"):
                self.attempts.labels(channel, outcome)
