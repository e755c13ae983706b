"""Dead letters that nobody has replayed or discarded: how many, and since when."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from dbadmin.doctor.cluster import when_started
from dbadmin.doctor.findings import Finding, passed, warned
from monitoring_core.settled import Settled, parse_settled, settled_group
from monitoring_runtime.kafka import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.doctor.cluster import Cluster


def check_dead_letters(cluster: Cluster, partitions: int) -> Iterator[Finding]:
    """How many dead letters wait for a person, and when the first of them was set aside."""
    topic, waiting, since = cluster.config.kafka.dead_letter_topic, 0, list[int]()
    group = settled_group(cluster.config.consumer.group_id)
    settings = cluster.properties | {"group.id": group, "enable.auto.commit": False}
    with closing(Consumer(settings, logger=SILENT)) as consumer:
        settled = _settled(consumer, cluster, partitions)
        for number in range(partitions):
            begin, end = consumer.get_watermark_offsets(TopicPartition(topic, number), cluster.timeout_s)
            done = settled.get(number, Settled(0)).from_offset(begin)
            count = end - done.until - done.count()
            if count > 0:
                waiting += count
                since += _set_aside(consumer, TopicPartition(topic, number, done.until), cluster.timeout_s)
    subject = "dead letters"
    if not waiting:
        yield passed(subject, "none wait")
        return
    began = f", since {dt.datetime.fromtimestamp(min(since) / 1000, dt.UTC):%Y-%m-%d %H:%M} UTC" if since else ""
    text = f"{waiting} wait for a person{began}"
    yield warned(subject, text, "see consumer-svc dead-letters list; replay them after a fix, or discard them")


def _settled(consumer: Consumer, cluster: Cluster, partitions: int) -> dict[int, Settled]:
    places = [TopicPartition(cluster.config.kafka.dead_letter_topic, number) for number in range(partitions)]
    found = when_started(cluster, lambda: consumer.committed(places, cluster.timeout_s))
    return {place.partition: parse_settled(place.offset, place.metadata) for place in found if place.offset >= 0}


def _set_aside(consumer: Consumer, place: TopicPartition, timeout_s: float) -> list[int]:
    """The moment of the first message from a place on, in milliseconds since the epoch; none if it cannot be read."""
    consumer.assign([place])
    message = consumer.poll(timeout_s)
    return [message.timestamp()[1]] if message is not None and not message.error() else []
