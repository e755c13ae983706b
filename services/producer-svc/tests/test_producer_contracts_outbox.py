"""The contracts of what the outbox needs, on the fakes, on SQLite and on a broker."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from local_stack.servers import embedded_broker
from monitoring_core.config import KafkaConfig
from monitoring_runtime.kafka import SILENT
from monitoring_testkit.producer.contracts.outbox import SenderContract, StoreContract
from monitoring_testkit.producer.fakes.outbox import FakeKafka, FakeStore
from monitoring_testkit.topics import messages
from producer_svc.adapters.kafka import SETTINGS, KafkaSender
from producer_svc.adapters.sqlite import SqliteStore


@attrs.define
class FakePlace:
    """A store in memory."""

    store: FakeStore = attrs.field(factory=FakeStore)

    def reopen(self) -> FakeStore:
        self.store.close()
        return self.store.reopened()

    def damage(self, batch_id: int) -> None:
        self.store.damaged.add(batch_id)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.store.outage = "disk I/O error"
        yield
        self.store.outage = None

    removal_fails = away


class TestFakeStore(StoreContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakePlace:
        return FakePlace()


@attrs.define
class RealPlace:
    """A directory for the outbox."""

    directory: Path
    store: SqliteStore

    @property
    def database(self) -> sqlite3.Connection:
        assert self.store._database is not None
        return self.store._database

    def reopen(self) -> SqliteStore:
        self.store.close()
        self.store = SqliteStore(self.directory)
        return self.store

    def damage(self, batch_id: int) -> None:
        self.database.execute("UPDATE batches SET entries = x'ff00' WHERE id = ?", (batch_id,))

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """SQLite refuses everything."""
        self.database.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        yield
        self.database.set_authorizer(None)

    @contextlib.contextmanager
    def removal_fails(self) -> Iterator[None]:
        self.database.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_DELETE else sqlite3.SQLITE_OK
        )
        yield
        self.database.set_authorizer(None)


class TestSqliteStore(StoreContract):
    """On SQLite."""

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Iterator[RealPlace]:
        place = RealPlace(tmp_path, SqliteStore(tmp_path))
        yield place
        place.store.close()


@attrs.frozen
class FakeWay:
    """A topic in memory: what was acknowledged."""

    sender: FakeKafka = attrs.field(factory=FakeKafka)

    def arrived(self) -> list[tuple[bytes, bytes]]:
        return [(entry.key, entry.value) for entry in self.sender.sent if entry not in self.sender.unacknowledged]

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.sender.away = True
        yield
        self.sender.away = False


class TestFakeKafka(SenderContract):
    """On the fake."""

    @pytest.fixture
    def stage(self) -> FakeWay:
        return FakeWay()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_broker(tmp_path_factory.mktemp("broker")) as servers:
        yield servers


@attrs.frozen
class RealWay:
    """A topic of the broker."""

    config: KafkaConfig
    sender: KafkaSender

    def arrived(self) -> list[tuple[bytes | None, bytes | None]]:
        return [(m.key(), m.value()) for m in messages(self.config.bootstrap_servers, self.config.topic_name)]

    def create(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.config.bootstrap_servers}, logger=SILENT)
        admin.create_topics([NewTopic(self.config.topic_name, 2, 1)])[self.config.topic_name].result(60)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The topic is missing."""
        admin = AdminClient({"bootstrap.servers": self.config.bootstrap_servers}, logger=SILENT)
        admin.delete_topics([self.config.topic_name])[self.config.topic_name].result(60)
        yield
        self.create()


@pytest.mark.integration_test
class TestKafkaSender(SenderContract):
    """On a broker."""

    @pytest.fixture
    def stage(self, broker: str, monkeypatch: pytest.MonkeyPatch) -> RealWay:
        # Entries come back while the topic is missing, and not only after the test.
        monkeypatch.setitem(SETTINGS, "topic.metadata.propagation.max.ms", 100)
        config = KafkaConfig(bootstrap_servers=broker, topic_name=f"t{uuid.uuid4().hex}")
        way = RealWay(config, KafkaSender(config))
        way.create()
        return way
