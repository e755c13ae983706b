"""The doctor on a secured installation, sound and broken: each fault has its exact line."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING

import attrs
import pytest
import stamina
import trustme
from click.testing import CliRunner
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own names
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from consumer_svc.adapters.dead_letter_topic import DeadLetterTopic
from consumer_svc.adapters.dead_letters import KafkaDeadLetters
from consumer_svc.ports import Poison
from dbadmin.cli import main
from dbadmin.doctor import certificates, kafka, postgres
from dbadmin.doctor.examine import examine
from dbadmin.doctor.findings import Finding, Level
from dbadmin.doctor.positions import check_positions
from dbadmin.install.topics import create_topics
from local_stack.servers import embedded_broker
from monitoring_core.clock import SystemClock
from monitoring_core.config import Config, DatabaseConfig, load_config
from monitoring_core.config.values import Secret
from monitoring_runtime.postgres import connect
from monitoring_runtime.topic_states import KafkaTopicStates
from monitoring_testkit.consumer.messages import FakeMessage
from monitoring_testkit.needs import need
from monitoring_testkit.servers.postgresql import missing
from monitoring_testkit.servers.tls_postgresql import tls_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitoring_testkit.servers.secured import Secured

pytestmark = pytest.mark.integration_test
NO_CONSUMER = "warn  group monitoring-consumer: no consumer runs, 0 messages wait → start consumer-svc run"


@pytest.fixture(scope="module")
def installed(secured: Secured) -> Secured:
    """A secured installation that is set up."""
    for command in ("setup", "maintain"):
        done = CliRunner().invoke(main, [command, "--config", str(secured.config_file)])
        assert done.exit_code == 0, done.output
    return secured


@pytest.fixture
def config(installed: Secured) -> Config:
    return load_config(installed.config_file, environ={})


def complaints(findings: Iterator[Finding] | list[Finding]) -> list[str]:
    return [str(finding) for finding in findings if finding.level is not Level.PASS]


def look_at_kafka(config: Config) -> list[str]:
    return complaints(kafka.check_kafka(config, SystemClock()))


def test_a_fresh_installation_has_no_fault(installed: Secured, config: Config) -> None:
    """After setup everything passes, but that no consumer runs yet; with status 0. All accounts connect over TLS."""
    findings = list(examine(config, SystemClock()))
    assert complaints(findings) == [NO_CONSUMER]
    subjects = [finding.subject for finding in findings]
    address = f"127.0.0.1:{installed.database.postgres.port}"
    for subject in (
        "kafka.ca_certificate",
        "kafka.access_certificate",
        "kafka.access_key",
        "database.ca_certificate",
        "PostgreSQL as database.user",
        "PostgreSQL as administrator",
        "PostgreSQL as producer",
        "PostgreSQL as consumer",
        "PostgreSQL as reader",
        "trial of the administrator",
        "trial of the producer",
        "trial of the consumer",
        "way to PostgreSQL",
        "maintain",
        "stored positions",
        "certificates of websites",
        "notifications",
        "channels of alerts",
        "events of alerts",
        "targets with a policy",
        "group monitoring-consumer-alerts",
        "dead letters",
        f"certificate of PostgreSQL at {address}",
        "clock of PostgreSQL",
        "schema monitoring",
        "partitions ahead",
        "retention",
        "rights of the administrator",
        "rights of the producer",
        "rights of the consumer",
        "rights of the reader",
        "connections to PostgreSQL",
        "producers in default",
        f"certificate of Kafka at {installed.bootstrap_servers}",
        f"Kafka at {installed.bootstrap_servers}",
        "topic website_availability",
        "settings of topic website_availability",
        "topic website_availability.dlq",
        "settings of topic website_availability.dlq",
        "topic website_alert",
        "settings of topic website_alert",
        "clock of Kafka",
    ):
        assert subject in subjects
    assert all("over TLS" in finding.text for finding in findings if finding.subject.startswith("PostgreSQL as"))
    done = CliRunner().invoke(main, ["doctor", "--config", str(installed.config_file)])
    assert (done.exit_code, done.stderr) == (0, f"{len(findings) - 1} pass, 1 warn, 0 fail\n")


def test_no_topic_of_the_doctor_stays(installed: Secured, config: Config) -> None:
    """The topic that it made to read the clock is deleted."""
    look_at_kafka(config)
    admin = AdminClient({**config.kafka.client_properties()})
    assert [name for name in admin.list_topics(timeout=60).topics if "doctor" in name] == []


def test_a_wrong_password_is_told_for_the_account_that_has_it(installed: Secured, config: Config) -> None:
    """The examinations of the other accounts continue."""
    right = installed.secret("producer").read_text()
    installed.secret("producer").write_text("wrong")
    try:
        found = complaints(list(examine(config, SystemClock())))
    finally:
        installed.secret("producer").write_text(right)
    assert found == [
        (
            f"fail  PostgreSQL as producer: PostgreSQL at 127.0.0.1:{installed.database.postgres.port} refuses the "
            'connection: password authentication failed for user "monitoring_producer" → dbadmin create-roles sets the '
            "passwords that the configuration names"
        ),
        NO_CONSUMER,
    ]


def test_authorities_that_did_not_sign_are_told(config: Config) -> None:
    """This holds for PostgreSQL's certificate and for those of the brokers."""
    other = Secret(trustme.CA().cert_pem.bytes().decode(), "test")
    (found,) = complaints(postgres.check_login("database.user", attrs.evolve(config.database, ca_certificate=other)))
    assert "certificate verify failed" in found
    assert found.endswith(
        "for a certificate, give database.ca_certificate its authority, and database.host the name in it"
    )
    (found,) = look_at_kafka(attrs.evolve(config, kafka=attrs.evolve(config.kafka, ca_certificate=other)))
    assert found.startswith(f"fail  Kafka at {config.kafka.bootstrap_servers}: ")
    assert found.endswith("→ give kafka.ca_certificate the authority of these brokers")


