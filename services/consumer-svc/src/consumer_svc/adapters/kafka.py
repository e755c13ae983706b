"""Messages from Kafka, and poison back to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from consumer_svc.ports import Poison, Received
from monitoring_core.errors import OutageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitoring_core.config import ConsumerConfig, KafkaConfig

log = structlog.get_logger()

_AWAY = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)
_NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
_DEAD_LETTER_TIMEOUT_S = 15.0

# librdkafka's own lines would stand between ours; what matters of them arrives through the callbacks.
_silent = logging.getLogger("consumer_svc.librdkafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class KafkaSource:
    """A member of a consumer group that commits by hand."""

    def __init__(self, config: KafkaConfig, consumer: ConsumerConfig) -> None:
        self._config = config
        self._outage: str | None = None
        self._on_revoked: Callable[[], None] = lambda: None
        self._partitions: list[TopicPartition] = []
        self._consumer = Consumer(
            config.client_properties()
            | {
                "client.id": "consumer-svc",
                "group.id": consumer.group_id,
                "session.timeout.ms": round(consumer.session_timeout.total_seconds() * 1000),
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "range",
                "allow.auto.create.topics": False,
                "topic.metadata.refresh.interval.ms": 5000,
                # librdkafka's default of 1 s leaves the consumer idle when its queue was full.
                "fetch.queue.backoff.ms": 10,
                "queued.max.messages.kbytes": 16384,
                "reconnect.backoff.max.ms": 5000,
                "error_cb": self._on_error,
            },
            logger=_silent,
        )

    @property
    def assigned(self) -> bool:
        """Whether any partition is assigned."""
        return bool(self._partitions)

    def subscribe(self, on_revoked: Callable[[], None]) -> None:
        """Join the group. `on_revoked` is called, within poll, before partitions are given up."""
        self._on_revoked = on_revoked
        self._consumer.subscribe(
            [self._config.topic_name], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke
        )

    def poll(self, limit: int, timeout_s: float) -> list[Received]:
        """Up to `limit` messages; also what keeps the membership in the group."""
        received = []
        for message in self._consumer.consume(limit, timeout_s):
            if error := message.error():
                self._on_error(error)
                continue
            received.append(
                Received(
                    message.key(),
                    message.value(),
                    message.partition() or 0,
                    message.offset() or 0,
                    message.timestamp()[1],
                )
            )
        if received and self._outage:
            log.info("messages come again", kafka=self._config.bootstrap_servers)
            self._outage = None
        return received

    def pause(self, paused: bool) -> None:
        """Fetch nothing, or fetch again; polling goes on."""
        if self._partitions:
            (self._consumer.pause if paused else self._consumer.resume)(self._partitions)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Say for each partition which offset is next. A commit that fails is harmless: the key swallows repeats."""
        positions = [
            TopicPartition(self._config.topic_name, partition, offset) for partition, offset in offsets.items()
        ]
        try:
            self._consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as error:
            log.warning("offsets cannot be committed", error=error.args[0].str())

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._partitions = partitions
        log.info("assigned", partitions=[partition.partition for partition in partitions])

    def _revoke(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._on_revoked()
        self._partitions = []

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _AWAY:
            why = f"Kafka at {self._config.bootstrap_servers} cannot be reached"
        elif error.code() in _NO_TOPIC:
            why = f"topic {self._config.topic_name} does not exist: run dbadmin create-topics"
        else:
            why = " ".join(error.str().split())[:300]
        if self._outage != why:
            log.warning("no messages can be read, retrying", error=why)
        self._outage = why


class KafkaDeadLetters:
    """The dead-letter topic. Its connection is made with the first poison."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._producer: Producer | None = None

    def send(self, poison: Sequence[Poison]) -> None:
        """Send poison, its bytes unchanged, acknowledged when this returns.

        Raises:
            OutageError: not now.
        """
        failed: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error:
                failed.append(error)

        producer = self._connect()
        topic = self._config.dead_letter_topic
        try:
            for one in poison:
                message = one.message
                producer.produce(
                    topic,
                    message.value,
                    message.key,
                    headers=_headers(one, self._config.topic_name),
                    on_delivery=on_delivery,
                )
            left = producer.flush(_DEAD_LETTER_TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            left, failed = 1, [*failed, *(arg for arg in error.args if isinstance(arg, KafkaError))]
        if left or failed:
            producer.purge()
            why = failed[0].str() if failed else "no acknowledgement"
            raise OutageError(f"dead-letter topic {topic} at {self._config.bootstrap_servers}: {why}")

    def _connect(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                self._config.client_properties()
                | {
                    "client.id": "consumer-svc",
                    "acks": "all",
                    "allow.auto.create.topics": False,
                    "message.timeout.ms": 14_000,
                },
                logger=_silent,
            )
        return self._producer


def _headers(poison: Poison, topic: str) -> dict[str, str | bytes | None]:
    return {
        "reason": poison.reason,
        "error": poison.error,
        "original_topic": topic,
        "original_partition": str(poison.message.partition),
        "original_offset": str(poison.message.offset),
        "original_timestamp": str(poison.message.timestamp_ms),
    }
