"""The topic of alerts, written by one process at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Producer

from monitoring_alerting.event import encode, encode_key, headers
from monitoring_core.errors import OutageError
from monitoring_runtime.kafka import SILENT, ClientProperties, explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alert_svc.events.pending import Unpublished
    from monitoring_core.config import KafkaConfig

_TIMEOUT_S = 10.0


class AlertTopic:
    """Publishes events in transactions of Kafka, whose transactional id is the topic's name.

    Whoever opens it last is the only one who can write: Kafka refuses all that others write afterwards, and drops what
    they had not committed. So a process that stood still cannot put an old state behind a newer one.
    """

    def __init__(self, config: KafkaConfig, client_id: str, source: str) -> None:
        self._config = config
        self._source = source
        self._client_id = client_id
        self._name = config.alert_topic_name
        self._properties = ClientProperties(config)
        self._producer: Producer | None = None

    @property
    def is_open(self) -> bool:
        """Whether this process was the last to open it, as far as it knows, with the secrets of now."""
        return self._producer is not None and not self._properties.changed()

    def open(self) -> None:
        """Shut out whoever has opened it before.

        Raises:
            OutageError: Kafka cannot be reached, or refuses.
        """
        self.close()
        settings: dict[str, str | int | bool] = {
            **self._properties.read(),
            "client.id": self._client_id,
            "transactional.id": self._name,
            # If this process is killed, its successor need not wait for longer than that.
            "transaction.timeout.ms": round(1000 * _TIMEOUT_S),
            "allow.auto.create.topics": False,
            "compression.type": "lz4",
        }
        try:
            producer = Producer(settings, logger=SILENT)
            producer.init_transactions(_TIMEOUT_S)
        except KafkaException as error:
            raise self._outage(error) from None
        self._producer = producer

    def publish(self, events: Sequence[Unpublished]) -> None:
        """Publish events in this order: all of them are in the topic when this returns, or none.

        Raises:
            OutageError: Kafka cannot be reached, or refuses, or another process has opened the topic. It must be opened
                again. The events may be in the topic all the same.
        """
        producer = self._producer
        if producer is None:
            raise OutageError(f"topic {self._name} is not open")
        try:
            producer.begin_transaction()
            for one in events:
                producer.produce(
                    self._name, encode(one.event), encode_key(one.event), headers=self._headers(one), on_delivery=None
                )
            producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as error:
            self.close()
            raise self._outage(error) from None

    def close(self) -> None:
        """Forget the connection, and what it has not committed."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _headers(self, one: Unpublished) -> list[tuple[str, str | bytes | None]]:
        return [*headers(one.event, one.id, self._source).items()]

    def _outage(self, error: KafkaException) -> OutageError:
        return OutageError(f"events cannot be published: {explain(error.args[0], self._config, self._name)}")