def test_a_client_certificate_that_kafka_does_not_know_is_told(config: Config) -> None:
    """Its certificate is signed by another authority."""
    leaf = trustme.CA().issue_cert("client.example")
    certificate = Secret(leaf.cert_chain_pems[0].bytes().decode(), "test")
    key = Secret(leaf.private_key_pem.bytes().decode(), "test")
    kafka_config = attrs.evolve(config.kafka, access_certificate=certificate, access_key=key)
    (found,) = look_at_kafka(attrs.evolve(config, kafka=kafka_config))
    assert found.startswith(f"fail  Kafka at {config.kafka.bootstrap_servers}: ")
    assert found.endswith("→ give kafka.access_certificate and access_key a pair that these brokers know")


def test_a_servers_certificate_that_is_over_is_told() -> None:
    """Of a real server, whose certificate ended yesterday."""
    need("PostgreSQL with TLS", missing())
    end = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(days=1)

    late = trustme.CA().issue_cert("127.0.0.1", not_before=end - dt.timedelta(days=90), not_after=end)
    with tls_postgresql(late) as server:
        database = DatabaseConfig(host="127.0.0.1", port=server.postgres.port, user="u")
        (found,) = complaints(certificates.check_postgresql(database, dt.datetime.now(dt.UTC)))
    assert found == (
        f"fail  certificate of PostgreSQL at 127.0.0.1:{server.postgres.port}: expired {end:%Y-%m-%d %H:%M} UTC "
        "→ renew it"
    )


def test_missing_topics_and_too_few_partitions_are_told(config: Config) -> None:
    """With the command that makes them."""
    other = attrs.evolve(config, kafka=attrs.evolve(config.kafka, topic_name="absent", partitions=60))
    assert look_at_kafka(other) == [
        "fail  topic absent: is missing → run dbadmin create-topics",
        "fail  topic absent.dlq: is missing → run dbadmin create-topics",
    ]
    more = attrs.evolve(config, kafka=attrs.evolve(config.kafka, partitions=60, replication_factor=3))
    assert look_at_kafka(more)[:2] == [
        "fail  topic website_availability: has 6 partitions, 60 are configured → run dbadmin create-topics",
        "warn  topic website_availability: replication 1, 3 is configured → reassign its partitions in Kafka",
    ]


