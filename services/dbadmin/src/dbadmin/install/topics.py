"""The topics of results and of dead letters."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]  # its own names

from monitoring_core.errors import OutageError, StopError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import KafkaConfig

TIMEOUT_S = 10.0
DEAD_LETTER_PARTITIONS = 1
# A message of the largest size that Kafka takes by default (1 MiB) must fit with the headers that explain it.
DEAD_LETTER_MESSAGE_BYTES = 2 << 20
_DEAD_LETTER_CONFIG = {"max.message.bytes": str(DEAD_LETTER_MESSAGE_BYTES)}

# librdkafka's own lines would stand between ours.
silent = logging.getLogger("dbadmin.librdkafka")
silent.addHandler(logging.NullHandler())
silent.propagate = False


def create_topics(config: KafkaConfig, partitions: int, replication_factor: int | None) -> Iterator[str]:
    """Make the topics that are missing, and raise the partitions of the results' topic; a line for each.

    Args:
        replication_factor: None leaves it to the broker's default.

    Raises:
        OutageError: Kafka cannot be reached.
        StopError: Kafka refuses.
    """
    admin = AdminClient(config.client_properties() | {"socket.connection.setup.timeout.ms": 5000}, logger=silent)
    present = _partition_counts(admin, config)
    factor = -1 if replication_factor is None else replication_factor
    for topic in (
        NewTopic(config.topic_name, partitions, factor),
        NewTopic(config.dead_letter_topic, DEAD_LETTER_PARTITIONS, factor, config=_DEAD_LETTER_CONFIG),
    ):
        name, count = topic.topic, topic.num_partitions
        if name not in present:
            yield _create(admin, config, topic)
        elif name == config.topic_name and present[name] < count:
            _wait(admin.create_partitions([NewPartitions(name, count)])[name], config)
            yield f"topic {name}: raised from {present[name]} to {count} partitions"
        elif name == config.topic_name and present[name] > count:
            yield f"topic {name}: stays at {present[name]} partitions, which cannot be lowered to {count}"
        else:
            yield f"topic {name}: present with {present[name]} partitions"


def _partition_counts(admin: AdminClient, config: KafkaConfig) -> dict[str, int]:
    try:
        topics = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise _explained(error.args[0], config) from None
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _create(admin: AdminClient, config: KafkaConfig, topic: NewTopic) -> str:
    try:
        admin.create_topics([topic])[topic.topic].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return f"topic {topic.topic}: present, made by another just now"
        raise _explained(error.args[0], config) from None
    factor = (
        "the broker's default replication"
        if topic.replication_factor < 0
        else f"replication {topic.replication_factor}"
    )
    return f"topic {topic.topic}: made with {topic.num_partitions} partitions and {factor}"


def _wait(future: object, config: KafkaConfig) -> None:
    try:
        future.result(TIMEOUT_S)  # type: ignore[attr-defined]  # concurrent.futures.Future, which the client does not say
    except KafkaException as error:
        raise _explained(error.args[0], config) from None


def _explained(error: KafkaError, config: KafkaConfig) -> OutageError | StopError:
    where = f"Kafka at {config.bootstrap_servers}"
    if error.code() in (
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
    ):
        return OutageError(f"{where} cannot be reached within {TIMEOUT_S:g} s")
    return StopError(f"{where}: {' '.join(error.str().split())[:300]}")
