"""The consumer's settings of librdkafka, and their reasons (librdkafka, CONFIGURATION.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_core.config import GroupProtocol
from monitoring_core.settled import settled_group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.config import ConsumerConfig

CLIENT_ID = "consumer-svc"
_STATISTICS_MS = 2_000
_LONGEST_HEARTBEAT_MS = 3_000


def source_settings(connection: Mapping[str, str], consumer: ConsumerConfig) -> dict[str, str | int | bool]:
    """The settings of a member of the consumers' group. Holds secrets: never log it."""
    return {
        **connection,
        "client.id": CLIENT_ID,
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


def dead_letter_reader_settings(connection: Mapping[str, str], consumer: ConsumerConfig) -> dict[str, str | int | bool]:
    """The settings of a reader of dead letters, which joins no group. Holds secrets: never log it."""
    return {
        **connection,
        "client.id": CLIENT_ID,
        # Which dead letters are settled is committed for this group, and nothing else.
        "group.id": settled_group(consumer.group_id),
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
    }


def writer_settings(connection: Mapping[str, str]) -> dict[str, str | int | bool]:
    """The settings of a writer into a topic. Holds secrets: never log it."""
    return {
        **connection,
        "client.id": CLIENT_ID,
        "acks": "all",
        "allow.auto.create.topics": False,
        # Shorter than TopicWriter's own wait, so that TopicWriter learns the reason of a failure.
        "message.timeout.ms": 14_000,
        # A dead letter has more headers than the message that Kafka accepted; Kafka alone decides if it is too large.
        "message.max.bytes": 1_000_000_000,
        # What arrived compressed is otherwise too large for a topic that has the same limit.
        "compression.type": "lz4",
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
