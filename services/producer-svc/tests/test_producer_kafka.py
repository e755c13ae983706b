"""The publisher, on a real (embedded) broker and on none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its own names

from local_stack.servers import embedded_broker, free_port
from monitoring_core.clock import from_ms
from monitoring_core.config import KafkaConfig
from monitoring_core.testing.builders import make_result
from producer_svc.adapters import kafka
from producer_svc.adapters.kafka import KafkaPublisher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.result import CheckResult

pytestmark = pytest.mark.integration_test


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_broker(tmp_path_factory.mktemp("broker")) as servers:
        yield servers


@pytest.fixture
def config(broker: str, request: pytest.FixtureRequest) -> KafkaConfig:
    return KafkaConfig(bootstrap_servers=broker, topic_name=request.node.name)


def create(config: KafkaConfig) -> None:
    admin = AdminClient({"bootstrap.servers": config.bootstrap_servers})
    admin.create_topics([NewTopic(config.topic_name, 1, 1)])[config.topic_name].result(10)


def results(count: int) -> list[CheckResult]:
    return [make_result(target_id=i, scheduled_at=from_ms(1_000 * i)) for i in range(1, count + 1)]


def arrived(config: KafkaConfig) -> list[int]:
    """The targets of all results in the topic."""
    consumer = Consumer({"bootstrap.servers": config.bootstrap_servers, "group.id": "oracle"})
    consumer.assign([TopicPartition(config.topic_name, 0, 0)])
    found: list[int] = []
    while messages := consumer.consume(1000, 2):
        found += [json.loads(m.value() or b"")["target_id"] for m in messages if not m.error()]
    consumer.close()
    return found


def test_a_flush_returns_when_everything_is_acknowledged(config: KafkaConfig) -> None:
    """Nothing is left, and everything is in the topic once."""
    create(config)
    publisher = KafkaPublisher(config)
    assert all(publisher.publish(result) for result in results(500))
    assert publisher.flush(10) == 0
    assert sorted(arrived(config)) == list(range(1, 501))


def test_a_missing_topic_is_said_once_and_waited_for(config: KafkaConfig, capsys: pytest.CaptureFixture[str]) -> None:
    """When it comes, so do the results that were published before."""
    publisher = KafkaPublisher(config)
    assert all(publisher.publish(result) for result in results(20))
    assert publisher.flush(8) == 20
    create(config)
    assert publisher.flush(30) == 0
    assert sorted(set(arrived(config))) == list(range(1, 21))
    said = capsys.readouterr().out
    assert said.count(f"topic {config.topic_name} does not exist: run dbadmin create-topics") == 1
    assert said.count("results are sent again") == 1


def test_after_a_fatal_error_a_new_session_sends_what_the_old_one_had(config: KafkaConfig) -> None:
    """An idempotent producer ends for good at some errors; its results do not."""
    create(config)
    publisher = KafkaPublisher(config)
    first, second = results(40)[:20], results(40)[20:]
    assert all(publisher.publish(result) for result in first)
    ended = publisher._producer
    publisher._on_error(KafkaError(KafkaError._FATAL, "out of order sequence", fatal=True))
    publisher.poll()
    assert publisher._producer is not ended
    assert all(publisher.publish(result) for result in second)
    assert publisher.flush(20) == 0
    assert sorted(set(arrived(config))) == list(range(1, 41))


def test_a_full_queue_refuses_and_counts_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded while Kafka is away: whoever publishes hears that the result is lost."""
    monkeypatch.setattr(kafka, "MAX_UNACKNOWLEDGED", 10)
    publisher = KafkaPublisher(KafkaConfig(bootstrap_servers=f"127.0.0.1:{free_port()}"))
    taken = [publisher.publish(result) for result in results(12)]
    assert (taken[0], taken[-1], sum(taken) <= 10) == (True, False, True)
    assert publisher.flush(0.5) == sum(taken)
