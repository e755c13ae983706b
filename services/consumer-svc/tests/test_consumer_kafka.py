"""The source and the dead letters, on a real (embedded) broker."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from consumer_svc.adapters.dead_letter_topic import DeadLetterTopic
from consumer_svc.adapters.dead_letters import KafkaDeadLetters
from consumer_svc.adapters.kafka_settings import CLIENT_ID
from consumer_svc.ports import Poison
from local_stack.processes import free_port
from local_stack.servers import broker_program
from monitoring_core.config import Config, load_config
from monitoring_core.errors import OutageError, StopError
from monitoring_runtime import kafka_source
from monitoring_runtime.background import in_background
from monitoring_runtime.kafka_source import KafkaSource
from monitoring_runtime.topic_states import KafkaTopicStates
from monitoring_runtime.topics import Received
from monitoring_testkit.consumer.messages import FakeMessage
from monitoring_testkit.waiting import until

pytestmark = pytest.mark.integration_test

silent = logging.getLogger("test_consumer_kafka.librdkafka")
silent.addHandler(logging.NullHandler())
silent.propagate = False


@contextlib.contextmanager
def started(directory: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a broker, and its process."""
    address = f"127.0.0.1:{free_port()}"
    listen = {"LISTENER_URL": f"tcp://{address}", "ADVERTISED_LISTENER_URL": f"tcp://{address}"}
    env = os.environ | listen | {"STORAGE_ENGINE": "memory://tansu/", "RUST_LOG": "warn"}
    with (directory / "log").open("wb") as output:
        process = subprocess.Popen([broker_program(), "broker"], env=env, stdout=output, stderr=output)
    admin = AdminClient({"bootstrap.servers": address}, logger=silent)

    def answers() -> bool:
        try:
            return bool(admin.list_topics(timeout=1))
        except KafkaException:
            return False

    try:
        until(answers)
        yield address, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(tmp_path_factory.mktemp("broker")) as (address, _):
        yield address


