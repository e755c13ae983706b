"""Partitions that people left half done are made good again by maintain."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest
import stamina

from dbadmin.history import default_partition, locking, mending, partitions
from dbadmin.history.maintain import maintain
from dbadmin.install.schema import create_schema
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from monitoring_core.config import Config, DatabaseConfig

pytestmark = pytest.mark.integration_test

NOW = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
PARENT, DEFAULT = "monitoring.availability_result", "monitoring.availability_result_default"
INSERT = f"INSERT INTO {PARENT} (target_id, scheduled_at, location, status, producer_id) VALUES (%s, %s, 'x', 'up', 1)"


@pytest.fixture
def day() -> dt.date:
    return NOW.date()


@pytest.fixture
def database(database: DatabaseConfig, config: Config) -> DatabaseConfig:
    """It keeps results for as long as by default."""
    return attrs.evolve(database, retention=config.database.retention)


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


# What has the name of a day's partition: it says nothing of the days that are to be made, nor of rows that wait.
IN_THE_WAY = {
    "view": "CREATE VIEW {name} AS SELECT 1 AS one",
    "materialized view": "CREATE MATERIALIZED VIEW {name} AS SELECT 1 AS one",
    "foreign table": "CREATE FOREIGN TABLE {name} (one integer) SERVER archive",
    "sequence": "CREATE SEQUENCE {name}",
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_whatever_has_the_name_of_a_day_keeps_maintain_from_that_day_alone(
    database: DatabaseConfig, connection: psycopg.Connection[Any], kind: str
) -> None:
    """As an archived day does whose rows are elsewhere. Its late results are counted, and the other days are made."""
    connection.execute("CREATE FOREIGN DATA WRAPPER elsewhere")
    connection.execute("CREATE SERVER archive FOREIGN DATA WRAPPER elsewhere")
    tomorrow, past = NOW + dt.timedelta(days=1), NOW - dt.timedelta(days=5)
    connection.execute(f"DROP TABLE {PARENT}_{tomorrow:%Y%m%d}")
    for day in (tomorrow, past):
        connection.execute(IN_THE_WAY[kind].format(name=f"{PARENT}_{day:%Y%m%d}").encode())
    later = NOW + dt.timedelta(days=1)
    connection.execute(INSERT, (1, past))
    connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (%s)", (past,))
    said = [done.text for done in maintain(database, later)]
    assert f"default partition: its rows of {past:%Y-%m-%d} stay, a table " in said[0]
    assert f"partition availability_result_{tomorrow:%Y%m%d}: not made, a table " in said[1]
    assert said[2] == f"partitions: 1 made, up to {later + dt.timedelta(days=2):%Y-%m-%d}"
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_hourly") == 1


def test_rows_of_many_days_move_some_days_at_a_time(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once, they would need more locks than PostgreSQL has; those far ahead are of a clock that is wrong."""
    monkeypatch.setattr(default_partition, "_DAYS", 2)
    ahead = [10, 11, 20, 21, 366, 367, 20_000]
    for days in ahead:
        connection.execute(INSERT, (days, NOW + dt.timedelta(days=days)))
    names = [f"{NOW + dt.timedelta(days=days):%Y-%m-%d}" for days in ahead]
    stay = (
        f"default partition: its rows of {names[5]}, {names[6]} stay, they are far ahead: a producer's clock is wrong"
    )
    assert run(database)[:4] == [
        stay,
        f"default partition: 2 rows moved into partitions of {names[0]}, {names[1]}",
        f"default partition: 2 rows moved into partitions of {names[2]}, {names[3]}",
        f"default partition: 1 row moved into partitions of {names[4]}",
    ]
    assert one(connection, f"SELECT array_agg(target_id ORDER BY target_id) FROM {DEFAULT}") == [367, 20_000]
    assert one(connection, f"SELECT count(*) FROM {PARENT}") == len(ahead)
    assert [line for line in run(database) if "default partition" in line] == [stay]


def test_a_partition_that_others_made_keeps_maintain_from_its_days_alone(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """It has a name and bounds of its own, by local time; the half of a day beside it stays in the default one."""
    begin, end = (f"{NOW + dt.timedelta(days=days):%Y-%m-%d} 12:00+00" for days in (3, 5))
    by_hand = f"CREATE TABLE monitoring.by_hand PARTITION OF {PARENT} FOR VALUES FROM ('{begin}') TO ('{end}')"
    connection.execute(by_hand.encode())
    beside, later = f"{NOW + dt.timedelta(days=3):%Y-%m-%d} 06:00+00", NOW + dt.timedelta(days=4)
    connection.execute(INSERT, (1, beside))
    connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (%s)", (beside,))
    for _ in range(2):
        said = [done.text for done in maintain(database, later) if "which an earlier run left" not in done.text]
        assert said[0].startswith("default partition: its rows stay, results of that time have another partition")
        for line, days in zip(said[1:4], (3, 4, 5), strict=True):
            assert line.startswith(f"partition availability_result_{NOW + dt.timedelta(days=days):%Y%m%d}: not made, ")
            assert line.endswith('would overlap partition "by_hand"') == (days > 3)
        assert said[4].startswith("partitions: ")
    assert one(connection, "SELECT sum(checks) FROM monitoring.website_availability_hourly") == 1
    assert one(connection, f"SELECT count(*) FROM {DEFAULT}") == 1


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
        for attempt in stamina.retry_context(on=AssertionError, timeout=60):
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
