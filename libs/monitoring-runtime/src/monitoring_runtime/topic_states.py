"""What Kafka says of the topic of results: its identity, and the first offset that it still has of each partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # its own names

from monitoring_core.errors import OutageError
from monitoring_runtime.kafka import SILENT, ClientProperties, Trouble, diagnose, explain, where
from monitoring_runtime.topics import Topic, TopicState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from monitoring_core.config import KafkaConfig

_TIMEOUT_S = 5.0
# A request ends by itself after its timeout. It is waited for longer: librdkafka may abort the process when its client
# is destroyed before.
_WAIT_S = 2 * _TIMEOUT_S
T = TypeVar("T")
# What a broker gives in place of an ID when it knows of none.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"


class KafkaTopicStates:
    """Asks the cluster, over a connection of its own."""

    def __init__(self, config: KafkaConfig, client_id: str) -> None:
        """Args: client_id: the name of the service, which Kafka's logs and quotas know it by."""
        self._config = config
        self._client_id = client_id
        self._properties = ClientProperties(config)
        self._admin: AdminClient | None = None
        self._cluster_id: str | None = None

    def now(self) -> TopicState:
        """The topic as it is now.

        Raises:
            OutageError: Kafka does not answer in time, or not for every partition.
        """
        return self._ask(self._state)

    def ends(self, partitions: Collection[int]) -> dict[int, int]:
        """The offset after the last message of each of these partitions, as it is now.

        Raises:
            OutageError: Kafka does not answer in time, or not for every partition.
        """
        return self._ask(lambda admin: self._offsets(admin, partitions, OffsetSpec.latest()))

    def _ask(self, question: Callable[[AdminClient], T]) -> T:
        try:
            return question(self._connect())
        except KafkaException as error:
            if diagnose(error.args[0]) is not Trouble.TIMED_OUT:
                raise OutageError(explain(error.args[0], self._config)) from None
            raise OutageError(f"{where(self._config)} cannot be reached") from None
        except TimeoutError:
            raise OutageError(f"{where(self._config)} cannot be reached") from None

    def _offsets(self, admin: AdminClient, partitions: Collection[int], spec: OffsetSpec) -> dict[int, int]:
        wanted = {TopicPartition(self._config.topic_name, number): spec for number in partitions}
        asked = admin.list_offsets(wanted, request_timeout=_TIMEOUT_S)
        return {place.partition: future.result(_WAIT_S).offset for place, future in asked.items()}

    def _connect(self) -> AdminClient:
        if self._admin is None or self._properties.changed():
            properties: dict[str, str | int | float | bool] = {**self._properties.read(), "client.id": self._client_id}
            self._admin = self._cluster_id = None
            self._admin = AdminClient(properties, logger=SILENT)
        return self._admin

    def _state(self, admin: AdminClient) -> TopicState:
        name = self._config.topic_name
        if self._cluster_id is None:
            # Not by describe_cluster: librdkafka 2.16 aborts the process when a broker that has just started answers
            # that without any broker.
            self._cluster_id = admin.list_topics(timeout=_TIMEOUT_S).cluster_id or ""
        # Not by list_topics with a name: Kafka may make a topic that somebody asks for.
        described = admin.describe_topics(TopicCollection([name]), request_timeout=_TIMEOUT_S)[name].result(_WAIT_S)
        begins = self._offsets(admin, [part.id for part in described.partitions], OffsetSpec.earliest())
        identity = str(described.topic_id)
        return TopicState(Topic(self._cluster_id, name, "" if identity == _NO_ID else identity), begins)