@pytest.mark.parametrize(
    ("topic", "name", "value", "line"),
    [
        (
            "website_availability",
            "max.message.bytes",
            "1000",
            "fail  settings of topic website_availability: max.message.bytes 1000 is less than 65536 → set it to 65536",
        ),
        (
            "website_availability",
            "min.insync.replicas",
            "2",
            (
                "fail  settings of topic website_availability: min.insync.replicas 2 is more than the 1 replicas: "
                "nothing is taken → set min.insync.replicas to 1"
            ),
        ),
        (
            "website_availability",
            "retention.ms",
            "3600000",
            (
                "warn  settings of topic website_availability: retention.ms 3600000: what consumers have not stored by "
                "then is lost → set it to 604800000"
            ),
        ),
        (
            "website_availability",
            "retention.bytes",
            "1000000",
            (
                "warn  settings of topic website_availability: retention.bytes 1000000: what consumers have not stored "
                "when a partition is larger is lost → set it to -1, retention.ms is enough"
            ),
        ),
        (
            "website_availability",
            "cleanup.policy",
            "compact",
            (
                "fail  settings of topic website_availability: cleanup.policy compact: of the messages with one key "
                "all but the newest are deleted, stored or not → set it to delete"
            ),
        ),
        (
            "website_availability.dlq",
            "max.message.bytes",
            "1048576",
            (
                "fail  settings of topic website_availability.dlq: max.message.bytes 1048576 is less than 2097152 "
                "→ set it to 2097152"
            ),
        ),
        (
            "website_alert",
            "cleanup.policy",
            "delete",
            (
                "fail  settings of topic website_alert: cleanup.policy delete: alerts that last longer than "
                "retention.ms are deleted → set it to compact"
            ),
        ),
    ],
)
def test_settings_of_a_topic_that_lose_results_are_told(
    config: Config, topic: str, name: str, value: str, line: str
) -> None:
    """Each with the value that mends it; once it is mended the line is gone."""
    admin = AdminClient({**config.kafka.client_properties()})
    alter(admin, topic, name, value, AlterConfigOpType.SET)
    try:
        for attempt in stamina.retry_context(on=AssertionError, timeout=60):
            with attempt:  # Kafka tells of a setting some moments after it took it
                assert look_at_kafka(config) == [line, NO_CONSUMER] or look_at_kafka(config) == [NO_CONSUMER, line]
    finally:
        if topic.endswith(".dlq"):  # as setup makes it
            alter(admin, topic, name, "2097152", AlterConfigOpType.SET)
        elif topic == "website_alert":
            alter(admin, topic, name, "compact", AlterConfigOpType.SET)
        else:
            alter(admin, topic, name, None, AlterConfigOpType.DELETE)


def alter(admin: AdminClient, topic: str, name: str, value: str | None, operation: AlterConfigOpType) -> None:
    entry = ConfigEntry(name, value, incremental_operation=operation)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(60)


