"""The clock of Kafka, read from the timestamp that a broker gives to a message: Kafka offers no other way."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaException, Producer
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # its own name

from dbadmin.doctor.clocks import judge
from dbadmin.doctor.findings import Finding, warned
from monitoring_runtime.kafka import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.doctor.cluster import Cluster
    from monitoring_core.clock import Clock

_MESSAGE_TIMEOUT_MS = 8_000


def check_clock(cluster: Cluster, clock: Clock) -> Iterator[Finding]:
    """How far the broker's clock is from this machine's. Messages go to a topic that is made for them and deleted."""
    name, subject = f"{cluster.config.kafka.topic_name}.doctor-{secrets.token_hex(4)}", "clock of Kafka"
    made = NewTopic(name, 1, -1, config={"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"})
    cluster.admin.create_topics([made], request_timeout=cluster.timeout_s)[name].result(cluster.timeout_s)
    try:
        properties = cluster.properties | {"message.timeout.ms": _MESSAGE_TIMEOUT_MS, "linger.ms": 0}
        producer = Producer(properties, logger=SILENT)
        _stamp(producer, name, clock, cluster.timeout_s)  # the first message waits until the client knows the topic
        kind, there_ms, before_ms, after_ms = _stamp(producer, name, clock, cluster.timeout_s)
    finally:
        cluster.admin.delete_topics([name], request_timeout=cluster.timeout_s)[name].result(cluster.timeout_s)
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        yield warned(subject, "this broker does not tell it", "see that a time service (NTP) sets it")
    else:
        yield judge(subject, (there_ms - (before_ms + after_ms) / 2) / 1000, (after_ms - before_ms) / 2000)


def _stamp(producer: Producer, topic: str, clock: Clock, timeout_s: float) -> tuple[int, int, int, int]:
    """The kind of a message's timestamp, that timestamp, and the moments before and after, in milliseconds."""
    done, reports = threading.Event(), []

    def delivered(error: Any, message: Any) -> None:
        reports.append((error, message))
        done.set()

    before_ms = clock.now_ms()
    producer.produce(topic, b"what time is it?", on_delivery=delivered)
    end = time.monotonic() + timeout_s
    while not done.is_set() and time.monotonic() < end:
        producer.poll(0.1)
    after_ms = clock.now_ms()
    if not reports or reports[0][0]:
        raise KafkaException(reports[0][0] if reports else "a message was not taken in time")
    kind, there_ms = reports[0][1].timestamp()
    return kind, there_ms, before_ms, after_ms
