"""A real PostgreSQL for the tests that need one, and a database in it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from dbadmin.install.schema import create_schema
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import connect
from monitoring_testkit.fixtures.postgresql import postgres, server
from monitoring_testkit.servers.killable_postgresql import KillablePostgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_stack.servers import Postgres
    from monitoring_runtime.session import Session

__all__ = ["connection", "database", "day", "killable", "postgres", "server"]


@pytest.fixture
def day() -> dt.date:
    """The day on which the schema is made."""
    return dt.datetime.now(dt.UTC).date()


@pytest.fixture
def database(postgres: Postgres, day: dt.date) -> DatabaseConfig:
    """A database of the test's own, with the schema."""
    made = DatabaseConfig(host=postgres.host, port=postgres.port, user=postgres.user, database="alerts")
    with connect(made, "test", database="postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS alerts WITH (FORCE)")
        admin.execute("CREATE DATABASE alerts")
    list(create_schema(made, day))
    return made


@pytest.fixture
def connection(database: DatabaseConfig) -> Iterator[Session]:
    with connect(database, "test", autocommit=True) as made:
        yield made


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillablePostgresql]:
    """A PostgreSQL that can be killed, with an empty database `monitoring`."""
    running = KillablePostgresql(tmp_path_factory.mktemp("killable") / "data")
    with running.connect("postgres") as connection:
        connection.execute("CREATE DATABASE monitoring")
    yield running
    running.close()
