"""Messages from Kafka, and poison back to it."""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from monitoring_core.config import Assignor, GroupProtocol
from monitoring_core.errors import OutageError
from monitoring_core.result import one_line
from monitoring_runtime.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from consumer_svc.ports import Poison, Received
    from monitoring_core.config import ConsumerConfig, KafkaConfig

log = structlog.get_logger()

_NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
_DEAD_LETTER_TIMEOUT_S = 15.0
_STATISTICS_MS = 2_000
_CLOSE_S = 10.0
# What differs at every try in the text of one and the same error.
_VARYING = re.compile(r" \(after \d+ms in state .*|\d+")

# librdkafka's own lines would stand between ours; what matters of them arrives through the callbacks.
silent = logging.getLogger("consumer_svc.librdkafka")
silent.addHandler(logging.NullHandler())
silent.propagate = False


class KafkaSource:
    """A member of a consumer group that commits by hand."""

    def __init__(
        self, config: KafkaConfig, consumer: ConsumerConfig, on_lag: Callable[[Mapping[int, int]], None]
    ) -> None:
        self._config = config
        self._on_lag = on_lag
        self._away = f"Kafka at {config.bootstrap_servers} cannot be reached"
        self._no_topic = f"topic {config.topic_name} does not exist: run dbadmin create-topics"
        # In the order in which they were met, each logged once until it is over.
        self._outages: dict[str, None] = {}
        self._partitions: list[TopicPartition] = []
        # Since the last poll began.
        self._given_up: set[int] = set()
        self._paused = False
        self._incremental = (
            consumer.group_protocol is GroupProtocol.CONSUMER or consumer.assignor is Assignor.COOPERATIVE_STICKY
        )
        self._consumer = Consumer(
            config.client_properties()
            | {
                "client.id": "consumer-svc",
                "group.id": consumer.group_id,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "topic.metadata.refresh.interval.ms": 5000,
                # librdkafka's default of 1 s leaves the consumer idle when its queue was full.
                "fetch.queue.backoff.ms": 10,
                # What is fetched ahead is compressed: in memory it is several times as large.
                "queued.max.messages.kbytes": 8192,
                "max.partition.fetch.bytes": 262_144,
                "reconnect.backoff.max.ms": 5000,
                "statistics.interval.ms": _STATISTICS_MS,
                "error_cb": self._on_error,
                "stats_cb": self._on_statistics,
                "on_commit": _on_commit,
            }
            | _membership(consumer),
            logger=silent,
        )

    @property
    def assigned(self) -> bool:
        """Whether any partition is assigned."""
        return bool(self._partitions)

    def subscribe(self, on_revoked: Callable[[Collection[int]], None]) -> None:
        """Join the group. `on_revoked` is called, within poll, before partitions are given up or when lost."""

        def forget(numbers: set[int]) -> None:
            self._partitions = [mine for mine in self._partitions if mine.partition not in numbers]
            self._given_up |= numbers

        def revoke(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            numbers = {partition.partition for partition in partitions}
            on_revoked(numbers)
            forget(numbers)

        def lose(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            # They are someone else's already: commit() must know first.
            numbers = {partition.partition for partition in partitions}
            forget(numbers)
            on_revoked(numbers)

        self._consumer.subscribe([self._config.topic_name], on_assign=self._assign, on_revoke=revoke, on_lost=lose)

    def poll(self, limit: int, timeout_s: float) -> list[Received]:
        """Up to `limit` messages; also what keeps the membership in the group."""
        self._given_up.clear()
        received: list[Any] = []
        for message in self._consumer.consume(limit, timeout_s):
            if error := message.error():
                self._on_error(error)
            else:
                received.append(message)
        if received:
            self._forget_refusals()
        # What was given up within this call may have come back within it.
        if gone := self._given_up - self._numbers():
            return [message for message in received if message.partition() not in gone]
        return received

    def pause(self, paused: bool) -> None:
        """Fetch nothing, or fetch again; polling goes on."""
        self._paused = paused
        if self._partitions:
            (self._consumer.pause if paused else self._consumer.resume)(self._partitions)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Say for each partition that is still assigned which offset is next, and do not wait for Kafka's answer.

        It goes before the partitions do. A commit that fails is harmless: the key swallows repeats.
        """
        mine = self._numbers()
        positions = [
            TopicPartition(self._config.topic_name, number, offset)
            for number, offset in offsets.items()
            if number in mine
        ]
        if not positions:
            return
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            _on_commit(error.args[0], positions)

    def close(self) -> None:
        """Leave the group. A Kafka that does not answer is not waited for longer than _CLOSE_S."""
        closing = in_background("closing", self._consumer.close)
        if wait([closing], _CLOSE_S).done:
            closing.result()

    def _numbers(self) -> set[int]:
        """The partitions assigned now."""
        return {partition.partition for partition in self._partitions}

    def _assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take partitions on: all of them with an eager assignor, else those that are new."""
        self._partitions += partitions
        if self._paused and partitions:
            if self._incremental:
                self._consumer.incremental_assign(partitions)
            else:
                self._consumer.assign(partitions)
            self._consumer.pause(partitions)
        if partitions:
            self._forget_refusals()
        log.info("assigned", partitions=sorted(self._numbers()))

    def _on_error(self, error: KafkaError) -> None:
        # One broker of several, or one try of several: _ALL_BROKERS_DOWN follows when it matters.
        if error.code() in (KafkaError._TRANSPORT, KafkaError._RESOLVE):
            return
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            kind = why = self._away
        elif error.code() in _NO_TOPIC:
            kind = why = self._no_topic
        else:
            kind = _VARYING.sub("", error.str())
            why = f"Kafka at {self._config.bootstrap_servers}: {one_line(error.str(), 300)}"
        if kind not in self._outages:
            self._outages[kind] = None
            log.warning("no messages can be read, retrying", error=why)

    def _forget_refusals(self) -> None:
        self._outages = {kind: None for kind in self._outages if kind == self._away}

    def _on_statistics(self, text: str) -> None:
        """Read what librdkafka knows of itself (librdkafka, STATISTICS.md)."""
        statistics = json.loads(text)
        brokers = statistics["brokers"].values()
        if any(broker["state"] == "UP" and broker["nodeid"] >= 0 for broker in brokers):
            if self._away in self._outages:
                log.info("Kafka is reached again", kafka=self._config.bootstrap_servers)
            self._outages.pop(self._away, None)
        known = statistics["topics"].get(self._config.topic_name, {"partitions": {}})["partitions"]
        lag = {number: known[str(number)]["consumer_lag"] for number in self._numbers() if str(number) in known}
        self._on_lag({number: messages for number, messages in lag.items() if messages >= 0})


def _on_commit(error: KafkaError | None, _positions: list[TopicPartition]) -> None:
    if error:
        log.warning("offsets cannot be committed", error=error.str())


def _membership(consumer: ConsumerConfig) -> dict[str, str | int]:
    """What says how to be a member of the group. With the new protocol, the broker decides the rest."""
    if consumer.group_protocol is GroupProtocol.CONSUMER:
        return {"group.protocol": "consumer"}
    session_ms = round(consumer.session_timeout.total_seconds() * 1000)
    return {
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": min(3000, session_ms // 3),
        "partition.assignment.strategy": str(consumer.assignor),
    }


class KafkaDeadLetters:
    """The dead-letter topic."""

    def __init__(self, config: KafkaConfig) -> None:
        self._topic = config.topic_name
        self._to = KafkaSender(config, config.dead_letter_topic)

    def send(self, poison: Sequence[Poison]) -> None:
        """Send poison, its bytes unchanged, acknowledged when this returns.

        Raises:
            OutageError: not now.
        """
        self._to.send((one.message.key(), one.message.value(), _headers(one, self._topic)) for one in poison)


class KafkaSender:
    """Messages into a topic, in order and acknowledged. The connection is made with the first."""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._config = config
        self._topic = topic
        self._producer: Producer | None = None

    def send(self, messages: Iterable[tuple[bytes | None, bytes | None, dict[str, str | bytes | None]]]) -> None:
        """Send messages: key, value and headers. All are acknowledged when this returns.

        Raises:
            OutageError: not now.
        """
        failed: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error:
                failed.append(error)

        producer = self._connect()
        try:
            for key, value, headers in messages:
                producer.produce(self._topic, value, key, headers=headers, on_delivery=on_delivery)
            left = producer.flush(_DEAD_LETTER_TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            left, failed = 1, [*failed, *(arg for arg in error.args if isinstance(arg, KafkaError))]
        if left or failed:
            producer.purge()
            why = failed[0].str() if failed else "no acknowledgement"
            raise OutageError(f"topic {self._topic} at {self._config.bootstrap_servers} cannot be written: {why}")

    def _connect(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                self._config.client_properties()
                | {
                    "client.id": "consumer-svc",
                    "acks": "all",
                    "allow.auto.create.topics": False,
                    "message.timeout.ms": 14_000,
                    # What Kafka once took, with some headers more, is for Kafka to refuse.
                    "message.max.bytes": 1_000_000_000,
                },
                logger=silent,
            )
        return self._producer


def _headers(poison: Poison, topic: str) -> dict[str, str | bytes | None]:
    return {
        "reason": poison.reason,
        "error": poison.error,
        "original_topic": topic,
        "original_partition": str(poison.message.partition()),
        "original_offset": str(poison.message.offset()),
        "original_timestamp": str(poison.message.timestamp()[1]),
    }
