"""What maintenance costs others: short waits for locks, small transactions, exact bounds of time."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
import pytest

from dbadmin.history import default_partition, retention
from dbadmin.history.locking import LockedOutError, with_locks
from dbadmin.history.maintain import maintain
from dbadmin.history.rollups import RELATIVE_ERROR, SMALLEST_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import DatabaseConfig

NOW = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)


class Locked:
    """A connection that does not get its lock for a number of tries."""

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self.statements: list[str] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def execute(self, statement: str) -> None:
        self.statements.append(statement)

    def step(self) -> str:
        if len(self.statements) > self._tries:
            return "done"
        if len(self.statements) % 2:
            raise psycopg.errors.LockNotAvailable
        raise psycopg.errors.DeadlockDetected


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def test_a_consumer_waits_behind_a_lock_for_half_a_second_at_a_time(pauses: list[float]) -> None:
    """At most ten times, with pauses in which the consumer continues."""
    connection: Any = Locked(9)
    assert with_locks(connection, connection.step) == "done"
    assert connection.statements == ["SET LOCAL lock_timeout = 500"] * 10
    assert len(pauses) == 9
    assert all(0.25 <= pause <= 2.0 for pause in pauses)


def test_a_lock_that_is_held_all_the_time_is_left_to_the_next_run(pauses: list[float]) -> None:
    """After ten tries; other errors are not tried again."""
    connection: Any = Locked(10)
    with pytest.raises(LockedOutError):
        with_locks(connection, connection.step)
    assert len(connection.statements) == 10

    def full() -> None:
        raise psycopg.errors.DiskFull

    with pytest.raises(psycopg.errors.DiskFull):
        with_locks(connection, full)
    assert len(connection.statements) == 11


def test_percentiles_are_as_exact_as_the_documents_say() -> None:
    """Within 2 %, from a tenth of a millisecond on."""
    assert RELATIVE_ERROR < 0.02
    assert SMALLEST_S == 0.0001


class Counting:
    """A connection that keeps the number of rows of each statement."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.rows: list[int] = []

    def execute(self, *arguments: Any) -> psycopg.Cursor[Any]:
        done = self._connection.execute(*arguments)
        self.rows.append(done.rowcount)
        return done


@pytest.mark.integration_test
def test_no_transaction_deletes_more_than_20_000_rows(connection: psycopg.Connection[Any]) -> None:
    """Of roll-ups and of the default partition: a long one holds up autovacuum, and loses more when it is killed."""
    connection.execute(
        "INSERT INTO monitoring.availability_hourly (target_id, hour, up, down, unknown, location) "
        "SELECT i, '2020-01-01Z', 1, 0, 0, 'here' FROM generate_series(1, 20001) i"
    )
    connection.execute(
        "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, producer_id) "
        "SELECT i, '2020-01-01Z', 'here', 'up', 1 FROM generate_series(1, 20001) i"
    )
    assert list(retention.expire_rollups(connection, "monitoring", NOW)) == [20_000, 1]
    counting: Any = Counting(connection)
    assert default_partition.expire_default(counting, "monitoring", NOW.date()) == 20_001
    assert counting.rows == [20_000, 1, 0]