@pytest.fixture
def config(broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    """A configuration with topics and a group of the test's own."""
    return configured(broker, tmp_path, f"t{abs(hash(request.node.name))}")


def configured(address: str, directory: Path, name: str) -> Config:
    file = directory / "config.yaml"
    file.write_text(
        f"kafka: {{bootstrap_servers: '{address}', topic_name: {name}}}\n"
        f"database: {{host: nowhere, user: nobody}}\nconsumer: {{group_id: {name}, session_timeout: 3s}}\n"
    )
    return load_config(file, environ={})


def create(config: Config, *topics: str) -> None:
    admin = AdminClient({"bootstrap.servers": config.kafka.bootstrap_servers}, logger=silent)
    for future in admin.create_topics([NewTopic(topic, 2, 1) for topic in topics]).values():
        future.result(60)


def produce(config: Config, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": config.kafka.bootstrap_servers}, logger=silent)
    for value in values:
        producer.produce(config.kafka.topic_name, value, b"key", partition=0)
    assert producer.flush(10) == 0


def no_lag(_lag: Mapping[int, int]) -> None:
    """Ignores the lag."""


def subscribe(source: KafkaSource, on_revoked: Callable[[Collection[int]], None] = lambda _: None) -> None:
    """Subscribe, and start each partition at its beginning."""
    source.subscribe(lambda partitions: source.start(dict.fromkeys(partitions, 0)), on_revoked)


def received(source: KafkaSource, count: int) -> list[Received]:
    messages: list[Received] = []

    def enough() -> bool:
        messages.extend(source.poll(100, 0.2))
        return len(messages) >= count

    until(enough)
    return messages


def test_a_paused_source_gives_nothing_until_it_is_resumed(config: Config) -> None:
    """Polling goes on meanwhile, and nothing is skipped."""
    create(config, config.kafka.topic_name)
    source = KafkaSource(config.kafka, config.consumer, no_lag, CLIENT_ID)
    subscribe(source)
    until(lambda: not source.poll(10, 0.1) and source.assigned)
    source.pause(True)
    produce(config, b"a")
    assert source.poll(10, 0.5) == []
    source.pause(False)
    assert [m.value() for m in received(source, 1)] == [b"a"]
    source.close()


def test_partitions_are_given_up_in_order_when_the_source_closes(config: Config) -> None:
    """The service is told, and can still commit what is written."""
    create(config, config.kafka.topic_name)
    produce(config, b"a")
    source = KafkaSource(config.kafka, config.consumer, no_lag, CLIENT_ID)
    revoked = threading.Event()

    def commit(_partitions: Collection[int]) -> None:
        source.commit({0: 1})
        revoked.set()

    subscribe(source, commit)
    received(source, 1)
    source.close()
    assert revoked.is_set()
    reader = Consumer(
        {"bootstrap.servers": config.kafka.bootstrap_servers, "group.id": config.consumer.group_id}, logger=silent
    )
    assert [p.offset for p in reader.committed([TopicPartition(config.kafka.topic_name, 0)], timeout=60)] == [1]
    reader.close()


def test_a_kafka_that_does_not_answer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the loop, which must beat and notice a stop, nor the end; and the commits made before are kept."""
    monkeypatch.setattr(kafka_source, "_CLOSE_S", 0.1)
    closings: list[Future[None]] = []

    def noted(name: str, act: Callable[[], None]) -> Future[None]:
        closings.append(in_background(name, act))
        return closings[-1]

    monkeypatch.setattr(kafka_source, "in_background", noted)
    with started(tmp_path) as (address, process):
        config = configured(address, tmp_path, "frozen")
        create(config, config.kafka.topic_name)
        produce(config, b"a", b"b")
        source = KafkaSource(config.kafka, config.consumer, no_lag, CLIENT_ID)
        subscribe(source)
        received(source, 2)
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        source.commit({0: 1})
        source.poll(1, 0.1)
        source.close()
        assert [closing.done() for closing in closings] == [False]
        assert time.monotonic() - began < 30  # a commit that is waited for would take a minute
        process.send_signal(signal.SIGCONT)
        reader = Consumer(
            {"bootstrap.servers": config.kafka.bootstrap_servers, "group.id": config.consumer.group_id}, logger=silent
        )
        place = [TopicPartition(config.kafka.topic_name, 0)]
        until(lambda: [found.offset for found in reader.committed(place, timeout=60)] == [1])
        reader.close()


def test_a_missing_topic_is_said_once_and_waited_for(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what to do; as soon as there is a topic, its messages are read."""
    source = KafkaSource(config.kafka, config.consumer, no_lag, CLIENT_ID)
    subscribe(source)
    said: list[str] = []

    def told() -> bool:
        source.poll(10, 0.2)
        said.append(capsys.readouterr().out)
        return "run dbadmin create-topics" in "".join(said)

    until(told)
    create(config, config.kafka.topic_name)
    produce(config, b"a")
    assert [m.value() for m in received(source, 1)] == [b"a"]
    source.close()
    assert ("".join(said) + capsys.readouterr().out).count("run dbadmin create-topics") == 1


def test_dead_letters_hold_the_bytes_and_the_reason(config: Config) -> None:
    """They are in the topic before send returns, with all that is needed to find and replay them."""
    create(config, config.kafka.dead_letter_topic)
    message = FakeMessage(partition=1, offset=41, key=b"k\xff", value=b"\xff\x00", timestamp=(1, 7))
    KafkaDeadLetters(config.kafka).send([Poison(message, "not_json", "größer")])
    letter = first_of(config, config.kafka.dead_letter_topic)
    assert (letter.key(), letter.value()) == (b"k\xff", b"\xff\x00")
    assert {name: value.decode() for name, value in headers(letter)} == {
        "reason": "not_json",
        "error": "größer",
        "original_topic": config.kafka.topic_name,
        "original_partition": "1",
        "original_offset": "41",
        "original_timestamp": "7",
    }


def headers(letter: Message) -> list[tuple[str, bytes]]:
    """The headers of a received message, which come as a list of names and bytes."""
    return cast("list[tuple[str, bytes]]", letter.headers())


def first_of(config: Config, topic: str) -> Message:
    reader = Consumer({"bootstrap.servers": config.kafka.bootstrap_servers, "group.id": "reader"}, logger=silent)
    reader.assign([TopicPartition(topic, number, 0) for number in (0, 1)])
    found: list[Message] = []

    def came() -> bool:
        message = reader.poll(0.5)
        if message is not None and not message.error():
            found.append(message)
        return bool(found)

    until(came)
    reader.close()
    return found[0]


def test_an_unreachable_kafka_is_said_once_and_nothing_else_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One plain line that names the address, however many tries there are."""
    address = f"127.0.0.1:{free_port()}"
    file = tmp_path / "config.yaml"
    file.write_text(f"kafka: {{bootstrap_servers: '{address}'}}\ndatabase: {{host: nowhere, user: nobody}}\n")
    away = load_config(file, environ={})
    source = KafkaSource(away.kafka, away.consumer, no_lag, CLIENT_ID)
    subscribe(source)
    for _ in range(10):
        source.poll(10, 0.1)
    source.close()
    out, err = capfd.readouterr()
    assert out.count(f"Kafka at {address} cannot be reached") == 1
    assert err == ""


def test_dead_letters_cannot_be_read_without_kafka_or_their_topic(config: Config, tmp_path: Path) -> None:
    """One line says which of the two is missing."""
    with (
        contextlib.closing(DeadLetterTopic(config)) as topic,
        pytest.raises(StopError, match="run dbadmin create-topic"),
    ):
        list(topic.read({}))
    file = tmp_path / "away.yaml"
    file.write_text(f"kafka: {{bootstrap_servers: '127.0.0.1:{free_port()}'}}\ndatabase: {{host: x, user: y}}\n")
    topic = DeadLetterTopic(load_config(file, environ={}), timeout_s=1)
    with contextlib.closing(topic), pytest.raises(OutageError, match=r"^Kafka at 127\.0\.0\.1:\d+ cannot be reached$"):
        topic.settled()


def test_dead_letters_that_are_not_acknowledged_are_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not count as sent."""
    monkeypatch.setattr("consumer_svc.adapters.topic_writer._TIMEOUT_S", 0.5)
    file = tmp_path / "config.yaml"
    file.write_text(f"kafka: {{bootstrap_servers: '127.0.0.1:{free_port()}'}}\ndatabase: {{host: x, user: y}}\n")
    away = load_config(file, environ={})
    with pytest.raises(OutageError, match=r"topic website_availability.dlq at .* cannot be written"):
        KafkaDeadLetters(away.kafka).send(
            [Poison(FakeMessage(partition=0, offset=0, timestamp=(1, 0)), "empty", "no value")]
        )


def test_what_kafka_refuses_is_said_once(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """However often it is tried again, and although the broker can be reached."""
    source = KafkaSource(config.kafka, config.consumer, no_lag, CLIENT_ID)
    for _ in range(5):
        source._on_error(KafkaError(KafkaError.INVALID_SESSION_TIMEOUT))
        source._on_statistics('{"brokers": {"b": {"state": "UP", "nodeid": 1}}, "topics": {}}')
    source.close()
    assert capsys.readouterr().out.count("Invalid session timeout") == 1


def test_a_refused_handshake_is_said_once_however_long_each_took(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """librdkafka ends its texts with times and counts, which differ at every try."""
    source = KafkaSource(config.kafka, config.consumer, no_lag, CLIENT_ID)
    for after in ("3ms in state SSL_HANDSHAKE", "4ms in state SSL_HANDSHAKE, 5 identical error(s) suppressed"):
        text = f"ssl://k:1/bootstrap: SSL handshake failed: certificate verify failed (after {after})"
        source._on_error(KafkaError(KafkaError._SSL, text))
    source.close()
    assert capsys.readouterr().out.count("certificate verify failed") == 1


def test_a_topic_has_an_identity_and_the_beginning_of_each_partition(config: Config) -> None:
    """Both stay the same; a topic of the same name that is made anew has another identity."""
    create(config, config.kafka.topic_name)
    produce(config, b"a")
    states = KafkaTopicStates(config.kafka, CLIENT_ID)
    state = states.now()
    assert state.begins == {0: 0, 1: 0}
    assert state.topic.name == config.kafka.topic_name
    assert state.topic.cluster
    assert states.now() == state
    admin = AdminClient({"bootstrap.servers": config.kafka.bootstrap_servers}, logger=silent)
    admin.delete_topics([config.kafka.topic_name])[config.kafka.topic_name].result(60)
    create(config, config.kafka.topic_name)
    assert state.topic.id
    assert states.now().topic.id not in ("", state.topic.id)


def test_a_topic_cannot_be_described_without_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an outage."""
    monkeypatch.setattr("monitoring_runtime.topic_states._TIMEOUT_S", 0.5)
    away = configured(f"127.0.0.1:{free_port()}", tmp_path, "away")
    with pytest.raises(OutageError, match=r"^Kafka at 127\.0\.0\.1:\d+ cannot be reached$"):
        KafkaTopicStates(away.kafka, CLIENT_ID).now()
