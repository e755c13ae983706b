"""A real PostgreSQL for the tests that need one."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest

from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_core.config import Config, DatabaseConfig, load_config
from monitoring_runtime.postgres import connect
from monitoring_testkit.fixtures.postgresql import postgres, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["config", "config_file", "connection", "database", "day", "postgres", "server"]


@pytest.fixture
def config_file(server: str, tmp_path: Path) -> Path:
    """A configuration with a database of the test's own, which does not exist yet."""
    info = psycopg.conninfo.conninfo_to_dict(server)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '127.0.0.1:1'}}\n"
        f"database: {{host: '{info['host']}', port: {info.get('port', 5432)}, user: postgres, "
        f"database: 'db-{uuid.uuid4().hex[:8]}'}}\n"
    )
    return path


@pytest.fixture
def config(config_file: Path) -> Config:
    return load_config(config_file, environ={})


@pytest.fixture
def day() -> dt.date:
    """The day on which the schema is made."""
    return dt.date(2026, 3, 1)


@pytest.fixture
def database(config: Config, day: dt.date) -> DatabaseConfig:
    """The test's own database, with the schema; it keeps results for three days, and has partitions for two ahead."""
    create_database(config.database)
    made = attrs.evolve(config.database, retention=dt.timedelta(days=3), partitions_ahead=2)
    list(create_schema(made, day))
    return made


@pytest.fixture
def connection(database: DatabaseConfig) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, "test", autocommit=True) as made:
        yield made
