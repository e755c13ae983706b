"""The settings of librdkafka for a reader of results, and their reasons (librdkafka, CONFIGURATION.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_core.config import GroupProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.config import ConsumerConfig

_STATISTICS_MS = 2_000
_LONGEST_HEARTBEAT_MS = 3_000


def source_settings(
    connection: Mapping[str, str], consumer: ConsumerConfig, client_id: str
) -> dict[str, str | int | bool]:
    """The settings of a member of a group that reads results. Holds secrets: never log it."""
    return {
        **connection,
        "client.id": client_id,
        "group.id": consumer.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 5_000,
        # librdkafka's default of 1 s leaves the consumer idle after its queue was full.
        "fetch.queue.backoff.ms": 10,
        # Prefetched messages count with their compressed size, but are several times as large in memory.
        "queued.max.messages.kbytes": 8_192,
        "max.partition.fetch.bytes": 262_144,
        "reconnect.backoff.max.ms": 5_000,
        "statistics.interval.ms": _STATISTICS_MS,
        **_membership(consumer),
    }


def _membership(consumer: ConsumerConfig) -> dict[str, str | int | bool]:
    """The settings of the membership in the group. With the new protocol, the broker holds the others."""
    if consumer.group_protocol is GroupProtocol.CONSUMER:
        return {"group.protocol": "consumer"}
    session_ms = round(consumer.session_timeout.total_seconds() * 1000)
    return {
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": min(_LONGEST_HEARTBEAT_MS, session_ms // 3),
        "partition.assignment.strategy": str(consumer.assignor),
    }
