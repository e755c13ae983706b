"""The topics of results, of dead letters and of alerts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]  # its own names

from monitoring_core.errors import OutageError, StopError
from monitoring_runtime.commands import counted
from monitoring_runtime.kafka import SILENT, Trouble, detail, diagnose, where
from monitoring_runtime.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from monitoring_core.config import KafkaConfig

TIMEOUT_S = 10.0
DEAD_LETTER_PARTITIONS = 1
# A message of the largest size that Kafka accepts by default (1 MiB) must fit with the headers that explain it.
DEAD_LETTER_MESSAGE_BYTES = 2 << 20
# One partition: whoever reads the topic sees the alerts in the order of their events, which are few.
ALERT_PARTITIONS = 1
_ALERT_CONFIG = {"cleanup.policy": "compact"}
_DEAD_LETTER_CONFIG = {"max.message.bytes": str(DEAD_LETTER_MESSAGE_BYTES)}


def create_topics(config: KafkaConfig, partitions: int, replication_factor: int | None) -> Iterator[str]:
    """Make the missing topics, and raise the partition count of the results' topic; yields one line for each topic.

    Args:
        replication_factor: None leaves it to the broker's default.

    Raises:
        OutageError: Kafka cannot be reached.
        StopError: Kafka refuses.
    """
    admin = AdminClient(config.client_properties() | {"socket.connection.setup.timeout.ms": 5000}, logger=SILENT)
    present = _partition_counts(admin, config)
    factor = -1 if replication_factor is None else replication_factor
    for topic in (
        NewTopic(config.topic_name, partitions, factor),
        NewTopic(config.dead_letter_topic, DEAD_LETTER_PARTITIONS, factor, config=_DEAD_LETTER_CONFIG),
        NewTopic(config.alert_topic_name, ALERT_PARTITIONS, factor, config=_ALERT_CONFIG),
    ):
        if topic.topic not in present:
            yield _create(admin, config, topic)
        else:
            yield _raise(admin, config, topic, present[topic.topic])


def _partition_counts(admin: AdminClient, config: KafkaConfig) -> dict[str, int]:
    try:
        topics = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise _outage_or_stop(error.args[0], config) from None
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _create(admin: AdminClient, config: KafkaConfig, topic: NewTopic) -> str:
    try:
        admin.create_topics([topic])[topic.topic].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return f"topic {topic.topic}: present, made by another just now"
        raise _outage_or_stop(error.args[0], config, topic.topic) from None
    _wait_until_shown(admin, config, topic.topic, topic.num_partitions)
    default = topic.replication_factor < 0
    factor = "the broker's default replication" if default else f"replication {topic.replication_factor}"
    return f"topic {topic.topic}: made with {counted(topic.num_partitions, 'partition')} and {factor}"


def _raise(admin: AdminClient, config: KafkaConfig, topic: NewTopic, present: int) -> str:
    """Raise the partition count of the results' topic; more partitions would gain nothing for the others."""
    name, wanted = topic.topic, topic.num_partitions
    if name == config.topic_name and present < wanted:
        _wait(admin.create_partitions([NewPartitions(name, wanted)])[name], config, name)
        _wait_until_shown(admin, config, name, wanted)
        return f"topic {name}: raised from {present} to {counted(wanted, 'partition')}"
    if name == config.topic_name and present > wanted:
        return f"topic {name}: stays at {counted(present, 'partition')}, which cannot be lowered to {wanted}"
    return f"topic {name}: present with {counted(present, 'partition')}"


def _wait(future: Future[None], config: KafkaConfig, topic: str) -> None:
    try:
        future.result(TIMEOUT_S)
    except KafkaException as error:
        raise _outage_or_stop(error.args[0], config, topic) from None


def _wait_until_shown(admin: AdminClient, config: KafkaConfig, name: str, partitions: int) -> None:
    """Wait until the metadata show a change, at most TIMEOUT_S seconds: brokers confirm it some moments before."""
    deadline, backoff = time.monotonic() + TIMEOUT_S, Backoff(initial_s=0.05, maximum_s=0.5)
    while _partition_counts(admin, config).get(name, 0) < partitions and time.monotonic() < deadline:
        time.sleep(backoff.next())


def _outage_or_stop(error: KafkaError, config: KafkaConfig, topic: str | None = None) -> OutageError | StopError:
    if diagnose(error) is Trouble.UNREACHABLE or error.code() == KafkaError._TIMED_OUT:
        return OutageError(f"{where(config)} cannot be reached within {TIMEOUT_S:g} s")
    place = f"{where(config)}, topic {topic}" if topic else where(config)
    return StopError(f"{place}: {detail(error)}")
