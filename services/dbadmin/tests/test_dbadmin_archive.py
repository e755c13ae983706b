"""What people archive, delete or restore by hand stays as they left it, and history stays as it was counted."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dbadmin.history import owned, retention
from dbadmin.history.maintain import maintain
from dbadmin.install import revisions
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig

pytestmark = pytest.mark.integration_test

# `since` goes up to this moment, so the day should not be long ago.
NOW = dt.datetime.now(dt.UTC).replace(hour=12, minute=30, second=0, microsecond=0) - dt.timedelta(days=3)
DAY = f"{NOW:%Y%m%d}"
LATER_DAY = f"{NOW + dt.timedelta(days=9):%Y%m%d}"
OLD_DAY = f"{NOW - dt.timedelta(days=6):%Y%m%d}"
LATER = NOW + dt.timedelta(days=2)
TABLE = f"monitoring.availability_result_{DAY}"
INSERT = """INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, reason, producer_id)
    SELECT i, %s, 'here', CASE WHEN i = 3 THEN 'down' ELSE 'up' END, CASE WHEN i = 3 THEN 'timeout' END, 1
    FROM generate_series(%s::int, %s::int) i"""


@pytest.fixture
def day() -> dt.date:
    return NOW.date()


@pytest.fixture
def connection(database: DatabaseConfig) -> Iterator[psycopg.Connection[Any]]:
    """Three results are rolled up: two are up, and one is down, with an incident."""
    with connect(database, "test", autocommit=True) as made:
        write(made, 1, 3)
        run(database, NOW)
        yield made


def write(connection: psycopg.Connection[Any], first: int, last: int) -> None:
    with connection.transaction():
        connection.execute(INSERT, (NOW, first, last))
        mark = "INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s::timestamptz, 'UTC'))"
        connection.execute(mark, (NOW,))


def run(database: DatabaseConfig, now: dt.datetime = LATER, **options: Any) -> list[str]:
    return [done.text for done in maintain(database, now, **options)]


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row
    return row[0]


def counted(connection: psycopg.Connection[Any]) -> tuple[int, int, int]:
    """Checks by hour, checks by day, and checks of incidents."""
    return (
        one(connection, "SELECT sum(checks) FROM monitoring.website_availability_hourly"),
        one(connection, "SELECT sum(checks) FROM monitoring.website_availability_daily"),
        one(connection, "SELECT coalesce(sum(checks), 0) FROM monitoring.website_incident"),
    )


def test_a_partition_that_somebody_detached_is_kept_when_a_late_result_of_its_day_comes(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Its rows stay, the late result is counted, and once the table has another name the day gets a partition."""
    connection.execute(f"ALTER TABLE monitoring.availability_result DETACH PARTITION {TABLE}")
    write(connection, 4, 4)
    said = run(database)
    assert (
        f"default partition: its rows of {NOW:%Y-%m-%d} stay, a table availability_result_{DAY} is there that is not "
        "the partition of that day: rename it (dbadmin drops no table that it did not detach)"
    ) in said
    assert one(connection, f"SELECT count(*) FROM {TABLE}") == 3
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result_default") == 1
    assert counted(connection) == (4, 4, 1)
    connection.execute(f"ALTER TABLE {TABLE} RENAME TO archive_{DAY}")
    assert f"default partition: 1 row moved into partitions of {NOW:%Y-%m-%d}" in run(database)
    assert one(connection, f"SELECT count(*) FROM {TABLE}") == 1
    assert one(connection, f"SELECT count(*) FROM monitoring.archive_{DAY}") == 3
    assert counted(connection) == (4, 4, 1)


