"""Messages from the topic of results, as a member of the consumers' group."""

from __future__ import annotations

import json
from concurrent.futures import wait
from typing import TYPE_CHECKING, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from consumer_svc.adapters.kafka_settings import source_settings
from consumer_svc.adapters.read_outages import ReadOutages
from monitoring_core.config import Assignor, GroupProtocol
from monitoring_runtime.background import in_background
from monitoring_runtime.kafka import SILENT, detail

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from consumer_svc.ports import Received
    from monitoring_core.config import ConsumerConfig, KafkaConfig

log = structlog.get_logger()

_CLOSE_S = 10.0


class KafkaSource:
    """A member of a consumer group that commits by hand."""

    def __init__(
        self, config: KafkaConfig, consumer: ConsumerConfig, on_lag: Callable[[Mapping[int, int]], None]
    ) -> None:
        self._topic = config.topic_name
        self._on_lag = on_lag
        self._outages = ReadOutages(config)
        self._partitions: list[TopicPartition] = []
        # The partitions given up since the last poll began.
        self._given_up: set[int] = set()
        self._paused = False
        self._incremental = (
            consumer.group_protocol is GroupProtocol.CONSUMER or consumer.assignor is Assignor.COOPERATIVE_STICKY
        )
        callbacks = {"error_cb": self._on_error, "stats_cb": self._on_statistics, "on_commit": _on_commit}
        self._consumer = Consumer({**source_settings(config, consumer), **callbacks}, logger=SILENT)

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
            numbers = _numbers(partitions)
            on_revoked(numbers)
            forget(numbers)

        def lose(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            # Other members have these partitions already: forget them first, so that on_revoked commits no offset.
            numbers = _numbers(partitions)
            forget(numbers)
            on_revoked(numbers)

        self._consumer.subscribe([self._topic], on_assign=self._assign, on_revoke=revoke, on_lost=lose)

    def poll(self, limit: int, timeout_s: float) -> list[Received]:
        """Up to `limit` messages. Must be called regularly, or this member loses its partitions."""
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
        if gone := self._given_up - _numbers(self._partitions):
            return [message for message in received if message.partition() not in gone]
        return received

    def pause(self, paused: bool) -> None:
        """Pause or resume fetching; `poll` must still be called."""
        self._paused = paused
        if self._partitions:
            (self._consumer.pause if paused else self._consumer.resume)(self._partitions)

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

    def _assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Add partitions: all of them with an eager assignor, the new ones with an incremental one."""
        self._partitions += partitions
        if self._paused and partitions:
            if self._incremental:
                self._consumer.incremental_assign(partitions)
            else:
                self._consumer.assign(partitions)
            self._consumer.pause(partitions)
        if partitions:
            self._outages.end_refusals()
        log.info("assigned", partitions=sorted(_numbers(self._partitions)))

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
