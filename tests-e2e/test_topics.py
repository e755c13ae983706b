"""`dbadmin create-topics` on both brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stamina
from click.testing import CliRunner
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own names
    AdminClient,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from dbadmin.cli import main
from local_stack.processes import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration_test


def create_topics(directory: Path, bootstrap_servers: str, *options: str) -> tuple[int, str]:
    config = directory / "topics.yaml"
    config.write_text(
        f"kafka: {{bootstrap_servers: '{bootstrap_servers}', topic_name: results, partitions: 3}}\n"
        "database: {host: nowhere, user: nobody}\n"
    )
    done = CliRunner().invoke(main, ["create-topics", *options, "--config", str(config)])
    return done.exit_code, done.output


MADE = """\
topic results: made with 3 partitions and replication 1
topic results.dlq: made with 1 partition and replication 1
topic website_alert: made with 1 partition and replication 1
"""
OTHERS = "topic results.dlq: present with 1 partition\ntopic website_alert: present with 1 partition\n"


def test_topics_are_made_once(broker: str, tmp_path: Path) -> None:
    """A second run changes nothing, and says so."""
    assert create_topics(tmp_path, broker, "--replication-factor", "1") == (0, MADE)
    assert create_topics(tmp_path, broker) == (0, "topic results: present with 3 partitions\n" + OTHERS)
    assert partitions(broker) == {"results": 3, "results.dlq": 1, "website_alert": 1}


def partitions(broker: str) -> dict[str, int]:
    topics = AdminClient({"bootstrap.servers": broker}).list_topics(timeout=60).topics
    return {
        name: len(topic.partitions)
        for name, topic in topics.items()
        if name in ("results", "results.dlq", "website_alert")
    }


def test_partitions_are_raised_when_asked_and_never_lowered(apache_kafka: str, tmp_path: Path) -> None:
    """Keys would move between partitions, and messages cannot."""
    create_topics(tmp_path, apache_kafka)
    assert create_topics(tmp_path, apache_kafka, "--partitions", "5") == (
        0,
        "topic results: raised from 3 to 5 partitions\n" + OTHERS,
    )
    assert create_topics(tmp_path, apache_kafka) == (
        0,
        "topic results: stays at 5 partitions, which cannot be lowered to 3\n" + OTHERS,
    )
    assert partitions(apache_kafka) == {"results": 5, "results.dlq": 1, "website_alert": 1}


def test_the_dead_letters_take_the_largest_message_with_its_headers(broker: str, tmp_path: Path) -> None:
    """What fitted in the topic of results fits there too."""
    create_topics(tmp_path, broker, "--replication-factor", "1")
    assert settings(broker, "results.dlq")["max.message.bytes"].value == "2097152"


def test_the_topic_of_alerts_is_compacted(broker: str, tmp_path: Path) -> None:
    """The newest event of each alert stays, however old it is."""
    create_topics(tmp_path, broker, "--replication-factor", "1")
    assert settings(broker, "website_alert")["cleanup.policy"].value == "compact"


def settings(broker: str, topic: str) -> dict[str, ConfigEntry]:
    admin, resource = AdminClient({"bootstrap.servers": broker}), ConfigResource(ResourceType.TOPIC, topic)
    for attempt in stamina.retry_context(on=KafkaException, timeout=60):
        with attempt:  # Kafka tells of a new topic some moments later
            found: dict[str, ConfigEntry] = admin.describe_configs([resource])[resource].result(60)
            return found
    raise AssertionError(topic)


def test_what_kafka_refuses_is_said_in_one_line(apache_kafka: str, tmp_path: Path) -> None:
    """It says why; no traceback."""
    status, said = create_topics(tmp_path, apache_kafka, "--replication-factor", "3")
    assert status == 1
    assert said.startswith(f"Kafka at {apache_kafka}, topic results: ")
    assert len(said.splitlines()) == 1


def test_an_unreachable_kafka_is_said_with_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A one-shot command stops: whoever started it can start it again."""
    monkeypatch.setattr("dbadmin.install.topics.TIMEOUT_S", 1.0)
    address = f"127.0.0.1:{free_port()}"
    assert create_topics(tmp_path, address) == (1, f"Kafka at {address} cannot be reached within 1 s\n")
