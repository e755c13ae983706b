"""Topics that brokers confirm before their metadata show them."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError, KafkaException

from dbadmin.install import topics
from monitoring_core.config import KafkaConfig
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from confluent_kafka.cimpl import NewPartitions, NewTopic

LATE = 3


class LateMetadata:
    """An AdminClient whose metadata show a change only when they are asked for the LATE-th time since."""

    def __init__(self, *_: object, **__: object) -> None:
        self._real: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._asked = 0

    def list_topics(self, timeout: float) -> SimpleNamespace:
        self._asked += 1
        if self._asked >= LATE:
            self._shown = dict(self._real)
        return SimpleNamespace(
            topics={name: SimpleNamespace(partitions=dict.fromkeys(range(n))) for name, n in self._shown.items()}
        )

    def create_topics(self, new: list[NewTopic]) -> dict[str, Future[None]]:
        return self._change({topic.topic: topic.num_partitions for topic in new})

    def create_partitions(self, new: list[NewPartitions]) -> dict[str, Future[None]]:
        return self._change({part.topic: part.new_total_count for part in new})

    def _change(self, counts: dict[str, int]) -> dict[str, Future[None]]:
        self._real |= counts
        self._asked = 0
        done: Future[None] = Future()
        done.set_result(None)
        return dict.fromkeys(counts, done)


@pytest.mark.parametrize(
    ("present", "refused"), [({}, "create_topics"), ({"website_availability": 1}, "create_partitions")]
)
def test_what_kafka_refuses_names_the_topic(
    present: dict[str, int], refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are three of them, and the account may have rights on some."""
    admin, config = LateMetadata(), KafkaConfig(bootstrap_servers="kafka:9092")
    admin._shown = admin._real = present
    future: Future[None] = Future()
    future.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    monkeypatch.setattr(topics, "AdminClient", lambda *_, **__: admin)
    monkeypatch.setattr(admin, refused, lambda _: {config.topic_name: future})
    with pytest.raises(StopError, match=r"^Kafka at kafka:9092, topic website_availability: .*authorization failed"):
        list(topics.create_topics(config, 3, 1))


def test_a_change_is_told_once_the_metadata_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a service that starts next, or a second run, would not see the topic."""
    admin, config = LateMetadata(), KafkaConfig(bootstrap_servers="kafka:9092")
    monkeypatch.setattr(topics, "AdminClient", lambda *_, **__: admin)
    name, letters, alerts = config.topic_name, config.dead_letter_topic, config.alert_topic_name
    assert list(topics.create_topics(config, 3, 1)) == [
        f"topic {name}: made with 3 partitions and replication 1",
        f"topic {letters}: made with 1 partition and replication 1",
        f"topic {alerts}: made with 1 partition and replication 1",
    ]
    assert list(topics.create_topics(config, 3, 1)) == [
        f"topic {name}: present with 3 partitions",
        f"topic {letters}: present with 1 partition",
        f"topic {alerts}: present with 1 partition",
    ]
    raised, *_ = topics.create_topics(config, 5, 1)
    again, *_ = topics.create_topics(config, 5, 1)
    assert (raised, again) == (
        f"topic {name}: raised from 3 to 5 partitions",
        f"topic {name}: present with 5 partitions",
    )
