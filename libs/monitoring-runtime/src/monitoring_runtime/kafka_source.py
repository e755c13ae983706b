"""Messages from the topic of results, as a member of a group of readers."""

from __future__ import annotations

import json
from concurrent.futures import wait
from typing import TYPE_CHECKING, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from monitoring_core.config import Assignor, GroupProtocol
from monitoring_runtime.background import in_background
from monitoring_runtime.group_settings import source_settings
from monitoring_runtime.kafka import SILENT, ClientProperties, detail
from monitoring_runtime.read_outages import ReadOutages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from monitoring_core.config import ConsumerConfig, KafkaConfig
    from monitoring_runtime.topics import Received

log = structlog.get_logger()

_CLOSE_S = 10.0


class KafkaSource:
    """A member of a consumer group that commits by hand."""

    def __init__(
        self,
        config: KafkaConfig,
        consumer: ConsumerConfig,
        on_lag: Callable[[Mapping[int, int]], None],
        client_id: str,
    ) -> None:
        """Args: client_id: the name of the service, which Kafka's logs and quotas know it by."""
        self._topic = config.topic_name
        self._on_lag = on_lag
        self._client_id = client_id
        self._outages = ReadOutages(config)
        self._partitions: list[TopicPartition] = []
        # The partitions given up since the last poll began.
        self._given_up: set[int] = set()
        self._paused = False
        # The partitions that give nothing, and of these the offsets from which they are to give their messages.
        self._held: set[int] = set()
        self._starts: dict[int, int] = {}
        self._incremental = (
            consumer.group_protocol is GroupProtocol.CONSUMER or consumer.assignor is Assignor.COOPERATIVE_STICKY
        )
        self._properties = ClientProperties(config)
        self._settings = consumer
        self._subscribe: Callable[[Consumer], None] | None = None
        self._consumer = self._connect()

    @property
    def assigned(self) -> bool:
        """What monitoring_runtime.topics.Source.assigned promises."""
        return bool(self._partitions)

    @property
    def outage(self) -> str | None:
        """What monitoring_runtime.topics.Source.outage promises."""
        return self._outages.present(self.assigned)

    def subscribe(
        self, on_assigned: Callable[[Collection[int]], None], on_revoked: Callable[[Collection[int]], None]
    ) -> None:
        """What monitoring_runtime.topics.Source.subscribe promises."""

        def assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            if consumer is self._consumer:
                self._assign(partitions)
                on_assigned(_numbers(partitions))

        def forget(numbers: set[int]) -> None:
            self._partitions = [mine for mine in self._partitions if mine.partition not in numbers]
            self._held -= numbers
            self._starts = {number: offset for number, offset in self._starts.items() if number not in numbers}
            self._given_up |= numbers

        def revoke(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            if consumer is self._consumer:
                numbers = _numbers(partitions)
                on_revoked(numbers)
                forget(numbers)

        def lose(consumer: Consumer | None, partitions: list[TopicPartition]) -> None:
            # Other members have these partitions already: forget them first, so that on_revoked commits no offset.
            if consumer in (None, self._consumer):
                numbers = _numbers(partitions)
                forget(numbers)
                on_revoked(numbers)

        def subscribe(consumer: Consumer) -> None:
            lose(None, self._partitions)  # what the last client did not give up in order
            consumer.subscribe([self._topic], on_assign=assign, on_revoke=revoke, on_lost=lose)

        self._subscribe = subscribe
        subscribe(self._consumer)

    def hold(self) -> None:
        """Let no partition give any more messages until `start`."""
        self._starts.clear()
        self._held = _numbers(self._partitions)
        if self._partitions:
            self._consumer.pause(self._partitions)

    def start(self, offsets: Mapping[int, int]) -> None:
        """What monitoring_runtime.topics.Source.start promises."""
        mine = _numbers(self._partitions)
        self._starts |= {number: offset for number, offset in offsets.items() if number in mine}
        if again := self._starts.keys() - self._held:
            self._held |= again
            self._consumer.pause([part for part in self._partitions if part.partition in again])
        self._seek()

    def poll(self, limit: int, timeout_s: float) -> list[Received]:
        """What monitoring_runtime.topics.Source.poll promises."""
        if self._properties.changed():
            self._replace()
        if self._starts:
            self._seek()
        self._given_up.clear()
        received: list[Received] = []
        for message in self._consumer.consume(limit, timeout_s):
            if error := message.error():
                self._on_error(error)
            else:
                received.append(cast("Received", message))  # a message without an error has a partition and an offset
        if received:
            self._outages.end_refusals()
        # A partition that was given up during this call may have been assigned again during it.
        if gone := self._given_up - _numbers(self._partitions) | self._held:
            return [message for message in received if message.partition() not in gone]
        return received

    def pause(self, paused: bool) -> None:
        """What monitoring_runtime.topics.Source.pause promises."""
        self._paused = paused
        if parts := [part for part in self._partitions if part.partition not in self._held]:
            (self._consumer.pause if paused else self._consumer.resume)(parts)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition that is still assigned, without waiting for Kafka's answer.

        The commit reaches Kafka before the partitions are given up. A failed commit is harmless: a message that is
        delivered again is a duplicate, which the key of the rows keeps from being stored twice.
        """
        mine = _numbers(self._partitions)
        positions = [
            TopicPartition(self._topic, number, offset) for number, offset in offsets.items() if number in mine
        ]
        if not positions:
            return
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            _on_commit(error.args[0], positions)

    def close(self) -> None:
        """Leave the group; waits at most _CLOSE_S seconds for Kafka."""
        closing = in_background("closing", self._consumer.close)
        if wait([closing], _CLOSE_S).done:
            closing.result()

    def _connect(self) -> Consumer:
        callbacks = {"error_cb": self._on_error, "stats_cb": self._on_statistics, "on_commit": _on_commit}
        return Consumer(
            {**source_settings(self._properties.read(), self._settings, self._client_id), **callbacks}, logger=SILENT
        )

    def _replace(self) -> None:
        """Join the group anew, because librdkafka keeps the secrets that it began with."""
        try:
            new = self._connect()
        except KafkaException as error:  # a certificate without its key, while both are being replaced
            self._outages.note(error.args[0])
            return
        log.info("Kafka's secrets have changed: joining the group anew")
        self.close()
        self._consumer = new
        if self._subscribe:
            self._subscribe(new)

    def _assign(self, partitions: list[TopicPartition]) -> None:
        """Add partitions, held: all of them with an eager assignor, the new ones with an incremental one."""
        self._partitions += partitions
        if partitions:
            # An offset spares asking Kafka for one; `start` sets the right one before the first message is fetched.
            held = [TopicPartition(self._topic, part.partition, 0) for part in partitions]
            if self._incremental:
                self._consumer.incremental_assign(held)
            else:
                self._consumer.assign(held)
            self._consumer.pause(held)
            self._held |= _numbers(partitions)
            self._outages.end_refusals()
        log.info("assigned", partitions=sorted(_numbers(self._partitions)))

    def _seek(self) -> None:
        """Start what is to be started; what librdkafka has not begun to fetch yet is left to the next poll."""
        started = []
        for number, offset in self._starts.items():
            place = TopicPartition(self._topic, number, offset)
            try:
                self._consumer.seek(place)
            except KafkaException as error:
                if error.args[0].code() not in (KafkaError._STATE, KafkaError._PREV_IN_PROGRESS):
                    self._outages.note(error.args[0])
            else:
                started.append(place)
        if started:
            if not self._paused:
                self._consumer.resume(started)
            numbers = _numbers(started)
            self._held -= numbers
            self._starts = {number: offset for number, offset in self._starts.items() if number not in numbers}

    def _on_error(self, error: KafkaError) -> None:
        self._outages.note(error)

    def _on_statistics(self, text: str) -> None:
        """Read what librdkafka knows about itself (librdkafka, STATISTICS.md)."""
        statistics = json.loads(text)
        brokers = statistics["brokers"].values()
        if any(broker["state"] == "UP" and broker["nodeid"] >= 0 for broker in brokers):
            self._outages.end_absence()
        known = statistics["topics"].get(self._topic, {"partitions": {}})["partitions"]
        mine = _numbers(self._partitions)
        lag = {number: known[str(number)]["consumer_lag"] for number in mine if str(number) in known}
        self._on_lag({number: messages for number, messages in lag.items() if messages >= 0})


def _numbers(partitions: list[TopicPartition]) -> set[int]:
    return {partition.partition for partition in partitions}


def _on_commit(error: KafkaError | None, _positions: list[TopicPartition]) -> None:
    if error:
        log.warning("offsets cannot be committed", error=detail(error))
