"""Messages that Kafka will delete before consumers have stored them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbadmin.doctor.consumers import next_offsets, older
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
    waiting = next_offsets(cluster, cluster.config.consumer.group_id, partitions)
    if old := older(cluster, waiting, kept_ms / 2000):
        yield failed(
            f"group {cluster.config.consumer.group_id}",
            f"messages in partition {old[0]} have waited for half of retention.ms {kept_ms}, after which they are lost",
            "raise retention.ms now, then see why consumers do not store them",
        )