@pytest.mark.integration_test
def test_what_began_with_the_first_day_that_is_kept_is_kept(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Hours, days and ended incidents, by `rollup_retention` in UTC days; those of the moment before go."""
    horizon = dt.datetime(2026, 2, 26, tzinfo=dt.UTC)
    before = horizon - dt.timedelta(microseconds=1)
    for hour in (horizon - dt.timedelta(hours=1), horizon):
        connection.execute(
            "INSERT INTO monitoring.availability_hourly (target_id, hour, up, down, unknown, location) "
            "VALUES (1, %s, 1, 0, 0, 'here')",
            (hour,),
        )
    for day in (horizon - dt.timedelta(days=1), horizon):
        connection.execute(
            "INSERT INTO monitoring.availability_daily (target_id, day, up, down, unknown, location) "
            "VALUES (1, %s, 1, 0, 0, 'here')",
            (day,),
        )
    for target_id, ended_at in ((1, before), (2, horizon), (3, None)):
        connection.execute(
            "INSERT INTO monitoring.availability_incident (target_id, began_at, ended_at, checks, location) "
            "VALUES (%s, '2026-01-01Z', %s, 1, 'here')",
            (target_id, ended_at),
        )
    short = attrs.evolve(database, rollup_retention=dt.timedelta(days=3))
    assert "3 roll-ups and incidents older than database.rollup_retention deleted" in [
        done.text for done in maintain(short, NOW)
    ]
    assert connection.execute("SELECT hour FROM monitoring.availability_hourly").fetchall() == [(horizon,)]
    assert connection.execute("SELECT day FROM monitoring.availability_daily").fetchall() == [(horizon,)]
    left = connection.execute("SELECT target_id FROM monitoring.availability_incident ORDER BY 1").fetchall()
    assert left == [(2,), (3,)]


@pytest.mark.integration_test
def test_results_of_the_first_day_that_is_kept_are_kept_and_rolled_up(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """`retention` goes by UTC days: from midnight on, to the second."""
    horizon = dt.datetime(2026, 2, 26, tzinfo=dt.UTC)
    connection.execute(
        "INSERT INTO monitoring.availability_down_run (target_id, began_at, hour, checks, location) "
        "VALUES (1, '2026-02-25 23:00Z', '2026-02-25 23:00Z', 1, 'here')"
    )
    for at in (horizon - dt.timedelta(seconds=1), horizon):
        connection.execute(
            "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, reason, "
            "producer_id) VALUES (1, %s, 'here', 'down', 'timeout', 1)",
            (at,),
        )
        connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s))", (at,))
    said = [done.text for done in maintain(database, NOW)]
    assert "default partition: 1 result older than database.retention deleted" in said
    assert "1 hour older than database.retention left as they are: too late" in said
    assert "hour 2026-02-26 00:00: rolled up" in said
    assert connection.execute("SELECT scheduled_at FROM monitoring.availability_result").fetchall() == [(horizon,)]
    assert connection.execute("SELECT hour FROM monitoring.availability_hourly").fetchall() == [(horizon,)]
    assert connection.execute("SELECT hour FROM monitoring.availability_down_run").fetchall() == [(horizon,)]


@pytest.mark.integration_test
def test_a_result_that_was_replaced_without_a_mark_counts_before_its_day_is_dropped(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """The number of checks is still the same; only fewer rows than checks mean that the day was dropped before."""
    connection.execute(
        "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, reason, producer_id) "
        "VALUES (1, %s, 'here', 'unknown', 'missed_window', 1)",
        (NOW,),
    )
    connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s))", (NOW,))
    list(maintain(database, NOW))
    # Yesterday is compared with its results, and nothing differs yet.
    assert not any(done.step == "hour" for done in maintain(database, NOW + dt.timedelta(days=1)))
    connection.execute("UPDATE monitoring.availability_result SET status = 'down', reason = 'timeout'")
    said = [done.text for done in maintain(database, NOW + dt.timedelta(days=4))]
    assert "hour 2026-03-01 12:00: rolled up, it differed from its results" in said
    assert "results of 2026-03-01: dropped" in said
    counts = "SELECT up, down, unknown FROM monitoring.availability_daily"
    assert connection.execute(counts).fetchall() == [(0, 1, 0)]


@pytest.mark.integration_test
def test_results_of_yesterday_that_were_deleted_by_hand_stay_counted(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Of other targets the roll-ups follow the rows; `since` makes them follow everywhere."""
    for target_id in (1, 2):
        connection.execute(
            "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, producer_id) "
            "VALUES (%s, %s, 'here', 'up', 1)",
            (target_id, NOW),
        )
    connection.execute("INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s))", (NOW,))
    list(maintain(database, NOW))
    connection.execute("DELETE FROM monitoring.availability_result WHERE target_id = 1")
    connection.execute("UPDATE monitoring.availability_result SET status = 'down', reason = 'timeout'")
    said = [done.text for done in maintain(database, NOW + dt.timedelta(days=1))]
    assert "hour 2026-03-01 12:00: rolled up, it differed from its results" in said
    counts = "SELECT target_id, up, down FROM monitoring.availability_daily ORDER BY 1"
    assert connection.execute(counts).fetchall() == [(1, 1, 0), (2, 0, 1)]
    list(maintain(database, NOW + dt.timedelta(days=1), since=NOW))
    assert connection.execute(counts).fetchall() == [(2, 0, 1)]


@pytest.mark.integration_test
def test_statistics_of_large_tables_are_left_to_autovacuum(
    database: DatabaseConfig, connection: psycopg.Connection[Any]
) -> None:
    """Those of a million targets would cost more at every run than all its other work."""
    table = "monitoring.availability_monitor_config"
    connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    for last, known in ((999, 999), (1999, 1999), (4000, 1999)):
        connection.execute(
            f"INSERT INTO {table} (amc_url) SELECT 'http://' || i FROM generate_series("
            f"(SELECT count(*) + 1 FROM {table}), {last}) i"
        )
        connection.execute("SELECT pg_stat_force_next_flush()")
        list(maintain(database, NOW))
        found = connection.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", (table,)).fetchone()
        assert found == (known,)
