"""A writer that sends messages to a topic and waits until all are acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, Producer

from consumer_svc.adapters.kafka_settings import writer_settings
from monitoring_core.errors import OutageError
from monitoring_runtime.kafka import SILENT, detail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message

    from monitoring_core.config import KafkaConfig

    Headers = dict[str, str | bytes | None]

_TIMEOUT_S = 15.0


class TopicWriter:
    """Writes into a topic, in order. The connection is made with the first message."""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._config = config
        self._topic = topic
        self._producer: Producer | None = None

    def send(self, messages: Iterable[tuple[bytes | None, bytes | None, Headers]]) -> None:
        """Send messages: key, value and headers. All are acknowledged when this returns.

        Raises:
            OutageError: Kafka cannot be reached, or refuses a message.
        """
        failed: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error:
                failed.append(error)

        producer = self._connect()
        try:
            for key, value, headers in messages:
                producer.produce(self._topic, value, key, headers=headers, on_delivery=on_delivery)
            left = producer.flush(_TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            left, failed = 1, [*failed, *(arg for arg in error.args if isinstance(arg, KafkaError))]
        if left or failed:
            producer.purge()
            why = detail(failed[0]) if failed else "no acknowledgement"
            raise OutageError(f"topic {self._topic} at {self._config.bootstrap_servers} cannot be written: {why}")

    def _connect(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(writer_settings(self._config), logger=SILENT)
        return self._producer
