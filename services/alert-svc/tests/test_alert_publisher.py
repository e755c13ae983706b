"""The loop that publishes events: what it says of troubles."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import pytest
import structlog
from prometheus_client import CollectorRegistry

from alert_svc.events.metrics import Metrics
from alert_svc.events.pending import Pending
from alert_svc.events.publisher import Publisher, Timing
from monitoring_core.config import DatabaseConfig
from monitoring_core.errors import OutageError
from monitoring_runtime.stop import Stop
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from alert_svc.events.topic import AlertTopic

pytestmark = pytest.mark.integration_test


class Away:
    """A topic that cannot be opened for so many times."""

    is_open = False

    def __init__(self, times: int) -> None:
        self._left = times

    def open(self) -> None:
        if self._left:
            self._left -= 1
            raise OutageError("Kafka cannot be reached")
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


def test_an_outage_of_kafka_is_told_once_and_its_end_too(database: DatabaseConfig) -> None:
    """However often it is tried meanwhile."""
    topic, stop = Away(3), Stop()
    timing = Timing(pause_s=0.01)
    pending = Pending(database.schema, "one", timing.hold_s)
    publisher = Publisher(database, pending, cast("AlertTopic", topic), Metrics(CollectorRegistry()), timing)
    thread = threading.Thread(target=publisher.run, args=(stop,))
    with structlog.testing.capture_logs() as logged:
        thread.start()
        try:
            until(lambda: topic.is_open and len(logged) >= 2)
        finally:
            stop.request()
            thread.join(20)
    assert [line["event"] for line in logged] == ["events of alerts wait", "events of alerts are published again"]
