"""The contracts of the ports, on the fakes and on the real adapters."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from psycopg.rows import dict_row

from consumer_svc.adapters.dead_letters import KafkaDeadLetters
from consumer_svc.adapters.postgres import PostgresWriter
from local_stack.servers import Postgres, embedded_broker
from local_stack.servers import connect as connect_to
from monitoring_core.config import Config, load_config
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.revision import CONSUMER_NEEDS
from monitoring_core.tables import RESULT_COLUMNS
from monitoring_runtime.kafka import SILENT
from monitoring_runtime.kafka_source import KafkaSource
from monitoring_testkit.consumer.contracts.dead_letters import DeadLettersContract, Letter
from monitoring_testkit.consumer.contracts.source import SourceContract
from monitoring_testkit.consumer.contracts.writer import WriterContract
from monitoring_testkit.consumer.fakes import FakeDeadLetters, FakeSource, FakeWriter
from monitoring_testkit.consumer.messages import FakeMessage
from monitoring_testkit.consumer.tables import STATEMENTS
from monitoring_testkit.topics import headers, messages


@attrs.frozen
class FakeTable:
    """A writer that is its own table."""

    writer: FakeWriter = attrs.field(factory=FakeWriter)

    def rows(self) -> list[CheckResult]:
        return list(self.writer.rows.values())

    def refuse(self, target_id: int) -> None:
        self.writer.refused.add(target_id)

    def fill_default_partition(self, rows: int) -> None:
        self.writer.by_default = rows

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.writer.away.set()
        yield
        self.writer.away.clear()


class TestFakeWriter(WriterContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakeTable:
        return FakeTable()


@attrs.frozen
class RealTable:
    """The table of results in a database of its own."""

    server: Postgres
    database: str
    writer: PostgresWriter

    def execute(self, *statements: str, database: str | None = None) -> None:
        with connect_to(self.server, database or self.database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self) -> list[CheckResult]:
        with connect_to(self.server, self.database) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return [_result(row) for row in cursor.execute("SELECT * FROM monitoring.availability_result").fetchall()]

    def refuse(self, target_id: int) -> None:
        self.execute(f"ALTER TABLE monitoring.availability_result ADD CHECK (target_id <> {target_id}) NOT VALID")

    def fill_default_partition(self, rows: int) -> None:
        self.execute(
            "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, producer_id, status) "
            f"SELECT number, '2026-03-01Z', 'x', 1, 'up' FROM generate_series(1, {rows}) AS number"
        )

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody can connect, and whoever was connected is not."""
        alter = f"ALTER DATABASE {self.database} ALLOW_CONNECTIONS"
        end = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{self.database}'"
        self.execute(f"{alter} false", end, database="postgres")
        yield
        self.execute(f"{alter} true", database="postgres")


def _result(row: dict[str, Any]) -> CheckResult:
    row |= {"status": Status(row["status"]), "reason": Reason(row["reason"]) if row["reason"] else None}
    return CheckResult(**row)


@pytest.mark.integration_test
class TestPostgresWriter(WriterContract):
    """On PostgreSQL."""

    @pytest.fixture
    def stage(self, postgres: Postgres, tmp_path: Path) -> Iterator[RealTable]:
        name = f"contract_{uuid.uuid4().hex}"
        database = f"{{host: '{postgres.host}', port: {postgres.port}, user: {postgres.user}, database: {name}}}"
        config = _configured(tmp_path, "nowhere:1", "x", database)
        table = RealTable(postgres, name, PostgresWriter(config.database))
        columns = ", ".join(f"{column} {kind}" for column, kind in RESULT_COLUMNS.items())
        table.execute(f"CREATE DATABASE {name}", database="postgres")
        table.execute(
            "CREATE SCHEMA monitoring",
            f"CREATE TABLE monitoring.availability_result ({columns}, PRIMARY KEY (target_id, scheduled_at, location)) "
            "PARTITION BY RANGE (scheduled_at)",
            "CREATE TABLE monitoring.availability_result_default PARTITION OF monitoring.availability_result DEFAULT",
            *STATEMENTS,
            f"CREATE TABLE monitoring.schema_version AS SELECT '{CONSUMER_NEEDS}' AS version_num",
        )
        yield table
        table.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")