def test_rows_of_other_days_move_while_those_of_a_day_in_the_way_stay(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """No row is lost or doubled, and the second run does not move them again."""
    connection.execute(f"ALTER TABLE monitoring.availability_result DETACH PARTITION {TABLE}")
    write(connection, 4, 4)
    connection.execute(INSERT, (NOW + dt.timedelta(days=9), 5, 6))
    said = run(database)
    assert f"default partition: 2 rows moved into partitions of {NOW + dt.timedelta(days=9):%Y-%m-%d}" in said
    assert one(connection, f"SELECT count(*) FROM monitoring.availability_result_{LATER_DAY}") == 2
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result") == 3
    assert not any("moved" in line for line in run(database))


def test_a_partition_of_today_that_somebody_detached_is_not_attached_again(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """It is said in every run, because its results wait in the default partition."""
    connection.execute(f"ALTER TABLE monitoring.availability_result DETACH PARTITION {TABLE}")
    said = run(database, NOW)
    assert (
        f"partition availability_result_{DAY}: not made, a table availability_result_{DAY} is there that is not "
        "the partition of that day: rename it (dbadmin drops no table that it did not detach)"
    ) in said
    assert one(connection, f"SELECT relispartition FROM pg_class WHERE oid = '{TABLE}'::regclass") is False


def test_a_day_that_somebody_dropped_does_not_shrink_history(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """A late result is counted besides; `since` alone counts only the rows that there are."""
    connection.execute(f"DROP TABLE {TABLE}")
    write(connection, 4, 4)
    run(database)
    assert counted(connection) == (4, 4, 1)
    assert one(connection, "SELECT count(*) FROM monitoring.availability_down_run") == 1
    run(database, since=NOW)
    assert counted(connection) == (1, 1, 0)


def test_rows_that_somebody_deleted_do_not_shrink_history(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Neither when their hour is marked, nor when yesterday is compared with its results; other targets go on."""
    connection.execute("DELETE FROM monitoring.availability_result WHERE target_id IN (1, 3)")
    connection.execute("UPDATE monitoring.availability_result SET status = 'down', reason = 'timeout'")
    run(database, NOW + dt.timedelta(days=1))
    found = connection.execute("SELECT target_id, up, down FROM monitoring.availability_daily ORDER BY 1")
    assert found.fetchall() == [(1, 1, 0), (2, 0, 1), (3, 0, 1)]
    assert counted(connection) == (3, 3, 2)


def test_what_was_asked_for_is_computed_anew_also_when_its_run_is_cut_short(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """The next run goes on with it, and only the first one after that keeps what was counted again."""
    connection.execute("DELETE FROM monitoring.availability_result WHERE target_id = 3")
    run(database, NOW, since=NOW, time_limit_s=0.0)
    assert counted(connection) == (3, 3, 1)
    run(database, NOW)
    assert counted(connection) == (2, 2, 0)
    connection.execute("DELETE FROM monitoring.availability_result WHERE target_id = 2")
    connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s))", (NOW,))
    run(database, NOW)
    assert counted(connection) == (2, 2, 0)


@pytest.mark.parametrize("name", [f"availability_result_{OLD_DAY}", f"availability_result_expired_{OLD_DAY}"])
def test_a_table_that_was_restored_under_a_name_of_maintains_is_kept(
    database: DatabaseConfig, connection: psycopg.Connection[Any], name: str
) -> None:
    """From a backup, beside the partitions; also when its day is older than `retention`."""
    connection.execute(f"CREATE TABLE monitoring.{name} AS SELECT * FROM monitoring.availability_result")
    run(database)
    run(database, LATER + dt.timedelta(days=9))
    assert one(connection, f"SELECT count(*) FROM monitoring.{name}") == 3


def test_a_restored_table_is_kept_when_results_of_its_day_wait_in_the_default_partition(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Moving rows once dropped it."""
    connection.execute(f"CREATE TABLE monitoring.availability_result_{LATER_DAY} (what text)")
    connection.execute(INSERT, (NOW + dt.timedelta(days=9), 5, 6))
    run(database)
    assert one(connection, f"SELECT count(*) FROM monitoring.availability_result_{LATER_DAY}") == 0
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result_default") == 2


def test_what_a_killed_run_detached_or_made_is_dropped_by_the_next(
    database: DatabaseConfig, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted with the transaction that detaches; a table that somebody renames or attaches since is kept."""
    later = NOW + dt.timedelta(days=5)
    with monkeypatch.context() as killed:
        killed.setattr(owned, "_drop", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(database, later)
    connection.execute(f"ALTER TABLE monitoring.availability_result_{DAY} RENAME TO kept")
    assert one(connection, "SELECT count(*) FROM monitoring.kept") == 3
    with monkeypatch.context() as killed:
        killed.setattr(owned, "_drop", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(database, later)
    left = connection.execute("SELECT name FROM monitoring.maintain_table ORDER BY 1").fetchall()
    assert len(left) == 1
    said = run(database, later)
    assert said[0] == f"table {left[0][0]}, which an earlier run left behind: dropped"
    assert one(connection, "SELECT count(*) FROM monitoring.maintain_table") == 0
    assert one(connection, "SELECT count(*) FROM monitoring.kept") == 3


def test_a_day_that_something_depends_on_is_detached_and_kept(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """It is said in every run, and the other work is done."""
    connection.execute(f"CREATE VIEW monitoring.of_a_person AS SELECT * FROM {TABLE}")
    later = NOW + dt.timedelta(days=5)
    why = "stays, other objects, like a view, depend on it: drop them"
    assert f"results of {NOW:%Y-%m-%d}: detached, their table {why}" in run(database, later)
    said = run(database, later)
    assert said[0] == f"table availability_result_{DAY}, which an earlier run left behind: {why}"
    assert said[-1].startswith("done: ")
    connection.execute("DROP VIEW monitoring.of_a_person")
    assert run(database, later)[0].endswith(": dropped")


@pytest.mark.parametrize("days", [-1, 7])
def test_a_partition_that_holds_more_than_the_day_in_its_name_is_kept(
    database: DatabaseConfig, connection: psycopg.Connection[Any], days: int
) -> None:
    """Others name a partition of many days by one of them: the other days must not go with it."""
    begin, end = sorted(f"{NOW + dt.timedelta(days=ahead):%Y-%m-%d} 00:00+00" for ahead in (4, 4 + days))
    name = f"monitoring.availability_result_{NOW + dt.timedelta(days=4):%Y%m%d}"
    many = f"CREATE TABLE {name} PARTITION OF monitoring.availability_result FOR VALUES FROM ('{begin}') TO ('{end}')"
    connection.execute(many.encode())
    said = run(database, NOW + dt.timedelta(days=20))
    assert [line for line in said if "results of" in line and "dropped" in line]
    assert one(connection, f"SELECT relispartition FROM pg_class WHERE oid = '{name}'::regclass") is True


def test_what_an_older_release_detached_is_dropped_after_the_upgrade(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """It gave such partitions a name of their own, and was killed before it dropped them."""
    revisions.downgrade(database, "0008")
    connection.execute("CREATE TABLE monitoring.availability_result_expired_20260101 (what text)")
    connection.execute("CREATE TABLE monitoring.availability_result_20260101 (what text)")
    revisions.upgrade(database)
    assert run(database)[0] == "table availability_result_expired_20260101, which an earlier run left behind: dropped"
    assert one(connection, "SELECT count(*) FROM monitoring.availability_result_20260101") == 0


def test_the_moment_from_which_to_compute_anew_does_not_depend_on_the_servers_settings(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Neither on how it writes dates, nor on its time zone."""
    connection.execute("SET DateStyle = 'German, DMY'")
    connection.execute("SET timezone = 'Asia/Kolkata'")
    assert retention.anew_from(connection, "monitoring") is None
    retention.mark_since(connection, "monitoring", NOW, LATER)
    retention.mark_since(connection, "monitoring", NOW + dt.timedelta(days=1), LATER)
    assert retention.anew_from(connection, "monitoring") == NOW.replace(minute=0)
    retention.forget_anew(connection, "monitoring")
    assert retention.anew_from(connection, "monitoring") is None
