"""The sender of results to Kafka."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from monitoring_runtime.kafka import SILENT, ClientProperties, Trouble, detail, diagnose, explain, where
from monitoring_runtime.retry import RETURNED_BY_KAFKA

if TYPE_CHECKING:
    from monitoring_core.config import KafkaConfig
    from producer_svc.outbox_entries import OutboxEntry

log = structlog.get_logger()

SETTINGS: dict[str, object] = {
    "client.id": "producer-svc",
    # Store each result once, acknowledge it when all in-sync replicas have it, and retry without end.
    "enable.idempotence": True,
    "acks": "all",
    "message.timeout.ms": 0,
    "linger.ms": 20,
    "compression.type": "lz4",
    "allow.auto.create.topics": False,
    # How long an unknown topic counts as one that brokers have not heard of yet; the default is 30 s.
    "topic.metadata.propagation.max.ms": 5000,
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 5000,
}

# Without an acknowledgement for this long, Kafka is away. Shorter ones are elections and restarts.
AWAY_S = 60.0


class KafkaSender:
    """An idempotent producer that waits for all in-sync replicas and never gives up on an entry.

    An entry that comes back with an error is sent again; after a fatal error, which ends an idempotent producer, the
    entries move to a new one. Results have an identity, so one that is sent twice is stored once.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._properties = ClientProperties(config)
        self._acknowledged: list[OutboxEntry] = []
        self._handed: dict[OutboxEntry, None] = {}
        self._returned: deque[OutboxEntry] = deque()
        self._backoff = RETURNED_BY_KAFKA.backoff()
        self._retry_at = 0.0
        self._fatal = False
        self._replace_at = 0.0
        self._trouble: str | None = None
        self._topic_missing = False
        # Since when entries have waited without an acknowledgement; None when none waits.
        self._silent_since: float | None = None
        self._producer = self._connect()

    @property
    def in_flight(self) -> int:
        """How many entries Kafka has not yet acknowledged."""
        return len(self._handed) + len(self._returned)

    @property
    def outage(self) -> str | None:
        """Why entries do not get to Kafka: as soon as it says that the topic is missing, else after AWAY_S."""
        if self._silent_since is None:
            return None
        if self._topic_missing:
            return self._trouble
        silent_s = time.monotonic() - self._silent_since
        if silent_s < AWAY_S:
            return None
        return self._trouble or f"{where(self._config)} has acknowledged no result for {silent_s:.0f} s"

    def drain_acknowledged(self) -> list[OutboxEntry]:
        """The entries that Kafka has acknowledged since the last call; also sends again those that came back."""
        self.wait(0.0)
        if (self._fatal and time.monotonic() >= self._replace_at) or self._properties.changed():
            self._replace()
        if self._returned and time.monotonic() >= self._retry_at:
            returned, self._returned = self._returned, deque()
            for entry in returned:
                self.send(entry)
        acknowledged, self._acknowledged = self._acknowledged, []
        return acknowledged

    def send(self, entry: OutboxEntry) -> None:
        """Hand an entry to Kafka's client."""

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            del self._handed[entry]
            if error is None:
                self._acknowledged.append(entry)
                self._silent_since = time.monotonic() if self.in_flight else None
                if self._trouble:
                    self._reached()
            else:
                self._return(entry)
                self._topic_missing = diagnose(error) is Trouble.TOPIC_MISSING
                self._lost(explain(error, self._config))

        if self._silent_since is None:
            self._silent_since = time.monotonic()
        try:
            self._producer.produce(self._config.topic_name, entry.value, entry.key, on_delivery=on_delivery)
            self._handed[entry] = None
        except BufferError:
            self._return(entry)
        except KafkaException as error:
            self._fatal = self._fatal or error.args[0].code() == KafkaError._FATAL
            self._return(entry)

    def wait(self, timeout_s: float) -> None:
        """Wait for acknowledgements, at most `timeout_s` seconds."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:  # a fatal error may be raised here without a call of _on_error
            if not error.args[0].fatal():
                raise
            self._fatal = True

    def _connect(self) -> Producer:
        properties = self._properties.read() | SETTINGS | {"error_cb": self._on_error}
        return Producer(properties, logger=SILENT)

    def _return(self, entry: OutboxEntry) -> None:
        self._returned.append(entry)
        self._retry_at = time.monotonic() + self._backoff.next()

    def _replace(self) -> None:
        """Begin a new producer in place of one that has ended or has old secrets, and send all its entries again."""
        self._replace_at = time.monotonic() + self._backoff.next()
        try:
            new = self._connect()
        except KafkaException as error:  # no threads, or a file that is missing for a moment
            self._lost(f"a new session with Kafka cannot begin: {detail(error.args[0])}")
            return
        if self._fatal:
            log.warning(
                "Kafka ended this producer's session, beginning a new one", kafka=self._config.bootstrap_servers
            )
        else:
            log.info("Kafka's secrets have changed, beginning a new session", kafka=self._config.bootstrap_servers)
        self._fatal = False
        self._producer.purge()
        self._producer = new
        # The old producer will call no callback for its entries, because nothing polls it any more.
        handed, self._handed = self._handed, {}
        for entry in handed:
            self._return(entry)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = True
        else:
            self._lost(explain(error, self._config))

    def _lost(self, why: str) -> None:
        if self._trouble != why:
            log.warning("results cannot be sent, retrying", error=why)
        self._trouble = why

    def _reached(self) -> None:
        log.info("results are sent again", kafka=self._config.bootstrap_servers)
        self._trouble, self._topic_missing = None, False
