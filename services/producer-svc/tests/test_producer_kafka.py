"""The publisher, on a real (embedded) broker and on none."""

from __future__ import annotations

import ctypes
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import confluent_kafka
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its own names

from local_stack.servers import embedded_broker
from monitoring_core.clock import from_ms
from monitoring_core.codec import encode, encode_key
from monitoring_core.config import KafkaConfig
from monitoring_core.testing.builders import make_result
from monitoring_testkit.waiting import until
from producer_svc.adapters import kafka as kafka_module
from producer_svc.adapters.kafka import KafkaSender
from producer_svc.outbox_entries import OutboxEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    admin.create_topics([NewTopic(config.topic_name, 1, 1)])[config.topic_name].result(60)


def entries(first: int, last: int) -> list[OutboxEntry]:
    made = {i: make_result(target_id=i, scheduled_at=from_ms(1_000 * i)) for i in range(first, last + 1)}
    return [OutboxEntry(1_000 * i, encode_key(result), encode(result), up=True) for i, result in made.items()]


def acknowledged(sender: KafkaSender, timeout_s: float) -> set[int]:
    """The entries that are acknowledged until nothing is in flight any more, or the time is over."""
    deadline, found = time.monotonic() + timeout_s, set[int]()
    while sender.in_flight and time.monotonic() < deadline:
        sender.wait(0.1)
        found |= {entry.slot_ms // 1_000 for entry in sender.drain_acknowledged()}
    return found | {entry.slot_ms // 1_000 for entry in sender.drain_acknowledged()}


def arrived(config: KafkaConfig) -> list[int]:
    """The targets of all results in the topic."""
    consumer = Consumer({"bootstrap.servers": config.bootstrap_servers, "group.id": "oracle"})
    consumer.assign([TopicPartition(config.topic_name, 0, 0)])
    found: list[int] = []
    while messages := consumer.consume(1000, 2):
        found += [json.loads(m.value() or b"")["target_id"] for m in messages if not m.error()]
    consumer.close()
    return found


def test_what_is_acknowledged_is_in_the_topic_once(config: KafkaConfig) -> None:
    """Nothing is left, and nothing is said twice."""
    create(config)
    sender = KafkaSender(config)
    for entry in entries(1, 500):
        sender.send(entry)
    assert acknowledged(sender, 10) == set(range(1, 501))
    assert sender.drain_acknowledged() == []
    assert sorted(arrived(config)) == list(range(1, 501))


def test_a_missing_topic_is_said_once_and_waited_for(config: KafkaConfig, capsys: pytest.CaptureFixture[str]) -> None:
    """When it comes, so do the results that were sent before."""
    sender = KafkaSender(config)
    for entry in entries(1, 20):
        sender.send(entry)
    assert acknowledged(sender, 8) == set()
    assert sender.in_flight == 20
    assert sender.outage == f"topic {config.topic_name} does not exist: run dbadmin create-topics"
    create(config)
    assert acknowledged(sender, 30) == set(range(1, 21))
    assert sorted(set(arrived(config))) == list(range(1, 21))
    said = capsys.readouterr().out
    assert said.count(f"topic {config.topic_name} does not exist: run dbadmin create-topics") == 1
    assert said.count("results are sent again") == 1
    assert sender.outage is None


def wait_silently(sender: KafkaSender, seconds: float) -> None:
    """As if the time had passed without an acknowledgement."""
    assert sender._silent_since is not None
    sender._silent_since -= seconds


def test_a_kafka_that_is_away_is_an_outage_after_a_minute() -> None:
    """Not before, and not while nothing waits; also when it says nothing at all."""
    sender = KafkaSender(KafkaConfig(bootstrap_servers="127.0.0.1:1", topic_name="any"))
    assert sender.outage is None
    sender.send(entries(1, 1)[0])
    wait_silently(sender, 55)
    assert sender.outage is None
    wait_silently(sender, 10)
    sender._trouble = None
    assert str(sender.outage).startswith("Kafka at 127.0.0.1:1 has acknowledged no result for 6")
    until(lambda: sender.drain_acknowledged() == [] and sender._trouble is not None)
    assert sender.outage == "Kafka at 127.0.0.1:1 cannot be reached"


def test_each_acknowledgement_ends_the_silence(config: KafkaConfig) -> None:
    """A steady stream is no outage, however long it lasts."""
    create(config)
    sender = KafkaSender(config)
    for number in range(1, 4):
        sender.send(entries(number, number)[0])
        wait_silently(sender, 40)
        assert sender.outage is None
        assert acknowledged(sender, 20) == {number}
        assert sender.outage is None
    assert sender._silent_since is None


def test_after_a_fatal_error_a_new_session_sends_what_the_old_one_had(config: KafkaConfig) -> None:
    """An idempotent producer ends for good at some errors; its results do not."""
    create(config)
    sender = KafkaSender(config)
    for entry in entries(1, 20):
        sender.send(entry)
    ended = sender._producer
    sender._on_error(KafkaError(KafkaError._FATAL, "out of order sequence", fatal=True))
    first = {entry.slot_ms // 1_000 for entry in sender.drain_acknowledged()}
    assert sender._producer is not ended
    for entry in entries(21, 40):
        sender.send(entry)
    assert first | acknowledged(sender, 20) == set(range(1, 41))
    assert sorted(set(arrived(config))) == list(range(1, 41))


def end_for_good(sender: KafkaSender) -> None:
    """A fatal error in librdkafka itself, by its own function for tests."""
    (library,) = Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka-*")
    handle = ctypes.c_void_p.from_address(id(sender._producer) + object.__basicsize__)
    out_of_order = KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert ctypes.CDLL(str(library)).rd_kafka_test_fatal_error(handle, out_of_order, b"as it would be") == 0


NOTICED: dict[str, Callable[[KafkaSender], None]] = {
    "by the next look": lambda _: None,
    "by the next result": lambda sender: sender.send(entries(6, 6)[0]),
    "while waiting": lambda sender: sender.wait(0.1),
}


@pytest.mark.parametrize("how", NOTICED)
def test_a_fatal_error_does_not_end_the_service(how: str) -> None:
    """However it is noticed, a new client takes over all that the old one had."""
    sender = KafkaSender(KafkaConfig(bootstrap_servers="127.0.0.1:1", topic_name="any"))
    for entry in entries(1, 5):
        sender.send(entry)
    ended, had = sender._producer, sender.in_flight
    end_for_good(sender)
    NOTICED[how](sender)
    had += how == "by the next result"
    assert sender.drain_acknowledged() == []
    assert sender._producer is not ended
    assert sender.in_flight == had
    sender._retry_at = 0.0
    assert sender.drain_acknowledged() == []
    assert sorted(entry.slot_ms // 1_000 for entry in sender._handed) == list(range(1, had + 1))


def test_a_new_client_that_cannot_be_made_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine may have no more threads, and a file of a certificate may be missing while it is renewed."""
    sender = KafkaSender(KafkaConfig(bootstrap_servers="127.0.0.1:1", topic_name="any"))
    for entry in entries(1, 5):
        sender.send(entry)
    ended = sender._producer
    end_for_good(sender)

    def fails(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._CRIT_SYS_RESOURCE, "Failed to create thread"))

    with monkeypatch.context() as patch:
        patch.setattr(kafka_module, "Producer", fails)
        for entry in entries(6, 10):
            assert sender.drain_acknowledged() == []
            sender.send(entry)
    assert (sender._producer, sender.in_flight) == (ended, 10)
    assert "Failed to create thread" in capsys.readouterr().out
    sender._replace_at = 0.0
    sender.drain_acknowledged()
    assert sender._producer is not ended
    sender._retry_at = 0.0
    sender.drain_acknowledged()
    assert sorted(entry.slot_ms // 1_000 for entry in sender._handed) == list(range(1, 11))
