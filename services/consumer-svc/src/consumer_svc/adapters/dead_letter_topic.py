"""A reader of the dead-letter topic, which also keeps which dead letters are settled."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from consumer_svc.adapters.kafka_settings import dead_letter_reader_settings
from consumer_svc.ports import DeadLetter
from monitoring_core.errors import OutageError, StopError
from monitoring_core.settled import Settled, parse_settled
from monitoring_runtime.kafka import SILENT, Trouble, detail, diagnose, explain, where

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from confluent_kafka import Message

    from monitoring_core.config import Config

_TIMEOUT_S = 15.0
_PAST_EVERY_OFFSET = 1 << 62


class DeadLetterTopic:
    """The dead-letter topic, read without a group. Which dead letters are settled is committed for a group of its own.

    Raises, from every method:
        OutageError: Kafka cannot be reached, or refuses.
        StopError: the topic does not exist.
    """

    def __init__(self, config: Config, timeout_s: float = _TIMEOUT_S) -> None:
        self._config = config.kafka
        self._topic = config.kafka.dead_letter_topic
        self._timeout_s = timeout_s
        self._consumer = Consumer(
            dead_letter_reader_settings(config.kafka.client_properties(), config.consumer), logger=SILENT
        )

    def read(self, since: Mapping[int, int]) -> Iterator[DeadLetter]:
        """All dead letters that are there now, by partition; of a partition in `since`, those from that offset on."""
        for number in self._partitions():
            with self._outages():
                first, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), self._timeout_s)
                begin = max(first, since.get(number, first))
                if begin < end:
                    self._consumer.assign([TopicPartition(self._topic, number, begin)])
                    yield from self._until(number, end)

    def at(self, partition: int, offset: int) -> DeadLetter:
        """The dead letter at this place.

        Raises:
            StopError: there is no message.
        """
        only_from_there = dict.fromkeys(self._partitions(), _PAST_EVERY_OFFSET) | {partition: offset}
        letter = next(self.read(only_from_there), None)
        if letter is None or letter.offset != offset:
            raise StopError(f"topic {self._topic} has no message at {partition}:{offset}")
        return letter

    def settled(self) -> dict[int, Settled]:
        """Which dead letters of each partition were replayed or discarded."""
        places = [TopicPartition(self._topic, number) for number in self._partitions()]
        with self._outages():
            committed = self._consumer.committed(places, self._timeout_s)
            return {
                place.partition: parse_settled(max(0, place.offset), place.metadata).from_offset(
                    self._consumer.get_watermark_offsets(place, self._timeout_s)[0]
                )
                for place in committed
            }

    def settle(self, letters: Collection[DeadLetter]) -> int:
        """Commit that dead letters are settled; returns how many could not be kept, because they lie too scattered."""
        offsets: dict[int, list[int]] = {}
        for letter in letters:
            offsets.setdefault(letter.partition, []).append(letter.offset)
        before = self.settled()
        after = {number: before[number].add(found).bounded() for number, found in offsets.items()}
        places = [TopicPartition(self._topic, number, one.until, one.metadata()) for number, one in after.items()]
        if places:
            with self._outages():
                self._consumer.commit(offsets=places, asynchronous=False)
        return sum(not after[letter.partition].has(letter.offset) for letter in letters)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _partitions(self) -> list[int]:
        with self._outages():
            topic = self._consumer.list_topics(self._topic, self._timeout_s).topics[self._topic]
        if topic.error:
            if diagnose(topic.error) is Trouble.TOPIC_MISSING:
                raise StopError(explain(topic.error, self._config, self._topic))
            raise self._outage(topic.error)
        return sorted(topic.partitions)

    def _until(self, partition: int, end: int) -> Iterator[DeadLetter]:
        while True:
            message = self._consumer.poll(self._timeout_s)
            if message is None:
                raise OutageError(f"{where(self._config)} gives no messages")
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF:
                    return
                raise self._outage(error)
            offset = message.offset() or 0
            if offset < end:
                yield _letter(message, partition, offset)
            if offset >= end - 1:
                return

    @contextlib.contextmanager
    def _outages(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise self._outage(error.args[0]) from None

    def _outage(self, error: KafkaError) -> OutageError:
        if diagnose(error) in (Trouble.UNREACHABLE, Trouble.TIMED_OUT):
            return OutageError(f"{where(self._config)} cannot be reached")
        return OutageError(f"{where(self._config)}: {detail(error)}")


def _letter(message: Message, partition: int, offset: int) -> DeadLetter:
    # A message that was received has its headers as a list, and their values as bytes.
    pairs = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in pairs}
    return DeadLetter(partition, offset, message.timestamp()[1], message.key(), message.value(), headers)