@attrs.frozen
class FakeTopic:
    """A topic in memory, and what its group has committed."""

    log: list[FakeMessage] = attrs.field(factory=list)
    members: list[FakeSource] = attrs.field(factory=list)

    def join(self) -> FakeSource:
        self.members.append(FakeSource(list(self.log)))
        return self.members[-1]

    def produce(self, *values: bytes) -> None:
        new = [FakeMessage(partition=0, offset=len(self.log) + i, key=b"key", value=v) for i, v in enumerate(values)]
        self.log.extend(new)
        for member in self.members:
            member.messages += new

    def committed(self) -> int | None:
        commits = [offsets[0] for member in self.members for offsets in member.committed]
        return commits[-1] if commits else None


class TestFakeSource(SourceContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakeTopic:
        return FakeTopic()


def _configured(directory: Path, kafka: str, name: str, database: str = "{host: nowhere, user: nobody}") -> Config:
    file = directory / "config.yaml"
    file.write_text(
        f"kafka: {{bootstrap_servers: '{kafka}', topic_name: {name}}}\n"
        f"database: {database}\nconsumer: {{group_id: {name}, session_timeout: 3s}}\n"
    )
    return load_config(file, environ={})


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_broker(tmp_path_factory.mktemp("broker")) as address:
        yield address


@pytest.fixture
def config(broker: str, tmp_path: Path) -> Config:
    """A configuration with topics and a group of the test's own."""
    return _configured(tmp_path, broker, f"t{uuid.uuid4().hex}")


def _create(config: Config, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": config.kafka.bootstrap_servers}, logger=SILENT)
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(60)


@attrs.frozen
class RealTopic:
    """A topic and a group of the broker."""

    config: Config

    def join(self) -> KafkaSource:
        return KafkaSource(self.config.kafka, self.config.consumer, lambda _: None, "consumer-svc")

    def produce(self, *values: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.config.kafka.bootstrap_servers}, logger=SILENT)
        for value in values:
            producer.produce(self.config.kafka.topic_name, value, b"key", partition=0)
        assert producer.flush(10) == 0

    def committed(self) -> int | None:
        settings = {
            "bootstrap.servers": self.config.kafka.bootstrap_servers,
            "group.id": self.config.consumer.group_id,
        }
        with contextlib.closing(Consumer(settings, logger=SILENT)) as reader:
            place = TopicPartition(self.config.kafka.topic_name, 0)
            offset = int(reader.committed([place], timeout=60)[0].offset)
        return offset if offset >= 0 else None


@pytest.mark.integration_test
class TestKafkaSource(SourceContract):
    """On a broker."""

    @pytest.fixture
    def stage(self, config: Config) -> RealTopic:
        _create(config, config.kafka.topic_name)
        return RealTopic(config)


@attrs.frozen
class FakeDeadLetterTopic:
    """A port that is its own topic."""

    dead_letters: FakeDeadLetters = attrs.field(factory=FakeDeadLetters)

    def letters(self) -> list[Letter]:
        return [
            Letter(m.key(), m.value(), poison.reason, poison.error, m.partition(), m.offset(), m.timestamp()[1])
            for poison in self.dead_letters.sent
            for m in [poison.message]
        ]

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.dead_letters.away = True
        yield
        self.dead_letters.away = False


class TestFakeDeadLetters(DeadLettersContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakeDeadLetterTopic:
        return FakeDeadLetterTopic()


@attrs.frozen
class RealDeadLetterTopic:
    """The dead-letter topic of the broker."""

    config: Config
    dead_letters: KafkaDeadLetters

    def letters(self) -> list[Letter]:
        letters = []
        for message in messages(self.config.kafka.bootstrap_servers, self.config.kafka.dead_letter_topic):
            found = headers(message)
            assert found.pop("original_topic") == self.config.kafka.topic_name
            reason, error = found.pop("reason"), found.pop("error")
            place = [int(found.pop(f"original_{name}")) for name in ("partition", "offset", "timestamp")]
            assert not found
            letters.append(Letter(message.key(), message.value(), reason, error, *place))
        return letters

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The topic is missing."""
        topic = self.config.kafka.dead_letter_topic
        admin = AdminClient({"bootstrap.servers": self.config.kafka.bootstrap_servers}, logger=SILENT)
        admin.delete_topics([topic])[topic].result(60)
        yield
        _create(self.config, topic)


@pytest.mark.integration_test
class TestKafkaDeadLetters(DeadLettersContract):
    """On a broker."""

    @pytest.fixture
    def stage(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> RealDeadLetterTopic:
        monkeypatch.setattr("consumer_svc.adapters.topic_writer._TIMEOUT_S", 2.0)
        _create(config, config.kafka.dead_letter_topic)
        return RealDeadLetterTopic(config, KafkaDeadLetters(config.kafka))
