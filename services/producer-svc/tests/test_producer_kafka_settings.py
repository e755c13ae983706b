"""What Kafka's client is asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from monitoring_core.config import KafkaConfig
from monitoring_runtime.kafka import SILENT
from producer_svc.adapters import kafka as kafka_module
from producer_svc.adapters.kafka import KafkaSender

if TYPE_CHECKING:
    import pytest


def asked_for(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, object], logging.Logger]:
    """The properties and the logger that a sender gives to Kafka's client."""
    given: list[tuple[dict[str, object], logging.Logger]] = []
    monkeypatch.setattr(kafka_module, "Producer", lambda properties, logger: given.append((properties, logger)))
    KafkaSender(KafkaConfig(bootstrap_servers="k:9092", topic_name="any"))
    return given[0]


def test_a_result_is_acknowledged_when_every_replica_has_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One broker that is lost loses no result, and a retry of the client doubles none."""
    properties, _ = asked_for(monkeypatch)
    assert properties["acks"] == "all"
    assert properties["enable.idempotence"] is True


def test_the_client_never_gives_a_result_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 is librdkafka's word for no limit: an outage may be longer than any."""
    properties, _ = asked_for(monkeypatch)
    assert properties["message.timeout.ms"] == 0


def test_a_missing_topic_is_not_made_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have one partition and one replica; dbadmin makes it as it is configured."""
    properties, _ = asked_for(monkeypatch)
    assert properties["allow.auto.create.topics"] is False


def test_the_client_is_the_configured_ones_and_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own lines would stand between ours."""
    properties, logger = asked_for(monkeypatch)
    assert properties["bootstrap.servers"] == "k:9092"
    assert logger is SILENT
