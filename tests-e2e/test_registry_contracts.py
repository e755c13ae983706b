"""The contracts of the producer's targets and leases, on the tables that dbadmin makes."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import attrs
import pytest

from local_stack.servers import Postgres, connect, embedded_postgresql
from local_stack.stack import DATABASE, Stack
from monitoring_core.config import load_config
from monitoring_core.testing.builders import DEFAULTS
from monitoring_testkit.producer.contracts.registry import LeasesContract, TargetTableContract
from producer_svc.adapters.leases import PostgresLeases
from producer_svc.adapters.postgres import ProducerConnection
from producer_svc.adapters.target_table import PostgresTargetTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitoring_core.config import DatabaseConfig
    from monitoring_core.targets import TargetRecord

pytestmark = pytest.mark.integration_test
TABLE = "monitoring.availability_monitor_config"


@attrs.frozen
class Registry:
    """The tables of targets and leases, without any services."""

    server: Postgres
    config: DatabaseConfig

    def execute(self, statement: str, *values: object, database: str = DATABASE) -> None:
        with connect(self.server, database) as connection:
            connection.execute(statement.encode(), values)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody can connect, and whoever was connected is not."""
        self.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false", database="postgres")
        end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
        self.execute(end, DATABASE, database="postgres")
        try:
            yield
        finally:
            self.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true", database="postgres")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    directory: Path = tmp_path_factory.mktemp("registry")
    with embedded_postgresql(directory / "postgres") as postgres:
        stack = Stack(directory, postgres, "nowhere:1", 60, 10)
        stack.write_config()
        registry = Registry(postgres, load_config(stack.config_file, environ={}).database)
        registry.execute(f"CREATE DATABASE {DATABASE}", database="postgres")
        stack.dbadmin("create-schema")
        yield registry


@pytest.fixture
def registry(made: Registry) -> Registry:
    """The tables, empty."""
    made.execute(f"TRUNCATE {TABLE}, monitoring.producer_lease")
    return made


@attrs.frozen
class Targets:
    """The table of targets."""

    registry: Registry
    table: PostgresTargetTable

    def put(self, *records: TargetRecord) -> None:
        columns = ("amc_id", "amc_url", "amc_regexp", "amc_active")
        values = [value for record in records for value in (record.id, record.url, record.regexp, record.active)]
        rows = ", ".join(["(%s, %s, %s, %s)"] * len(records))
        changed = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
        self.registry.execute(
            f"INSERT INTO {TABLE} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES {rows} "
            f"ON CONFLICT (amc_id) DO UPDATE SET {changed}",
            *values,
        )

    def remove(self, target_id: int) -> None:
        self.registry.execute(f"DELETE FROM {TABLE} WHERE amc_id = %s", target_id)

    def away(self) -> contextlib.AbstractContextManager[None]:
        return self.registry.away()


class TestPostgresTargetTable(TargetTableContract):
    """On PostgreSQL."""

    @pytest.fixture
    def stage(self, registry: Registry) -> Targets:
        return Targets(registry, PostgresTargetTable(ProducerConnection(registry.config)))


@attrs.frozen
class Producers:
    """Producers of one location, each with a connection of its own."""

    registry: Registry

    def leases(self, holder: str) -> PostgresLeases:
        return PostgresLeases(ProducerConnection(self.registry.config), "here", holder, DEFAULTS)

    def now_ms(self) -> int:
        return round(1000 * time.time())

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)  # leases run by PostgreSQL's clock, which a test cannot move

    def away(self) -> contextlib.AbstractContextManager[None]:
        return self.registry.away()


class TestPostgresLeases(LeasesContract):
    """On PostgreSQL."""

    @pytest.fixture
    def stage(self, registry: Registry) -> Producers:
        return Producers(registry)
