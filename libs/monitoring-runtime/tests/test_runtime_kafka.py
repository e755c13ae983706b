"""What the errors of Kafka mean, in which words they are told, and that its client writes nothing itself."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError

from monitoring_core.config import KafkaConfig
from monitoring_core.config.values import Secret
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.kafka import SILENT, ClientProperties, Trouble, detail, diagnose, explain

CONFIG = KafkaConfig(bootstrap_servers="k:1,l:1", topic_name="results")
AWAY = "Kafka at k:1,l:1 cannot be reached"
NO_TOPIC = "topic results does not exist: run dbadmin create-topics"

TROUBLES = {
    KafkaError._TRANSPORT: (Trouble.UNREACHABLE, AWAY),
    KafkaError._ALL_BROKERS_DOWN: (Trouble.UNREACHABLE, AWAY),
    KafkaError._RESOLVE: (Trouble.UNREACHABLE, AWAY),
    KafkaError._TIMED_OUT: (Trouble.TIMED_OUT, "Kafka at k:1,l:1: it said so"),
    KafkaError.UNKNOWN_TOPIC_OR_PART: (Trouble.TOPIC_MISSING, NO_TOPIC),
    KafkaError._UNKNOWN_TOPIC: (Trouble.TOPIC_MISSING, NO_TOPIC),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (Trouble.OTHER, "Kafka at k:1,l:1: it said so"),
    KafkaError._SSL: (Trouble.OTHER, "Kafka at k:1,l:1: it said so"),
}


@pytest.mark.parametrize("code", TROUBLES)
def test_an_error_is_told_by_its_code(code: int) -> None:
    """With the address or the topic, and the command that mends it."""
    trouble, line = TROUBLES[code]
    error = KafkaError(code, "it said\n so")
    assert diagnose(error) is trouble
    assert explain(error, CONFIG) == line


def test_a_missing_topic_is_called_by_its_name() -> None:
    """The line names the topic of dead letters when that is missing, not the topic of results."""
    error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    assert explain(error, CONFIG, "results.dlq") == "topic results.dlq does not exist: run dbadmin create-topics"


def test_a_detail_is_one_bounded_line() -> None:
    """Fit for a log, whatever librdkafka writes."""
    assert detail(KafkaError(KafkaError._SSL, "a\n  b\tc" + "d" * 1_000)) == "a b c" + "d" * 294 + "…"


def test_the_client_writes_nothing_into_the_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its lines reach neither the root logger nor standard error, where Python writes lines without a handler."""
    heard: list[logging.LogRecord] = []
    ear = logging.Handler()
    monkeypatch.setattr(ear, "emit", heard.append)
    monkeypatch.setattr(logging.root, "handlers", [ear])
    SILENT.error("ssl://k:1/bootstrap: SSL handshake failed")
    logging.getLogger("another").error("heard")
    assert [record.getMessage() for record in heard] == ["heard"]
    assert capfd.readouterr().err == ""


def test_properties_change_when_a_secret_was_replaced() -> None:
    """They are compared with those that the last client got, every five seconds at most."""
    now, clock = ["one"], FakeClock()
    password = Secret("one", "file x", None, lambda: Secret(now[0], "file x"))
    properties = ClientProperties(KafkaConfig(bootstrap_servers="k:1", sasl_password=password), clock)
    assert properties.read()["sasl.password"] == "one"
    assert not properties.changed()
    now[0] = "two"
    assert not properties.changed()
    clock.advance(5)
    assert properties.changed()
    assert properties.read()["sasl.password"] == "two"
    clock.advance(5)
    assert not properties.changed()
