"""Runs a publisher of events as a process of its own, which may be hit by a signal at its first events.

Arguments: the host of PostgreSQL, the bootstrap servers and the topic of Kafka, a signal, and when it hits: `never`,
`before` the events are sent, `within` their transaction, or `after` it, before that is written down.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

from confluent_kafka import Producer

from alert_svc.events import topic as topics
from alert_svc.events.metrics import Metrics
from alert_svc.events.pending import Pending
from alert_svc.events.publisher import Publisher, Timing
from alert_svc.events.topic import AlertTopic
from monitoring_alerting.event import source_of
from monitoring_core.config import DatabaseConfig, KafkaConfig
from monitoring_runtime.stop import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alert_svc.events.pending import Unpublished


class Blow:
    """A signal that hits this process once."""

    def __init__(self, number: signal.Signals, when: str) -> None:
        self._number = number
        self._when = when

    def at(self, moment: str) -> None:
        """The moment has come."""
        if moment == self._when:
            self._when = "never"
            os.kill(os.getpid(), self._number)


class Struck(AlertTopic):
    """A topic whose process is hit before or after its first events."""

    blow = Blow(signal.SIGKILL, "never")

    def publish(self, events: Sequence[Unpublished]) -> None:
        self.blow.at("before")
        super().publish(events)
        self.blow.at("after")


class StruckProducer(Producer):
    """A producer whose process is hit when the broker has the events, and before they are committed."""

    def commit_transaction(self, timeout: float) -> None:  # type: ignore[override]
        self.flush(10)
        Struck.blow.at("within")
        super().commit_transaction(timeout)


def main(host: str, servers: str, name: str, number: str, when: str) -> None:
    Struck.blow = Blow(signal.Signals[number], when)
    topics.Producer = StruckProducer  # type: ignore[attr-defined]
    database = DatabaseConfig(host=host, port=5432, user="postgres", database="monitoring")
    kafka = KafkaConfig(bootstrap_servers=servers, alert_topic_name=name)
    timing = Timing(pause_s=0.05, hold_s=1.5, renew_s=0.25)
    pending = Pending(database.schema, uuid4().hex, timing.hold_s)
    topic = Struck(kafka, "alert-svc", source_of(database.database, database.schema))
    with stop_on_signals() as stop:
        Publisher(database, pending, topic, Metrics(), timing).run(stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
