"""What is in the dead-letter topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer_svc.adapters.kafka import silent
from consumer_svc.ports import DeadLetter
from monitoring_core.errors import OutageError, StopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monitoring_core.config import Config

_TIMEOUT_S = 15.0


class DeadLetterTopic:
    """The dead-letter topic, read without a group. How far it was replayed is committed for a group of its own.

    Raises, from every method:
        OutageError: Kafka cannot be reached, or refuses.
        StopError: there is no such topic.
    """

    def __init__(self, config: Config, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._topic = config.kafka.dead_letter_topic
        self._servers = config.kafka.bootstrap_servers
        self._consumer = Consumer(
            config.kafka.client_properties()
            | {
                "client.id": "consumer-svc",
                "group.id": f"{config.consumer.group_id}.replay",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
            },
            logger=silent,
        )

    def read(self, since: Mapping[int, int]) -> Iterator[DeadLetter]:
        """All that is there now, by partition; of a partition in `since`, what is there from that offset on."""
        for number in self._partitions():
            try:
                first, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), self._timeout_s)
                begin = max(first, since.get(number, first))
                if begin < end:
                    self._consumer.assign([TopicPartition(self._topic, number, begin)])
                    yield from self._until(number, end)
            except KafkaException as error:
                raise self._outage(error.args[0]) from None

    def at(self, partition: int, offset: int) -> DeadLetter:
        """The one at this place."""
        for letter in self.read(dict.fromkeys(self._partitions(), 1 << 62) | {partition: offset}):
            if letter.offset == offset:
                return letter
            break
        raise StopError(f"topic {self._topic} has no message at {partition}:{offset}")

    def replayed(self) -> dict[int, int]:
        """How far each partition was replayed: the offset of the first that was not."""
        places = [TopicPartition(self._topic, number) for number in self._partitions()]
        try:
            committed = self._consumer.committed(places, self._timeout_s)
        except KafkaException as error:
            raise self._outage(error.args[0]) from None
        return {place.partition: place.offset for place in committed if place.offset >= 0}

    def note_replayed(self, offsets: Mapping[int, int]) -> None:
        """Keep how far each partition was replayed."""
        places = [TopicPartition(self._topic, number, offset) for number, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            raise self._outage(error.args[0]) from None

    def close(self) -> None:
        """Give up the connection."""
        self._consumer.close()

    def _partitions(self) -> list[int]:
        try:
            topic = self._consumer.list_topics(self._topic, self._timeout_s).topics[self._topic]
        except KafkaException as error:
            raise self._outage(error.args[0]) from None
        if topic.error:
            if topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise StopError(f"topic {self._topic} does not exist: run dbadmin create-topics")
            raise self._outage(topic.error)
        return sorted(topic.partitions)

    def _until(self, partition: int, end: int) -> Iterator[DeadLetter]:
        while True:
            message = self._consumer.poll(self._timeout_s)
            if message is None:
                raise OutageError(f"Kafka at {self._servers} gives no messages")
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF:
                    return
                raise self._outage(error)
            offset = message.offset() or 0
            if offset < end:
                yield _letter(message, partition, offset)
            if offset >= end - 1:
                return

    def _outage(self, error: KafkaError) -> OutageError:
        if error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT):
            return OutageError(f"Kafka at {self._servers} cannot be reached")
        return OutageError(f"Kafka at {self._servers}: {error.str()}")


def _letter(message: Message, partition: int, offset: int) -> DeadLetter:
    pairs: Any = message.headers() or []
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in pairs}
    return DeadLetter(partition, offset, message.timestamp()[1], message.key(), message.value(), headers)
