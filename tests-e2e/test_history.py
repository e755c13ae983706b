"""The consumer's writer and dbadmin's maintenance together: partitions of PostgreSQL's own, and a real TimescaleDB."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

from consumer_svc.adapters.postgres import PostgresWriter
from consumer_svc.ports import WriteCounts
from dbadmin.doctor.schema import check_retention
from dbadmin.history import partitions
from dbadmin.history.maintain import maintain
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from monitoring_core.config import DatabaseConfig, TimeSeries
from monitoring_core.errors import StopError
from monitoring_core.result import Reason
from monitoring_core.testing.builders import make_result
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.postgres import connect
from monitoring_testkit.needs import need
from monitoring_testkit.servers.postgresql import quick_postgresql
from monitoring_testkit.servers.timescaledb import missing, timescaledb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow

    from monitoring_core.result import CheckResult

pytestmark = pytest.mark.integration_test

NOW = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
DAY = dt.timedelta(days=1)


def _native(directory: Path) -> Iterator[DatabaseConfig]:
    with quick_postgresql(directory / "postgres") as server:
        yield DatabaseConfig(host=server.host, port=server.port, user=server.user)


def _timescaledb(directory: Path) -> Iterator[DatabaseConfig]:
    need("real TimescaleDB", missing())
    with timescaledb(directory) as server:
        yield DatabaseConfig(host=server.host, port=server.port, user=server.user, timeseries=TimeSeries.TIMESCALEDB)


@pytest.fixture(params=[_native, _timescaledb], ids=["native", "TimescaleDB"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseConfig]:
    """A schema that is set up, with results kept for three days."""
    for made in request.param(tmp_path):
        config = attrs.evolve(made, retention=3 * DAY, partitions_ahead=2)
        create_database(config)
        list(create_schema(config, NOW.date()))
        yield config


@pytest.fixture
def timescale(tmp_path: Path) -> Iterator[DatabaseConfig]:
    yield from _timescaledb(tmp_path)


@pytest.fixture
def native(tmp_path: Path) -> Iterator[DatabaseConfig]:
    yield from _native(tmp_path)


def result(target_id: int, at: dt.datetime, reason: Reason | None = None) -> CheckResult:
    return make_result(target_id=target_id, scheduled_at=at, reason=reason, response_time_s=0.25)


def run(database: DatabaseConfig, now: dt.datetime = NOW) -> list[str]:
    return [done.text for done in maintain(database, now)]


def query(database: DatabaseConfig, text: str) -> list[TupleRow]:
    with connect(database, "test", autocommit=True) as connection:
        return connection.execute(text).fetchall()


def test_what_the_consumer_writes_is_what_people_see(database: DatabaseConfig) -> None:
    """New rows, repeats, an unknown one that becomes real: the same roll-ups, incidents and status on both."""
    writer = PostgresWriter(database)
    query(
        database,
        "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_check_interval_s) "
        "VALUES ('https://a.example', 86400) RETURNING 1",
    )
    at = NOW - dt.timedelta(hours=2)
    missed = result(1, at, Reason.MISSED_WINDOW)
    batch = [missed, result(1, at + DAY / 48, Reason.TIMEOUT), result(1, at + DAY / 24)]
    assert writer.write(batch) == WriteCounts(stored=3)
    assert writer.write(batch) == WriteCounts(duplicates=3)
    run(database)
    assert writer.write([result(1, at, Reason.DNS_ERROR)]) == WriteCounts(replaced=1)
    assert writer.rows_by_default() == 0
    assert run(database)[-1].endswith("0 hours marked since")
    hours = """SELECT checks, up, down, unknown, round(coalesce(p50_s, down_p50_s)::numeric, 2)
        FROM monitoring.website_availability_hourly ORDER BY hour"""
    assert [tuple(map(float, row)) for row in query(database, hours)] == [(2, 0, 2, 0, 0.25), (1, 1, 0, 0, 0.25)]
    assert query(database, "SELECT began_at, ended_at, reason, checks FROM monitoring.website_incident") == [
        (at, at + DAY / 24, "dns_error", 2)
    ]
    status = query(database, "SELECT url, status, since, last_check_at FROM monitoring.website_status")
    assert status == [("https://a.example", "up", at + DAY / 24, at + DAY / 24)]


def test_days_go_by_retention_on_both(database: DatabaseConfig) -> None:
    """The results of old days are dropped when they are rolled up; what comes too late harms nothing."""
    writer = PostgresWriter(database)
    writer.write([result(1, NOW), result(1, NOW + DAY)])
    later = NOW + 4 * DAY
    said = run(database, later)
    assert any(line.endswith(": dropped") for line in said)
    assert query(database, "SELECT count(*) FROM monitoring.availability_result") == [(1,)]
    assert query(database, "SELECT sum(checks) FROM monitoring.website_availability_daily") == [(2,)]
    writer.write([result(2, NOW)])
    run(database, later)
    run(database, later)
    hours = "SELECT target_id, checks FROM monitoring.website_availability_hourly ORDER BY hour"
    assert query(database, hours) == [(1, 1), (1, 1)]
    assert query(database, "SELECT sum(checks) FROM monitoring.website_availability_daily") == [(2,)]
    assert query(database, "SELECT count(*) FROM monitoring.availability_result") == [(1,)]


def test_days_that_retention_does_not_drop_are_told_on_both(database: DatabaseConfig) -> None:
    """A maintain that stands still is not the only reason why they stay."""
    PostgresWriter(database).write([result(1, NOW)])
    run(database)

    def told(days: int) -> str:
        with connect(database, "test", autocommit=True) as connection:
            clock = FakeClock(now_ms=round((NOW + days * DAY).timestamp() * 1000))
            return str(check_retention(connection, database, clock))

    assert told(3) == "pass  retention: no result is older than 3 days"
    late = told(20)
    assert late.startswith("warn  retention: results of ")
    assert "are older than it, the oldest of 20" in late


def test_the_table_is_a_hypertable_with_the_same_key(timescale: DatabaseConfig) -> None:
    """Its chunks are of one day, and setting up again changes nothing."""
    create_database(timescale)
    assert any("hypertable" in line for line in create_schema(timescale, NOW.date()))
    assert not any("hypertable" in line for line in create_schema(timescale, NOW.date()))
    found = "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = 'availability_result'"
    assert query(timescale, found) == [(DAY,)]
    key = """SELECT pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = 'monitoring.availability_result'::regclass AND contype = 'p'"""
    assert query(timescale, key) == [("PRIMARY KEY (target_id, scheduled_at, location)",)]
    with pytest.raises(StopError, match=r"is a hypertable: set database.timeseries to timescaledb"):
        list(create_schema(attrs.evolve(timescale, timeseries=TimeSeries.NATIVE), NOW.date()))


def test_rows_in_partitions_are_not_converted(timescale: DatabaseConfig) -> None:
    """Nothing is lost: it says what can be done instead."""
    create_database(timescale)
    list(create_schema(attrs.evolve(timescale, timeseries=TimeSeries.NATIVE), NOW.date()))
    PostgresWriter(timescale).write([result(1, NOW)])
    with pytest.raises(StopError, match="holds rows in partitions, which are not converted"):
        list(create_schema(timescale, NOW.date()))
    assert query(timescale, "SELECT count(*) FROM monitoring.availability_result") == [(1,)]


def test_without_the_extension_it_says_so(native: DatabaseConfig) -> None:
    """In one plain line, with what to do."""
    create_database(native)
    with pytest.raises(StopError, match=r"has no extension timescaledb: install it there, or set database.timeseries"):
        list(create_schema(attrs.evolve(native, timeseries=TimeSeries.TIMESCALEDB), NOW.date()))


def test_a_row_on_its_way_to_the_default_partition_while_its_day_gets_one_is_stored(native: DatabaseConfig) -> None:
    """PostgreSQL refuses the row once; the row is not poison, and is stored in the new partition."""
    create_database(native)
    list(create_schema(attrs.evolve(native, partitions_ahead=1), NOW.date()))
    day = (NOW + 9 * DAY).date()
    stored = list[WriteCounts]()
    late = threading.Thread(target=lambda: stored.append(PostgresWriter(native).write([result(1, NOW + 9 * DAY)])))
    with connect(native, "test", autocommit=True) as maintaining:
        with maintaining.transaction():
            maintaining.execute("LOCK TABLE monitoring.availability_result_default IN ACCESS EXCLUSIVE MODE")
            late.start()
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while query(native, waiting) == [(0,)]:
                pass
            partitions._make(maintaining, native.schema, day)
        late.join()
    assert stored == [WriteCounts(stored=1)]
    assert query(native, f"SELECT count(*) FROM monitoring.{partitions.name_of(day)}") == [(1,)]
