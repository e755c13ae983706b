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
        return {place.partition: future.result(_TIMEOUT_S).offset for place, future in asked.items()}

    def _connect(self) -> AdminClient:
        if self._admin is None or self._properties.changed():
            properties: dict[str, str | int | float | bool] = {**self._properties.read(), "client.id": self._client_id}
            self._admin = None
            self._admin = AdminClient(properties, logger=SILENT)
        return self._admin

    def _state(self, admin: AdminClient) -> TopicState:
        name = self._config.topic_name
        # Not by list_topics with a name: Kafka may make a topic that somebody asks for.
        cluster = admin.describe_cluster(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S).cluster_id or ""
        described = admin.describe_topics(TopicCollection([name]), request_timeout=_TIMEOUT_S)[name].result(_TIMEOUT_S)
        begins = self._offsets(admin, [part.id for part in described.partitions], OffsetSpec.earliest())
        identity = str(described.topic_id)
        return TopicState(Topic(cluster, name, "" if identity == _NO_ID else identity), begins)