def test_a_clock_of_kafka_that_is_off_is_told(config: Config) -> None:
    """Against a real broker; it is this machine's clock that is wrong here."""

    class Behind(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() - 90_000

    found = complaints(kafka.check_kafka(config, Behind()))
    assert found[-1] == (
        "fail  clock of Kafka: 90.0 s ahead of this machine's → let a time service (NTP) set both clocks"
    )


def test_messages_that_nobody_consumes_are_counted(config: Config) -> None:
    """Those of all partitions, and where most are."""
    producer = Producer(config.kafka.client_properties())
    for partition, count in ((0, 3), (4, 5)):
        for _ in range(count):
            producer.produce("website_availability", b"{}", partition=partition)
    assert producer.flush(10) == 0
    assert look_at_kafka(config) == [
        (
            "warn  group monitoring-consumer: no consumer runs, 8 messages wait, 5 of them in partition 4 → start "
            "consumer-svc run"
        )
    ]


def test_messages_that_will_expire_before_they_are_stored_are_told(installed: Secured, config: Config) -> None:
    """From half of the topic's retention on, which is seven days here."""
    old = attrs.evolve(config, kafka=attrs.evolve(config.kafka, topic_name="old", partitions=2))
    list(create_topics(old.kafka, 2, 1))
    ages = {0: dt.timedelta(days=3), 1: dt.timedelta(days=4)}
    producer = Producer(config.kafka.client_properties())
    for partition, age in ages.items():
        sent_at = dt.datetime.now(dt.UTC) - age
        producer.produce("old", b"{}", partition=partition, timestamp=round(sent_at.timestamp() * 1000))
    assert producer.flush(10) == 0
    assert [line for line in look_at_kafka(old) if line.startswith("fail")] == [
        (
            "fail  group monitoring-consumer: no consumer runs, 2 messages wait, 1 of them in partition 0, the oldest "
            "for more than 60 min → start consumer-svc run"
        ),
        (
            "fail  group monitoring-consumer: messages in partition 1 have waited for half of retention.ms 604800000, "
            "after which they are lost → raise retention.ms now, then see why consumers do not store them"
        ),
    ]


def test_a_group_that_two_databases_share_is_told(installed: Secured, config: Config) -> None:
    """Of its partitions, each database gets some alone: the group has no lag, and results are missing in both."""
    group = attrs.evolve(config.consumer, group_id="shared")
    shared = attrs.evolve(config, kafka=attrs.evolve(config.kafka, topic_name="twice", partitions=2), consumer=group)
    list(create_topics(shared.kafka, 2, 1))
    sent_at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    producer = Producer(config.kafka.client_properties())
    for partition in (0, 1):
        producer.produce("twice", b"{}", partition=partition, timestamp=round(sent_at.timestamp() * 1000))
    assert producer.flush(10) == 0
    assert complaints(check_positions(shared)) == []  # that nobody has stored it yet, the lag tells
    with contextlib.closing(Consumer(config.kafka.client_properties() | {"group.id": "shared"})) as another:
        another.commit(offsets=[TopicPartition("twice", number, 1) for number in (0, 1)], asynchronous=False)
    topic = KafkaTopicStates(shared.kafka, "test").now().topic
    position = "INSERT INTO monitoring.availability_position VALUES (%s, %s, %s, %s, 1)"
    with connect(config.database, "test", autocommit=True) as connection:
        connection.execute(position, (topic.cluster, topic.name, topic.id, 0))
        assert complaints(check_positions(shared)) == [
            (
                "fail  stored positions: group shared is done with partition 1 up to offset 1, and this database up to "
                "0: a consumer of the group writes into another database → give the consumers of each database a group "
                "of their own (consumer.group_id)"
            )
        ]
        connection.execute(position, (topic.cluster, topic.name, topic.id, 1))
    assert complaints(check_positions(shared)) == []


def test_dead_letters_that_wait_for_a_person_are_counted(config: Config) -> None:
    """Without those that were replayed or discarded, and since when the oldest of the others waits."""
    began = dt.datetime.now(dt.UTC)
    message = FakeMessage(partition=1, offset=41, key=b"k", value=b"{", timestamp=(1, 7))
    KafkaDeadLetters(config.kafka).send([Poison(message, "not_json", "bad")] * 4)
    with contextlib.closing(DeadLetterTopic(config)) as topic:
        letters = list(topic.read({}))
        for settled, left in (([], "4 wait"), ([letters[0], letters[2]], "2 wait"), ([letters[1]], "1 wait")):
            assert topic.settle(settled) == 0
            (line,) = [line for line in look_at_kafka(config) if "dead letters" in line]
            assert line.startswith(f"warn  dead letters: {left} for a person, since {began:%Y-%m-%d %H:}")
            assert line.endswith(" → see consumer-svc dead-letters list; replay them after a fix, or discard them")
        assert topic.settle(letters[3:]) == 0
    assert not [line for line in look_at_kafka(config) if "dead letters" in line]


def test_what_the_embedded_broker_cannot_tell_is_a_warning(tmp_path: Path) -> None:
    """A broker that lacks a part of the protocol fails nothing."""
    with embedded_broker(tmp_path) as servers:
        path = tmp_path / "config.yaml"
        path.write_text(f"kafka: {{bootstrap_servers: '{servers}'}}\ndatabase: {{host: h, user: u}}\n")
        options = ["create-topics", "--replication-factor", "1", "--config", str(path)]
        assert CliRunner().invoke(main, options).exit_code == 0
        found = list(kafka.check_kafka(load_config(path, environ={}), SystemClock()))
    assert [str(finding) for finding in found if finding.level is Level.FAIL] == []
