"""Each reason why no messages can be read is logged once until it is over."""

from __future__ import annotations

import pytest
import structlog
from confluent_kafka import KafkaError

from monitoring_core.config import KafkaConfig
from monitoring_runtime.read_outages import ReadOutages

AWAY = KafkaError(KafkaError._ALL_BROKERS_DOWN)
NO_TOPIC = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
NO_RIGHT = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)


@pytest.fixture
def outages() -> ReadOutages:
    return ReadOutages(KafkaConfig(bootstrap_servers="k:1", topic_name="results"))


def said(outages: ReadOutages, *errors: KafkaError) -> list[str]:
    with structlog.testing.capture_logs() as logs:
        for error in errors:
            outages.note(error)
    assert {line["event"] for line in logs} <= {"no messages can be read, retrying"}
    return [line["error"] for line in logs]


def test_each_reason_is_said_once_in_plain_words(outages: ReadOutages) -> None:
    """However often librdkafka tries again."""
    assert said(outages, AWAY, NO_TOPIC, NO_RIGHT, AWAY, NO_TOPIC, NO_RIGHT) == [
        "Kafka at k:1 cannot be reached",
        "topic results does not exist: run dbadmin create-topics",
        "Kafka at k:1: Broker: Group authorization failed",
    ]


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._RESOLVE])
def test_one_broker_that_is_away_is_no_outage(outages: ReadOutages, code: int) -> None:
    """librdkafka says when all are."""
    assert said(outages, KafkaError(code)) == []


@pytest.mark.parametrize("code", [KafkaError._SSL, KafkaError._TIMED_OUT])
def test_numbers_that_differ_at_every_try_make_no_new_reason(outages: ReadOutages, code: int) -> None:
    """Times and counts in a text do not make it a different reason."""
    first = KafkaError(code, "k:1/1: 1 request(s) timed out (after 3ms in state UP)")
    again = KafkaError(code, "k:1/1: 22 request(s) timed out (after 40ms in state UP, 4 identical error(s) suppressed)")
    assert len(said(outages, first, again)) == 1
    assert len(said(outages, KafkaError(code, "k:1/1: another reason"))) == 1


def test_the_present_reason_is_an_absence_or_the_last_refusal(outages: ReadOutages) -> None:
    """As long as it holds, and however often it is said again."""
    assert outages.present(assigned=False) is None
    said(outages, NO_TOPIC, NO_RIGHT, NO_TOPIC)
    assert outages.present(assigned=False) == "Kafka at k:1: Broker: Group authorization failed"
    said(outages, AWAY)
    assert outages.present(assigned=False) == "Kafka at k:1 cannot be reached"
    outages.end_refusals()
    assert outages.present(assigned=False) == "Kafka at k:1 cannot be reached"
    outages.end_absence()
    assert outages.present(assigned=False) is None


def test_whoever_may_not_read_reads_nothing_though_partitions_are_assigned(outages: ReadOutages) -> None:
    """The right to read can be taken away and the one to describe be left: then the group is as it was."""
    said(outages, AWAY, NO_TOPIC, NO_RIGHT)
    assert outages.present(assigned=True) is None
    said(outages, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert outages.present(assigned=True) == "Kafka at k:1: Broker: Topic authorization failed"
    outages.end_refusals()
    assert outages.present(assigned=True) is None


def test_a_refusal_is_over_when_messages_come_and_an_absence_is_not(outages: ReadOutages) -> None:
    """What was fetched before may still come while all brokers are away."""
    said(outages, AWAY, NO_TOPIC)
    outages.end_refusals()
    assert said(outages, AWAY, NO_TOPIC) == ["topic results does not exist: run dbadmin create-topics"]


def test_an_absence_is_over_when_a_broker_is_connected_which_is_said_once(outages: ReadOutages) -> None:
    """A refusal is not: a broker that is connected may refuse all the same."""
    said(outages, AWAY, NO_TOPIC)
    with structlog.testing.capture_logs() as logs:
        outages.end_absence()
        outages.end_absence()
    assert [line["event"] for line in logs] == ["Kafka is reached again"]
    assert said(outages, AWAY, NO_TOPIC) == ["Kafka at k:1 cannot be reached"]
