"""What librdkafka is asked for: nothing that loses messages, and no group that breaks apart."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from consumer_svc.adapters import topic_writer
from consumer_svc.adapters.kafka_settings import CLIENT_ID, dead_letter_reader_settings, writer_settings
from monitoring_core.config import Assignor, ConsumerConfig, GroupProtocol, KafkaConfig
from monitoring_runtime.group_settings import source_settings

KAFKA = KafkaConfig(bootstrap_servers="k:1")
CONSUMER = ConsumerConfig(group_id="g")


def test_offsets_are_committed_only_by_hand() -> None:
    """What librdkafka commits by itself may not be stored yet."""
    settings = source_settings(KAFKA.client_properties(), CONSUMER, CLIENT_ID)
    assert (settings["enable.auto.commit"], settings["enable.auto.offset.store"]) == (False, False)
    assert settings["auto.offset.reset"] == "earliest"
    assert settings["group.id"] == "g"


@pytest.mark.parametrize(("session_s", "heartbeat_ms"), [(2, 666), (9, 3_000), (45, 3_000), (300, 3_000)])
def test_three_heartbeats_fit_into_a_session(session_s: int, heartbeat_ms: int) -> None:
    """One that is lost does not cost the membership (Kafka documentation, heartbeat.interval.ms)."""
    consumer = attrs.evolve(CONSUMER, session_timeout=dt.timedelta(seconds=session_s), assignor=Assignor.RANGE)
    settings = source_settings(KAFKA.client_properties(), consumer, CLIENT_ID)
    assert (settings["session.timeout.ms"], settings["heartbeat.interval.ms"]) == (1_000 * session_s, heartbeat_ms)
    assert settings["partition.assignment.strategy"] == "range"


def test_with_the_new_protocol_the_broker_decides_how_to_be_a_member() -> None:
    """librdkafka refuses the settings of the old one."""
    settings = source_settings(
        KAFKA.client_properties(), attrs.evolve(CONSUMER, group_protocol=GroupProtocol.CONSUMER), CLIENT_ID
    )
    assert settings["group.protocol"] == "consumer"
    assert not {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"} & set(settings)


def test_dead_letters_are_acknowledged_by_every_replica_in_sync() -> None:
    """A dead letter is the only copy of a message whose offset is committed."""
    assert writer_settings(KAFKA.client_properties())["acks"] == "all"


def test_a_writer_learns_why_a_message_was_not_acknowledged_before_it_gives_up() -> None:
    """Else its error could only say that there was no acknowledgement."""
    assert writer_settings(KAFKA.client_properties())["message.timeout.ms"] == 14_000
    assert topic_writer._TIMEOUT_S == 15


def test_reading_dead_letters_does_not_disturb_the_consumers() -> None:
    """How far they were replayed is kept for a group of its own."""
    settings = dead_letter_reader_settings(KAFKA.client_properties(), CONSUMER)
    assert settings["group.id"] == "g.replay"
    assert settings["enable.auto.commit"] is False


def test_nobody_makes_topics_by_accident() -> None:
    """dbadmin makes them, with the settings that they need."""
    for settings in (
        source_settings(KAFKA.client_properties(), CONSUMER, CLIENT_ID),
        dead_letter_reader_settings(KAFKA.client_properties(), CONSUMER),
        writer_settings(KAFKA.client_properties()),
    ):
        assert settings["allow.auto.create.topics"] is False
        assert settings["client.id"] == "consumer-svc"
