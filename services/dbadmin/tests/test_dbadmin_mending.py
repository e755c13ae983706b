"""Partitions that people left half done are made good again by maintain."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
import stamina

from dbadmin.history import locking, mending, partitions
from dbadmin.history.maintain import maintain
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config, DatabaseConfig

pytestmark = pytest.mark.integration_test

NOW = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
PARENT, DEFAULT = "monitoring.availability_result", "monitoring.availability_result_default"
INSERT = f"INSERT INTO {PARENT} (target_id, scheduled_at, location, status, producer_id) VALUES (%s, %s, 'x', 'up', 1)"


@pytest.fixture
def database(config: Config) -> DatabaseConfig:
    create_database(config.database)
    made = attrs.evolve(config.database, partitions_ahead=2)
    list(create_schema(made, NOW.date()))
    return made


@pytest.fixture
def connection(database: DatabaseConfig) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, "test", autocommit=True) as made:
        yield made


def run(database: DatabaseConfig) -> list[str]:
    return [done.text for done in maintain(database, NOW)]


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row
    return row[0]


def test_a_default_partition_that_was_dropped_is_made_anew(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """It has the index over time, and whoever may write results may count its rows; a second run finds it there."""
    name = f"{database.database}-consumer"
    connection.execute(f'CREATE ROLE "{name}"')
    try:
        connection.execute(f'GRANT INSERT ON {PARENT} TO "{name}"')
        connection.execute(f"DROP TABLE {DEFAULT}")
        assert run(database)[0] == "default partition: making it anew is done"
        assert mending.default_partition(connection, "monitoring") == "availability_result_default"
        connection.execute(INSERT, (1, NOW + dt.timedelta(days=30)))
        assert one(connection, f"SELECT count(*) FROM {DEFAULT}") == 1
        assert one(connection, f"SELECT has_table_privilege('{name}', '{DEFAULT}', 'SELECT')")
        brin = "SELECT count(*) FROM pg_indexes WHERE tablename = 'availability_result_default' AND indexdef ~ 'brin'"
        assert one(connection, brin) == 1
        assert not any("anew" in line for line in run(database))
    finally:
        connection.execute(f'DROP OWNED BY "{name}"')
        connection.execute(f'DROP ROLE "{name}"')


def test_a_default_partition_that_was_detached_is_attached_again_with_its_rows(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Also when days that it has rows of got a partition meanwhile: their rows go there, and are rolled up."""
    far = NOW + dt.timedelta(days=30)
    connection.execute(INSERT, (1, far))
    connection.execute(INSERT, (2, far + dt.timedelta(days=1)))
    connection.execute(f"ALTER TABLE {PARENT} DETACH PARTITION {DEFAULT}")
    with connection.transaction():
        partitions._make(connection, "monitoring", far.date())
    connection.execute(INSERT, (3, far))
    assert run(database)[0] == "default partition: attaching it again is done"
    found = connection.execute(f"SELECT target_id FROM {PARENT} ORDER BY 1").fetchall()
    assert found == [(1,), (2,), (3,)]
    assert one(connection, f"SELECT count(*) FROM {DEFAULT}") == 0
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_hourly") == 2


def test_create_schema_mends_it_too(database: DatabaseConfig, connection: psycopg.Connection[Any]) -> None:
    """Whichever command comes first."""
    connection.execute(f"DROP TABLE {DEFAULT}")
    assert "default partition: making it anew is done" in list(create_schema(database, NOW.date()))


def test_an_interrupted_detach_is_finished(database: DatabaseConfig, connection: psycopg.Connection[Any]) -> None:
    """PostgreSQL allows it only without a default partition. The rows stay in a table of their own; others go on."""
    table = f"{PARENT}_{NOW + dt.timedelta(days=1):%Y%m%d}"
    connection.execute(INSERT, (1, NOW + dt.timedelta(days=1)))
    connection.execute(f"ALTER TABLE {PARENT} DETACH PARTITION {DEFAULT}")
    interrupt_detach(database, connection, table)
    assert mending.half_detached(connection, "monitoring") == [table.partition(".")[2]]
    said = run(database)
    assert said[:2] == [
        f"partition {table.partition('.')[2]}: its interrupted DETACH is done",
        "default partition: attaching it again is done",
    ]
    assert one(connection, f"SELECT count(*) FROM {table}") == 1
    connection.execute(INSERT, (2, NOW + dt.timedelta(days=1)))
    assert one(connection, f"SELECT count(*) FROM {DEFAULT}") == 1
    assert said[-1].startswith("done: ")


def interrupt_detach(database: DatabaseConfig, connection: psycopg.Connection[Any], table: str) -> None:
    """Cancel a DETACH CONCURRENTLY while it waits for a reader."""
    with connect(database, "reader") as reader, connect(database, "archivist", autocommit=True) as archivist:
        reader.execute(f"SELECT * FROM {PARENT}")

        def detach() -> None:
            with pytest.raises(psycopg.errors.QueryCanceled):
                archivist.execute(f"ALTER TABLE {PARENT} DETACH PARTITION {table} CONCURRENTLY")

        detaching = threading.Thread(target=detach)
        detaching.start()
        for attempt in stamina.retry_context(on=AssertionError, timeout=20):
            with attempt:
                assert mending.half_detached(connection, "monitoring")
        archivist.cancel_safe()
        detaching.join()


def test_a_reader_who_holds_the_table_holds_up_only_the_mending(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the run is done, and the next run tries again."""
    monkeypatch.setattr(locking, "LOCK_ATTEMPTS", 1)
    connection.execute(f"DROP TABLE {DEFAULT}")
    connection.execute(INSERT, (1, NOW))
    connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (%s)", (NOW,))
    with connect(database, "other") as other:
        other.execute(f"LOCK TABLE ONLY {PARENT} IN SHARE MODE")
        said = run(database)
    assert said[0] == (
        "default partition: making it anew failed, a long query holds the table; the next run tries again"
    )
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_hourly") == 1
    assert run(database)[0] == "default partition: making it anew is done"
