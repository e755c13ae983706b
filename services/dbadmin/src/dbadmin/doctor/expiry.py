"""Messages that Kafka will delete before consumers have stored them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # its own name

from dbadmin.doctor.consumers import next_offsets, offsets
from dbadmin.doctor.findings import Finding, failed
from dbadmin.doctor.topics import retention_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.doctor.cluster import Cluster


def check_expiry(cluster: Cluster, partitions: int) -> Iterator[Finding]:
    """Whether a message has waited for half of the time for which Kafka keeps it."""
    kept_ms = retention_ms(cluster, cluster.config.kafka.topic_name)
    if kept_ms < 0:
        return
    half = OffsetSpec.for_timestamp(int(time.time() * 1000) - kept_ms // 2)
    # Kafka answers -1 for a partition that has no newer message, as for an empty one.
    newer, ends = offsets(cluster, partitions, half), offsets(cluster, partitions, OffsetSpec.latest())
    waiting = next_offsets(cluster, cluster.config.consumer.group_id, partitions)
    firsts = {number: newer[number] if newer[number] >= 0 else ends[number] for number in ends}
    old = [number for number, first in firsts.items() if waiting[number] < first]
    if old:
        yield failed(
            f"group {cluster.config.consumer.group_id}",
            f"messages in partition {old[0]} have waited for half of retention.ms {kept_ms}, after which they are lost",
            "raise retention.ms now, then see why consumers do not store them",
        )
