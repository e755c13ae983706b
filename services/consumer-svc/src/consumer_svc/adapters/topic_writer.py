"""A writer that sends messages to a topic and waits until all are acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from confluent_kafka import KafkaError, KafkaException, Producer

from consumer_svc.adapters.kafka_settings import writer_settings
from monitoring_core.errors import OutageError
from monitoring_runtime.kafka import SILENT, ClientProperties, detail

if TYPE_CHECKING:
    from confluent_kafka import Message

    from monitoring_core.config import KafkaConfig

    Headers = dict[str, str | bytes | None]
    Content = tuple[bytes | None, bytes | None, Headers]

_TIMEOUT_S = 15.0
# Refusals of a message itself, which no later try changes (Kafka protocol guide, "Error Codes"). All else is an outage.
_PERMANENT = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }
)


@attrs.frozen
class Refusal:
    """A message that the topic will never take.

    Attributes:
        number: its place among those that were sent, from 0.
        too_large: whether a smaller one would be taken.
    """

    number: int
    too_large: bool
    why: str


class TopicWriter:
    """Writes into a topic, in order. The connection is made with the first message."""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._config = config
        self._topic = topic
        self._properties = ClientProperties(config)
        self._producer: Producer | None = None

    def offer(self, messages: list[Content]) -> list[Refusal]:
        """Send messages: key, value and headers; returns those that the topic will never take.

        All others are acknowledged when this returns.

        Raises:
            OutageError: Kafka cannot be reached, or does not take messages now.
        """
        if not messages:
            return []
        # A refusal of one message may hit all that travel with it: each of them is sent once more, by itself.
        found = self._try(messages)
        if len(messages) == 1 or not found:
            return found
        alone = [(one.number, self._try([messages[one.number]])) for one in found]
        return [attrs.evolve(one, number=number) for number, refusals in alone for one in refusals]

    def _try(self, messages: list[Content]) -> list[Refusal]:
        refused: list[Refusal] = []
        failed: list[KafkaError] = []
        producer = self._connect()

        def send(number: int, content: Content) -> None:
            def on_delivery(error: KafkaError | None, _message: Message) -> None:
                if error is not None:
                    note(number, error)

            key, value, headers = content
            try:
                producer.produce(self._topic, value, key, headers=headers, on_delivery=on_delivery)
            except KafkaException as error:
                note(number, error.args[0])

        def note(number: int, error: KafkaError) -> None:
            if error.code() in _PERMANENT:
                too_large = error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)
                refused.append(Refusal(number, too_large, detail(error)))
            else:
                failed.append(error)

        try:
            for number, content in enumerate(messages):
                send(number, content)
            left = producer.flush(_TIMEOUT_S)
        except BufferError:
            left = 1
        if left or failed:
            producer.purge()
            raise self._outage(detail(failed[0]) if failed else "no acknowledgement")
        return sorted(refused, key=lambda one: one.number)

    def _outage(self, why: str) -> OutageError:
        return OutageError(f"topic {self._topic} at {self._config.bootstrap_servers} cannot be written: {why}")

    def _connect(self) -> Producer:
        if self._producer is None or self._properties.changed():
            try:
                self._producer = Producer(writer_settings(self._properties.read()), logger=SILENT)
            except KafkaException as error:  # a certificate without its key, while both are being replaced
                self._producer = None
                raise self._outage(detail(error.args[0])) from None
        return self._producer
