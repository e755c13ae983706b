"""The consumer's settings of librdkafka, and their reasons (librdkafka, CONFIGURATION.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_core.settled import settled_group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring_core.config import ConsumerConfig

CLIENT_ID = "consumer-svc"


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
